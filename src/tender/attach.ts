/**
 * Matching the devices that a unikernel declares with those that it is given. The plan is pure and made before
 * anything is opened, so a start that is refused has touched nothing.
 */
import { type Attachment, type DeviceType, type Manifest, devicesOf } from "../image/manifest.ts";
import { TenderError } from "./tender-error.ts";
import { DEFAULT_SECTOR_SIZE, openBlockFile } from "./devices/block-file.ts";
import { adoptTap, openTap } from "./devices/tap.ts";

/** Where a network device comes from: a tap by its name, or a descriptor this process was started with. */
export type NetSource = { readonly tap: string } | { readonly fd: number };

/** What was given on the command line, by device name. */
export interface DeviceRequest {
  readonly nets: ReadonlyMap<string, NetSource>;
  /** Six bytes each. */
  readonly macs: ReadonlyMap<string, Uint8Array>;
  /** Paths of files or host block devices. */
  readonly blocks: ReadonlyMap<string, string>;
  /** Bytes each, checked by isSectorSize. */
  readonly sectorSizes: ReadonlyMap<string, number>;
  /** Block devices that the guest may only read; several unikernels may share such a file. */
  readonly readOnly?: ReadonlySet<string> | undefined;
}

export type PlannedDevice =
  | {
      readonly kind: "net";
      readonly handle: number;
      readonly name: string;
      readonly source: NetSource;
      readonly mac: Uint8Array;
    }
  | {
      readonly kind: "block";
      readonly handle: number;
      readonly name: string;
      readonly path: string;
      readonly sectorSize: number;
      readonly readOnly?: true;
    };

const KIND: Record<DeviceType, string> = { NET_BASIC: "network", BLOCK_BASIC: "block" };

/**
 * The devices to open, in the manifest's order. `random` gives that many random bytes, for a MAC address that
 * nobody chose. Throws TenderError not-declared or not-attached.
 */
export function planDevices(
  manifest: Manifest,
  request: DeviceRequest,
  random: (length: number) => Uint8Array,
): PlannedDevice[] {
  const given: [DeviceType, ReadonlyMap<string, unknown>][] = [
    ["NET_BASIC", request.nets],
    ["NET_BASIC", request.macs],
    ["BLOCK_BASIC", request.blocks],
    ["BLOCK_BASIC", request.sectorSizes],
  ];
  for (const [type, names] of given) {
    for (const name of names.keys()) checkDeclared(manifest, type, name);
  }
  const planned: PlannedDevice[] = [];
  const missing: string[] = [];
  const flags: string[] = [];
  for (const { handle, device } of devicesOf(manifest)) {
    const { name } = device;
    // A name declared twice is attached once: a look-up by name finds the first, as in the originals.
    const first = manifest.entries.findIndex((other) => other.name === name && other.type === device.type);
    const source = first === handle && device.type === "NET_BASIC" ? request.nets.get(name) : undefined;
    const path = first === handle && device.type === "BLOCK_BASIC" ? request.blocks.get(name) : undefined;
    if (source !== undefined) {
      planned.push({ kind: "net", handle, name, source, mac: macFor(request.macs.get(name), random) });
    } else if (path !== undefined) {
      const sectorSize = request.sectorSizes.get(name) ?? DEFAULT_SECTOR_SIZE;
      const readOnly = request.readOnly?.has(name) === true ? { readOnly: true as const } : {};
      planned.push({ kind: "block", handle, name, path, sectorSize, ...readOnly });
    } else {
      missing.push(
        `device '${name}' of type ${device.type === "other" ? "undefined" : device.type} not attached`,
      );
      if (device.type === "NET_BASIC") flags.push(`--net ${name}=TAP`);
      if (device.type === "BLOCK_BASIC") flags.push(`--block ${name}=FILE`);
    }
  }
  if (missing.length > 0) {
    throw new TenderError("not-attached", "All declared devices must be attached", {
      why: missing.join("\n"),
      ...(flags.length === 0 ? {} : { hint: `add ${flags.join(" ")}` }),
    });
  }
  return planned;
}

function checkDeclared(manifest: Manifest, type: DeviceType, name: string): void {
  if (manifest.entries.some((device) => device.type === type && device.name === name)) return;
  const names = devicesOf(manifest).map(({ device }) => device.name);
  throw new TenderError("not-declared", `Resource not declared in manifest: ${KIND[type]} device '${name}'`, {
    why: names.length === 0 ? "the unikernel has no devices" : `it declares: ${names.join(", ")}`,
  });
}

/** The given address, or a random one: unicast and locally administered. */
function macFor(given: Uint8Array | undefined, random: (length: number) => Uint8Array): Uint8Array {
  if (given !== undefined && given.some((byte) => byte !== 0)) return given;
  const mac = random(6);
  mac[0] = (mac[0]! & 0xfe) | 0x02;
  return mac;
}

/** Opens what was planned. Throws TenderError net-device or block-device. */
export function openDevices(planned: readonly PlannedDevice[]): Attachment[] {
  return planned.map((device) => {
    const { handle } = device;
    if (device.kind === "block") {
      const { fd, capacity } = openBlockFile(device.path, device.sectorSize, {
        readOnly: device.readOnly === true,
      });
      return { kind: "block", handle, hostFd: fd, capacity, blockSize: device.sectorSize };
    }
    const { source, mac } = device;
    const { fd, mtu } = "tap" in source ? openTap(source.tap) : adoptTap(source.fd);
    return { kind: "net", handle, hostFd: fd, mac, mtu };
  });
}

/** Six bytes from `xx:xx:xx:xx:xx:xx`, groups of one or two digits; undefined for anything else. */
export function parseMac(text: string): Uint8Array | undefined {
  if (!/^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i.test(text)) return undefined;
  return new Uint8Array(text.split(":").map((group) => Number.parseInt(group, 16)));
}

export function formatMac(mac: Uint8Array): string {
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** A tap's name, or `@` and a descriptor's number. Undefined where the number isn't one. */
export function parseNetSource(text: string): NetSource | undefined {
  if (!text.startsWith("@")) return text === "" ? undefined : { tap: text };
  return /^@\d{1,9}$/.test(text) ? { fd: Number(text.slice(1)) } : undefined;
}
