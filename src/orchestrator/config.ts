/** What was asked for, made into a whole configuration that fits an image. Pure. */
import { isSectorSize } from "../tender/devices/block-file.ts";
import { parseMac } from "../tender/attach.ts";
import { encodeCommandLine } from "../tender/command-line.ts";
import { DEFAULT_CONFIG } from "./api.ts";
import type {
  BlockConfig,
  ImageView,
  NetworkConfig,
  Outcome,
  PublishConfig,
  Refusal,
  RestartPolicy,
  UnikernelConfig,
  UnikernelName,
} from "./api.ts";
import { DEFAULT_NETWORK } from "../network/names.ts";
import { pathOf } from "./names.ts";
import { parseVolumeName } from "./volumes/volume-name.ts";

const MOST_MEMORY_MB = 1024 * 1024;
const HVT_MEMORY_MB = 4096;
const MOST_LABELS = 64;

class Bad extends Error {
  readonly hint: string | undefined;
  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

/** The configuration that `given` makes of `base`, for a name and an image. Refuses bad-config with what is wrong. */
export function completeConfig(
  name: UnikernelName,
  given: Partial<UnikernelConfig>,
  image: ImageView,
  hasNetwork: (network: string) => boolean,
  base: UnikernelConfig = DEFAULT_CONFIG,
): Outcome<UnikernelConfig> {
  try {
    const merged = { ...base, ...given };
    return {
      ok: true,
      value: {
        memoryMb: checkMemory(merged.memoryMb, image),
        cpus: checkCpus(merged.cpus),
        args: checkArguments(merged.args),
        addName: merged.addName,
        addAddress: merged.addAddress,
        networks: matchNetworks(merged.networks, image, hasNetwork),
        blocks: matchBlocks(merged.blocks, image).map((block) => ({
          ...block,
          volume: volumeOf(name, block.volume),
        })),
        publish: checkPublish(merged.publish, image),
        restart: checkRestart(merged.restart),
        priority: whole("priority", merged.priority, 0, 1000),
        labels: checkLabels(merged.labels),
      },
    };
  } catch (error) {
    if (!(error instanceof Bad)) throw error;
    return { ok: false, refusal: badConfig(error.message, error.hint) };
  }
}

function badConfig(message: string, hint: string | undefined): Refusal {
  return { code: "bad-config", message, ...(hint === undefined ? {} : { hint }) };
}

function whole(what: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Bad(`${what} is ${value}, it is a whole number from ${least} to ${most}`);
}

function checkMemory(memoryMb: number, { target }: ImageView): number {
  return whole(
    "memory",
    memoryMb,
    target === "hvt" ? 2 : 1,
    target === "hvt" ? HVT_MEMORY_MB : MOST_MEMORY_MB,
  );
}

function checkCpus(cpus: readonly number[] | null): readonly number[] | null {
  if (cpus === null) return null;
  if (cpus.length === 0) throw new Bad("the set of processors is empty", "null lets robur choose");
  return [...new Set(cpus.map((cpu) => whole("a processor's number", cpu, 0, 1023)))].sort((a, b) => a - b);
}

function checkArguments(args: readonly string[]): readonly string[] {
  if (args.some((arg) => arg.includes("\0"))) throw new Bad("an argument contains a NUL character");
  try {
    encodeCommandLine(args);
  } catch (error) {
    throw new Bad(
      error instanceof Error ? error.message : String(error),
      "give large configuration on a volume",
    );
  }
  return args;
}

function names(image: ImageView, type: "net" | "block"): string[] {
  return [...new Set(image.devices.filter((device) => device.type === type).map(({ name }) => name))];
}

/** "the image needs net: service; block: data". */
function needs(image: ImageView): string {
  const list = (type: "net" | "block") => names(image, type).join(", ") || "none";
  return `the image has the network devices: ${list("net")}; block devices: ${list("block")}`;
}

/**
 * A device that the manifest has and nobody named is put on the network that robur chooses for it. One network for a
 * device of another name goes to the only device there is: `br0` for `service` is the most frequent mistake.
 */
function matchNetworks(
  given: readonly NetworkConfig[],
  image: ImageView,
  hasNetwork: (network: string) => boolean,
): NetworkConfig[] {
  const devices = names(image, "net");
  const [only] = devices;
  const matched = given.map((network) =>
    devices.length === 1 && given.length === 1 && !devices.includes(network.device)
      ? { ...network, device: only! }
      : network,
  );
  checkDevices("network", matched, devices, image);
  for (const { mac, device } of matched) {
    if (mac !== null && parseMac(mac) === undefined)
      throw new Bad(`${mac} is no MAC address (device ${device})`);
  }
  return devices.map((device, i) => {
    const found = matched.find((network) => network.device === device);
    const network = found?.network ?? chosenNetwork(device, i, hasNetwork);
    return { device, mac: null, address: null, ...found, network };
  });
}

/**
 * Decided here and not at the start, for a policy must know. The rest stays open: the network of the device's name,
 * which is made when it isn't there.
 */
function chosenNetwork(
  device: string,
  index: number,
  hasNetwork: (network: string) => boolean,
): string | null {
  if (index > 0) return null;
  const own = device.toLowerCase();
  return hasNetwork(own) ? own : DEFAULT_NETWORK;
}

/** Volumes hold data, so none is chosen for anybody; but one volume for the only device is no riddle. */
function matchBlocks(given: readonly BlockConfig[], image: ImageView): BlockConfig[] {
  const devices = names(image, "block");
  const [only] = devices;
  const matched = given.map((block) =>
    devices.length === 1 && given.length === 1 && !devices.includes(block.device)
      ? { ...block, device: only! }
      : block,
  );
  checkDevices("block", matched, devices, image);
  const missing = devices.filter((name) => !matched.some(({ device }) => device === name));
  if (missing.length > 0) {
    throw new Bad(`no volume is given for the block device ${missing.join(", ")}`, needs(image));
  }
  for (const { sectorSize, device } of matched) {
    if (sectorSize !== null && !isSectorSize(sectorSize)) {
      throw new Bad(`the sector size of ${device} is ${sectorSize}, not a power of two from 512 to 32768`);
    }
  }
  const shared = matched.find(({ volume }, i) => matched.findIndex((other) => other.volume === volume) !== i);
  if (shared !== undefined) throw new Bad(`the volume ${shared.volume} is given to two devices`);
  return matched;
}

/** As in albatross a unikernel has volumes of its own path only; those may be named by their label alone. */
function volumeOf(name: UnikernelName, volume: string): string {
  const path = pathOf(name);
  const full = parseVolumeName(volume.includes(":") || path === "" ? volume : `${path}:${volume}`);
  if (full === undefined) throw new Bad(`${JSON.stringify(volume)} can't be a volume's name`);
  if (full.slice(0, Math.max(0, full.lastIndexOf(":"))) === path) return full;
  throw new Bad(
    `the volume ${full} is not in the path of ${name}`,
    `a volume of ${path === "" ? "the root" : path}`,
  );
}

function checkDevices(
  kind: string,
  given: readonly { readonly device: string }[],
  devices: readonly string[],
  image: ImageView,
): void {
  for (const [i, { device }] of given.entries()) {
    if (!devices.includes(device)) throw new Bad(`the image has no ${kind} device ${device}`, needs(image));
    if (given.findIndex((other) => other.device === device) !== i) {
      throw new Bad(`the ${kind} device ${device} is given twice`);
    }
  }
}

function checkPublish(publish: readonly PublishConfig[], image: ImageView): readonly PublishConfig[] {
  if (publish.length > 0 && names(image, "net").length === 0) {
    throw new Bad("a port can't be published: the image has no network device");
  }
  for (const { hostPort, guestPort } of publish) {
    whole("the host's port", hostPort, 1, 65535);
    whole("the guest's port", guestPort, 1, 65535);
  }
  return publish;
}

function checkRestart(restart: RestartPolicy): RestartPolicy {
  if (restart.kind === "on-failure" && restart.limit !== null) {
    whole("the limit of restarts", restart.limit, 1, 1_000_000);
  }
  if (restart.kind === "albatross") {
    for (const code of restart.codes ?? []) whole("a status to restart after", code, 0, 255);
  }
  return restart;
}

function checkLabels(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.entries(labels);
  if (entries.length > MOST_LABELS) throw new Bad(`${entries.length} labels, at most ${MOST_LABELS}`);
  for (const [key, value] of entries) {
    if (!/^[\w./-]{1,128}$/.test(key) || value.length > 1024)
      throw new Bad(`the label ${key} is too long or odd`);
  }
  return labels;
}
