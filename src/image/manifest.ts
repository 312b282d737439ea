/**
 * The application manifest (MFT1): the devices a unikernel was built with. All of them must be attached, and
 * nothing else can be. A device's handle, which the guest uses in every call, is its place in this list.
 */
import type { Elf } from "./elf.ts";
import { ImageError } from "./image-error.ts";
import { findManifestNote } from "./notes.ts";
import { type ImageSource, fieldsOf } from "./source.ts";

export type DeviceType = "BLOCK_BASIC" | "NET_BASIC";

export interface Device {
  readonly name: string;
  /** "other" is a type no tender can attach: such an image can't be started. */
  readonly type: DeviceType | "other" | "reserved";
  /** The number in the file. */
  readonly typeNumber: number;
}

export interface Manifest {
  /** Every entry in the file's order, the reserved first one included, so that index = handle. */
  readonly entries: readonly Device[];
}

export const MANIFEST_VERSION = 1;
export const HEADER_SIZE = 8;
export const ENTRY_SIZE = 104;
export const NAME_SIZE = 68;
export const MAX_ENTRIES = 64;

/** Where an entry's fields lie. MAC and MTU share their place with a block device's capacity and sector size. */
export const ENTRY = {
  type: 68,
  capacity: 72,
  blockSize: 80,
  mac: 72,
  mtu: 78,
  hostFd: 88,
  attached: 96,
} as const;

export const BLOCK_BASIC = 1;
export const NET_BASIC = 2;
/** Types from here on are reserved; the first entry is of this type and has no name. */
export const RESERVED_FIRST = 0x4000_0000;

/** Longest device name, and what it may consist of when it is given on a command line. */
export const DEVICE_NAME = /^[A-Za-z0-9]{1,67}$/;

/** Reads and checks the manifest. Throws ImageError no-manifest, invalid-note, invalid-manifest. */
export function readManifest(source: ImageSource, elf: Elf): Manifest {
  const content = findManifestNote(source, elf);
  if (content === undefined) {
    throw new ImageError("no-manifest", "no Solo5 application manifest found in executable");
  }
  return parseManifest(content);
}

/** The same for the note's bare content. Throws ImageError invalid-manifest. */
export function parseManifest(content: Uint8Array): Manifest {
  if (content.length < HEADER_SIZE) invalid("it is shorter than its header");
  const view = fieldsOf(content);
  const version = view.getUint32(0, true);
  const count = view.getUint32(4, true);
  if (version !== MANIFEST_VERSION) invalid(`version ${version} instead of ${MANIFEST_VERSION}`);
  if (count > MAX_ENTRIES) invalid(`${count} entries, more than ${MAX_ENTRIES}`);
  if (content.length !== HEADER_SIZE + count * ENTRY_SIZE) invalid(`its size does not fit ${count} entries`);
  if (count === 0) invalid("it has no entries");
  const entries: Device[] = [];
  for (let i = 0; i < count; i++) entries.push(parseEntry(content, view, HEADER_SIZE + i * ENTRY_SIZE, i));
  if (entries[0]!.typeNumber !== RESERVED_FIRST || entries[0]!.name !== "") {
    invalid("its first entry is not the reserved one");
  }
  return { entries };
}

function parseEntry(content: Uint8Array, view: DataView, at: number, index: number): Device {
  if (content[at + NAME_SIZE - 1] !== 0) invalid(`the name of entry ${index} has no end`);
  if (content[at + ENTRY.attached] !== 0) invalid(`entry ${index} claims to be attached`);
  const name = content.subarray(at, content.indexOf(0, at));
  const typeNumber = view.getUint32(at + ENTRY.type, true);
  return { name: UTF8.decode(name), type: deviceType(typeNumber), typeNumber };
}

/** A byte order mark stays: a name that is nothing else is still a name. */
const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

function deviceType(number: number): Device["type"] {
  if (number === BLOCK_BASIC) return "BLOCK_BASIC";
  if (number === NET_BASIC) return "NET_BASIC";
  return number >= RESERVED_FIRST ? "reserved" : "other";
}

function invalid(what: string): never {
  throw new ImageError("invalid-manifest", `manifest is invalid: ${what}`);
}

/** The entries that must be attached, each with its handle. */
export function devicesOf(manifest: Manifest): { readonly handle: number; readonly device: Device }[] {
  return manifest.entries
    .map((device, handle) => ({ handle, device }))
    .filter(({ device }) => device.type !== "reserved");
}

/** What the tender tells the guest of an attached device. */
export type Attachment =
  | {
      readonly kind: "block";
      readonly handle: number;
      readonly hostFd: number;
      readonly capacity: number;
      readonly blockSize: number;
    }
  | {
      readonly kind: "net";
      readonly handle: number;
      readonly hostFd: number;
      readonly mac: Uint8Array;
      readonly mtu: number;
    };

/**
 * The manifest as it stands in guest memory: `8 + 104·entries` bytes, with what was attached filled in. The
 * guest learns capacities, sector sizes, MACs and MTUs from here only.
 */
export function encodeManifest(manifest: Manifest, attachments: readonly Attachment[]): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE + manifest.entries.length * ENTRY_SIZE);
  const view = fieldsOf(bytes);
  view.setUint32(0, MANIFEST_VERSION, true);
  view.setUint32(4, manifest.entries.length, true);
  for (const [i, { name, typeNumber }] of manifest.entries.entries()) {
    const at = HEADER_SIZE + i * ENTRY_SIZE;
    bytes.set(new TextEncoder().encode(name).subarray(0, NAME_SIZE - 1), at);
    view.setUint32(at + ENTRY.type, typeNumber, true);
  }
  for (const attachment of attachments) {
    const at = HEADER_SIZE + attachment.handle * ENTRY_SIZE;
    if (attachment.kind === "block") {
      view.setBigUint64(at + ENTRY.capacity, BigInt(attachment.capacity), true);
      view.setUint16(at + ENTRY.blockSize, attachment.blockSize, true);
    } else {
      bytes.set(attachment.mac, at + ENTRY.mac);
      view.setUint16(at + ENTRY.mtu, attachment.mtu & 0xffff, true);
    }
    view.setInt32(at + ENTRY.hostFd, attachment.hostFd, true);
    bytes[at + ENTRY.attached] = 1;
  }
  return bytes;
}
