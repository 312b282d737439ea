/**
 * Makes ELF executables from a description: sound unikernels, and ones that are broken in exactly one place.
 * Nothing here is shared with the code under test; offsets are those of elf(5) and of Solo5's notes.
 */
import { HOST_ARCHITECTURE } from "../../src/lib/architecture.ts";

export type Int = number | bigint;

/** A little-endian field of a file: its offset and its size in bytes. */
export interface Field {
  readonly at: number;
  readonly size: 1 | 2 | 4 | 8;
}

/** The fields of the file header. */
export const HEADER = {
  magic: { at: 0, size: 4 },
  class: { at: 4, size: 1 },
  data: { at: 5, size: 1 },
  identVersion: { at: 6, size: 1 },
  osAbi: { at: 7, size: 1 },
  abiVersion: { at: 8, size: 1 },
  type: { at: 16, size: 2 },
  machine: { at: 18, size: 2 },
  version: { at: 20, size: 4 },
  entry: { at: 24, size: 8 },
  phoff: { at: 32, size: 8 },
  shoff: { at: 40, size: 8 },
  flags: { at: 48, size: 4 },
  ehsize: { at: 52, size: 2 },
  phentsize: { at: 54, size: 2 },
  phnum: { at: 56, size: 2 },
  shentsize: { at: 58, size: 2 },
  shnum: { at: 60, size: 2 },
  shstrndx: { at: 62, size: 2 },
} as const satisfies Record<string, Field>;

/** The fields of a program header, relative to its beginning. */
const PROGRAM_HEADER = {
  type: { at: 0, size: 4 },
  flags: { at: 4, size: 4 },
  offset: { at: 8, size: 8 },
  vaddr: { at: 16, size: 8 },
  paddr: { at: 24, size: 8 },
  fileSize: { at: 32, size: 8 },
  memSize: { at: 40, size: 8 },
  align: { at: 48, size: 8 },
} as const satisfies Record<string, Field>;

export type SegmentField = keyof typeof PROGRAM_HEADER;

const HEADER_SIZE = 64;
const PROGRAM_HEADER_SIZE = 56;

export const PT = { LOAD: 1, INTERP: 3, NOTE: 4, TLS: 7 } as const;
export const PF = { X: 1, W: 2, R: 4 } as const;
export const MACHINE = { x86_64: 62, aarch64: 183, ppc64: 21 } as const;
export const TARGET = { hvt: 1, spt: 2, virtio: 3, muen: 4, genode: 5, xen: 6 } as const;

/** Where field `name` of program header number `index` lies, the headers standing right behind the file's. */
export function segmentField(index: number, name: SegmentField): Field {
  const { at, size } = PROGRAM_HEADER[name];
  return { at: HEADER_SIZE + index * PROGRAM_HEADER_SIZE + at, size };
}

export function setField(bytes: Uint8Array, { at, size }: Field, value: Int): void {
  for (let i = 0, rest = BigInt(value); i < size; i++, rest >>= 8n) bytes[at + i] = Number(rest & 255n);
}

export function getField(bytes: Uint8Array, { at, size }: Field): bigint {
  let value = 0n;
  for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[at + i]!);
  return value;
}

/** A copy with other values in some fields. */
export function patched(bytes: Uint8Array, ...changes: readonly (readonly [Field, Int])[]): Uint8Array {
  const copy = bytes.slice();
  for (const [field, value] of changes) setField(copy, field, value);
  return copy;
}

/** One program header. Fields that aren't given are what `content` makes them. */
export interface SegmentSpec extends Partial<Record<SegmentField, Int>> {
  readonly type: number;
  /** Bytes in the file, put behind everything before them at a multiple of 8. */
  readonly content?: Uint8Array;
}

/** An executable of these segments, for this machine unless `header` says otherwise. */
export function buildElf(
  segments: readonly SegmentSpec[],
  header: Partial<Record<keyof typeof HEADER, Int>> = {},
): Uint8Array {
  const pieces: [number, Uint8Array][] = [];
  let end = HEADER_SIZE + segments.length * PROGRAM_HEADER_SIZE;
  const offsets = segments.map(({ content }) => {
    end = Math.ceil(end / 8) * 8;
    const offset = end;
    if (content === undefined) return 0;
    pieces.push([offset, content]);
    end += content.length;
    return offset;
  });
  const bytes = new Uint8Array(end);
  for (const [offset, content] of pieces) bytes.set(content, offset);
  const fields: Record<keyof typeof HEADER, Int> = {
    magic: 0x464c_457f,
    class: 2,
    data: 1,
    identVersion: 1,
    osAbi: 0,
    abiVersion: 0,
    type: 2,
    machine: MACHINE[HOST_ARCHITECTURE],
    version: 1,
    entry: 0x10_0000,
    phoff: HEADER_SIZE,
    shoff: 0,
    flags: 0,
    ehsize: HEADER_SIZE,
    phentsize: PROGRAM_HEADER_SIZE,
    phnum: segments.length,
    shentsize: 0,
    shnum: 0,
    shstrndx: 0,
    ...header,
  };
  for (const name of Object.keys(HEADER) as (keyof typeof HEADER)[])
    setField(bytes, HEADER[name], fields[name]);
  for (const [i, segment] of segments.entries()) {
    const size = segment.content?.length ?? 0;
    const vaddr = segment.vaddr ?? 0;
    const values: Record<SegmentField, Int> = {
      flags: PF.R,
      offset: offsets[i]!,
      vaddr,
      paddr: vaddr,
      fileSize: size,
      memSize: segment.fileSize ?? size,
      align: segment.type === PT.LOAD ? 0x1000 : 4,
      ...segment,
    };
    for (const name of Object.keys(PROGRAM_HEADER) as SegmentField[]) {
      setField(bytes, segmentField(i, name), values[name]);
    }
  }
  return bytes;
}

/** Bytes written as hexadecimal digits, in groups as one likes. */
export function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));
}

export interface NoteSpec {
  readonly owner?: string;
  /** Four letters, or the number itself. */
  readonly type: string | number;
  /** Bytes after the 20 of the header, padding included. */
  readonly content: Uint8Array;
  /** What the size fields say, where that isn't the truth. */
  readonly ownerSize?: number;
  readonly contentSize?: number;
}

/** A note of an owner with at most seven letters: 20 bytes, then its content. */
export function note({ owner = "Solo5", type, content, ownerSize, contentSize }: NoteSpec): Uint8Array {
  const bytes = new Uint8Array(20 + content.length);
  const number = typeof type === "number" ? type : Buffer.from(type, "latin1").readUInt32LE(0);
  setField(bytes, { at: 0, size: 4 }, ownerSize ?? owner.length + 1);
  setField(bytes, { at: 4, size: 4 }, contentSize ?? content.length);
  setField(bytes, { at: 8, size: 4 }, number);
  bytes.set(Buffer.from(owner, "latin1"), 12);
  bytes.set(content, 20);
  return bytes;
}

/** The ABI1 note of a target's number. */
export function abiNote(target: Int, version: Int): Uint8Array {
  const content = new Uint8Array(16);
  setField(content, { at: 0, size: 4 }, target);
  setField(content, { at: 4, size: 4 }, version);
  return note({ type: "ABI1", content });
}

export interface DeviceSpec {
  readonly name: string | Uint8Array;
  readonly type: Int;
}

export const BLOCK = 1;
export const NET = 2;
export const RESERVED: DeviceSpec = { name: "", type: 0x4000_0000 };

/** A manifest's content: version, number of entries, entries of 104 bytes, exactly those that are given. */
export function manifestContent(
  entries: readonly DeviceSpec[],
  version = 1,
  count = entries.length,
): Uint8Array {
  const bytes = new Uint8Array(8 + entries.length * 104);
  setField(bytes, { at: 0, size: 4 }, version);
  setField(bytes, { at: 4, size: 4 }, count);
  for (const [i, { name, type }] of entries.entries()) {
    bytes.set(typeof name === "string" ? new TextEncoder().encode(name) : name, 8 + i * 104);
    setField(bytes, { at: 8 + i * 104 + 68, size: 4 }, type);
  }
  return bytes;
}

/** The MFT1 note around a content: four bytes of padding come first and are counted. */
export function manifestNote(content: Uint8Array): Uint8Array {
  const padded = new Uint8Array(4 + content.length);
  padded.set(content, 4);
  return note({ type: "MFT1", content: padded });
}

export interface UnikernelSpec {
  readonly target?: Int;
  readonly version?: Int;
  /** Entries behind the reserved one. */
  readonly devices?: readonly DeviceSpec[];
}

/** The program headers of `unikernel`, in order. */
export const SOUND = {
  interp: 0,
  otherNote: 1,
  abi: 2,
  manifest: 3,
  text: 4,
  rodata: 5,
  emptyTls: 6,
  data: 7,
  tls: 8,
  bss: 9,
} as const;

/** What a linker makes of a unikernel since Solo5 0.8, an empty segment at address 0 among the others. */
export function unikernelSegments({ target = TARGET.hvt, version = 2, devices = [] }: UnikernelSpec = {}) {
  const bytes = (length: number) => new Uint8Array(length).fill(0x90);
  const segments: SegmentSpec[] = [
    { type: PT.INTERP, content: Buffer.from("/nonexistent/solo5/\0\0\0\0\0", "latin1") },
    { type: PT.NOTE, content: note({ owner: "OpenBSD", type: 1, content: new Uint8Array(4) }) },
    { type: PT.NOTE, content: abiNote(target, version) },
    { type: PT.NOTE, content: manifestNote(manifestContent([RESERVED, ...devices])) },
    { type: PT.LOAD, flags: PF.X, vaddr: 0x10_0000, content: bytes(40) },
    { type: PT.LOAD, flags: PF.R, vaddr: 0x10_1000, content: bytes(24) },
    { type: PT.LOAD, flags: PF.R, vaddr: 0, align: 0x1000 },
    { type: PT.LOAD, flags: PF.R | PF.W, vaddr: 0x10_2010, content: bytes(32), memSize: 0x1100 },
    { type: PT.TLS, flags: PF.R, vaddr: 0x10_2010 },
    { type: PT.LOAD, flags: PF.R | PF.W, vaddr: 0x10_4000, memSize: 0x2345 },
  ];
  return segments;
}

/** A sound unikernel of about two kilobytes. */
export function unikernel(spec: UnikernelSpec = {}): Uint8Array {
  return buildElf(unikernelSegments(spec));
}

/** A sound unikernel with some of its program headers replaced. */
export function unikernelWith(
  replaced: Partial<Record<keyof typeof SOUND, SegmentSpec>>,
  spec: UnikernelSpec = {},
): Uint8Array {
  const segments = unikernelSegments(spec);
  for (const [name, segment] of Object.entries(replaced))
    segments[SOUND[name as keyof typeof SOUND]] = segment;
  return buildElf(segments);
}

/** A sound unikernel with further program headers in front of its own or behind them. */
export function unikernelAround(
  before: readonly SegmentSpec[],
  behind: readonly SegmentSpec[] = [],
  spec: UnikernelSpec = {},
): Uint8Array {
  return buildElf([...before, ...unikernelSegments(spec), ...behind]);
}

/** Values that don't fit a double, wrap when something is added, or turn negative when taken as signed. */
export const HOSTILE_U64: readonly bigint[] = [
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 53n + 1n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 63n + 1n,
  2n ** 64n - 0x1000n,
  2n ** 64n - 1n,
];
