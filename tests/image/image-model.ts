/**
 * What a Solo5 tender makes of an image, written a second time and straight from the rules, in integers of any
 * size: the oracle that the real readers are compared with. It knows nothing of their code but the error codes.
 */
import { HOST_ARCHITECTURE } from "../../src/lib/architecture.ts";
import { ImageError, type ImageErrorCode } from "../../src/image/image-error.ts";
import { type LoadPlan, planLoad } from "../../src/image/segments.ts";
import { type ImageSource, bytesSource } from "../../src/image/source.ts";
import { checkTarget, readUnikernel } from "../../src/image/unikernel.ts";
import { MACHINE, PF, PT } from "./elf-builder.ts";

export interface ModelSegment {
  readonly offset: bigint;
  readonly fileSize: bigint;
  readonly vaddr: bigint;
  readonly memSize: bigint;
  readonly start: bigint;
  readonly end: bigint;
  readonly flags: bigint;
}

/** The codes that are right for a refused image; more than one where the reason is a matter of taste. */
export type Verdict =
  | { readonly refused: readonly ImageErrorCode[] }
  | { readonly entry: bigint; readonly kernelEnd: bigint; readonly segments: readonly ModelSegment[] };

const LOWEST = 0x10_0000n;
const PAGE = 0x1000n;
const MANIFEST_MOST = 12 + 64 * 104;

class Refusal extends Error {
  constructor(readonly codes: readonly ImageErrorCode[]) {
    super(codes.join());
  }
}

function refuse(...codes: ImageErrorCode[]): never {
  throw new Refusal(codes);
}

/** Judges an image for a tender of `target` (its number) with `memory` bytes. */
export function judge(bytes: Uint8Array, target: number, memory: bigint): Verdict {
  try {
    const headers = judgeHeader(bytes);
    const abi = findNote(bytes, headers, 0x3149_4241n, 4, 32);
    if (abi === undefined) refuse("no-abi-note", "not-a-unikernel", "wrong-target");
    if (abi.length < 8) refuse("invalid-note");
    const manifest = findNote(bytes, headers, 0x3154_464dn, 8, MANIFEST_MOST);
    if (manifest === undefined) refuse("no-manifest");
    judgeManifest(manifest);
    if (number(bytes, 18, 2) !== BigInt(MACHINE[HOST_ARCHITECTURE])) refuse("wrong-machine");
    if (number(abi, 0, 4) !== BigInt(target)) refuse("wrong-target");
    if (![1n, 2n].includes(number(abi, 4, 4))) refuse("unsupported-abi-version");
    return judgeSegments(headers, number(bytes, 24, 8), memory, BigInt(bytes.length));
  } catch (error) {
    if (error instanceof Refusal) return { refused: error.codes };
    throw error;
  }
}

/** Little-endian, any size; bytes past the end are an error of the model's. */
function number(bytes: Uint8Array, at: number, size: number): bigint {
  if (at + size > bytes.length) throw new RangeError(`${at}+${size} of ${bytes.length}`);
  let value = 0n;
  for (let i = size - 1; i >= 0; i--) value = value * 256n + BigInt(bytes[at + i]!);
  return value;
}

/** Bytes at an offset of any size, or undefined where the file doesn't have all of them. */
function piece(bytes: Uint8Array, at: bigint, size: number): Uint8Array | undefined {
  if (at + BigInt(size) > BigInt(bytes.length)) return undefined;
  return bytes.subarray(Number(at), Number(at) + size);
}

interface ModelHeader {
  readonly type: bigint;
  readonly flags: bigint;
  readonly offset: bigint;
  readonly vaddr: bigint;
  readonly fileSize: bigint;
  readonly memSize: bigint;
  readonly align: bigint;
}

function judgeHeader(bytes: Uint8Array): ModelHeader[] {
  if (bytes.length < 4 || number(bytes, 0, 4) !== 0x464c_457fn) refuse("not-elf");
  if (bytes.length < 64) refuse("invalid-elf");
  if (bytes[4] !== 2 || bytes[5] !== 1 || number(bytes, 16, 2) !== 2n) refuse("unsupported-elf");
  if (!Object.values(MACHINE).includes(Number(number(bytes, 18, 2)) as never)) refuse("unsupported-elf");
  if (number(bytes, 20, 4) !== 1n) refuse("unsupported-elf");
  if (number(bytes, 52, 2) !== 64n || number(bytes, 54, 2) !== 56n) refuse("invalid-elf");
  const count = Number(number(bytes, 56, 2));
  const table = piece(bytes, number(bytes, 32, 8), count * 56);
  if (count === 0 || table === undefined) return refuse("invalid-elf");
  return Array.from({ length: count }, (_, i) => ({
    type: number(table, i * 56, 4),
    flags: number(table, i * 56 + 4, 4),
    offset: number(table, i * 56 + 8, 8),
    vaddr: number(table, i * 56 + 16, 8),
    fileSize: number(table, i * 56 + 32, 8),
    memSize: number(table, i * 56 + 40, 8),
    align: number(table, i * 56 + 48, 8),
  }));
}

function findNote(
  bytes: Uint8Array,
  headers: readonly ModelHeader[],
  type: bigint,
  align: number,
  most: number,
): Uint8Array | undefined {
  for (const header of headers) {
    if (header.type !== BigInt(PT.NOTE)) continue;
    if (header.fileSize < 12n) refuse("invalid-note");
    if (header.fileSize < 20n) continue;
    const head = piece(bytes, header.offset, 20);
    if (head === undefined) return refuse("invalid-note");
    const owner = Buffer.from(head.subarray(12, 18)).toString("latin1");
    if (number(head, 0, 4) !== 6n || owner !== "Solo5\0" || number(head, 8, 4) !== type) continue;
    const size = number(head, 4, 4);
    const padding = Math.ceil(20 / align) * align - 20;
    if (size < 1n || size > BigInt(most) || header.fileSize < 20n + size) refuse("invalid-note");
    if (size <= BigInt(padding)) refuse("invalid-note");
    return (
      piece(bytes, header.offset + 20n + BigInt(padding), Number(size) - padding) ?? refuse("invalid-note")
    );
  }
  return undefined;
}

function judgeManifest(content: Uint8Array): void {
  if (content.length < 8 || number(content, 0, 4) !== 1n) refuse("invalid-manifest");
  const count = number(content, 4, 4);
  if (count > 64n || count < 1n || BigInt(content.length) !== 8n + 104n * count) refuse("invalid-manifest");
  if (number(content, 8 + 68, 4) !== 0x4000_0000n || content[8] !== 0) refuse("invalid-manifest");
  for (let at = 8; at < content.length; at += 104) {
    if (content[at + 67] !== 0 || content[at + 96] !== 0) refuse("invalid-manifest");
  }
}

function judgeSegments(
  headers: readonly ModelHeader[],
  entry: bigint,
  memory: bigint,
  fileSize: bigint,
): Verdict {
  const loads = headers.filter(({ type }) => type === BigInt(PT.LOAD));
  if (loads.some(({ vaddr, memSize }) => memSize > 0n && vaddr + memSize > memory))
    refuse("too-little-memory");
  if (entry < LOWEST || entry >= memory) refuse("invalid-segment");
  let kernelEnd = 0n;
  let last = 0n;
  const segments: ModelSegment[] = [];
  for (const header of loads) {
    const { vaddr, memSize, align, offset, flags } = header;
    if (header.fileSize === 0n) continue;
    if (vaddr < LOWEST || vaddr < last) refuse("invalid-segment");
    last = vaddr;
    if (align === 0n || (align & (align - 1n)) !== 0n) refuse("invalid-segment");
    const start = vaddr & -align;
    if (start < LOWEST || start < kernelEnd) refuse("invalid-segment");
    if (vaddr >= memory || vaddr + header.fileSize > memory) refuse("invalid-segment");
    if (memSize < header.fileSize) refuse("invalid-segment");
    const end = ((vaddr + memSize + align - 1n) / align) * align;
    if (end > memory || offset + header.fileSize > fileSize) refuse("invalid-segment");
    if (start % PAGE !== 0n || end % PAGE !== 0n) refuse("invalid-segment");
    if ((flags & BigInt(PF.W)) !== 0n && (flags & BigInt(PF.X)) !== 0n) refuse("invalid-segment");
    if (end > kernelEnd) kernelEnd = end;
    segments.push({ offset, fileSize: header.fileSize, vaddr, memSize, start, end, flags });
  }
  return { entry, kernelEnd, segments };
}

/** The code of the ImageError that some work throws; "accepted" if none. Any other error passes through. */
export function codeOf(work: () => unknown): ImageErrorCode | "accepted" {
  try {
    work();
    return "accepted";
  } catch (error) {
    if (error instanceof ImageError) return error.code;
    throw error;
  }
}

/** Everything the code under test does with an image before a guest could start. */
export function load(source: ImageSource, target: "hvt" | "spt", memory: number): LoadPlan {
  const unikernel = readUnikernel(source);
  checkTarget(unikernel, target);
  return planLoad(unikernel.elf, memory, source.size);
}

/** The same for bytes. */
export function loadBytes(bytes: Uint8Array, target: "hvt" | "spt" = "hvt", memory = 0x100_0000): LoadPlan {
  return load(bytesSource(bytes), target, memory);
}

/**
 * What is wrong with a plan for `memory` bytes and a file of `fileSize`; an empty list when it may be carried
 * out without any further check.
 */
export function violations(plan: LoadPlan, memory: number, fileSize: number): string[] {
  const wrong: string[] = [];
  const rule = (holds: boolean, what: string) => {
    if (!holds) wrong.push(what);
  };
  const numbers = [plan.entry, plan.kernelEnd, plan.memoryEnd, ...plan.segments.flatMap(Object.values)];
  rule(
    numbers.every((value) => Number.isSafeInteger(value) && (value as number) >= 0),
    "every field is an exact number",
  );
  rule(plan.entry >= 0x10_0000 && plan.entry < memory, "the entry point is in memory");
  rule(plan.memoryEnd >= plan.kernelEnd && plan.memoryEnd <= memory, "its end is in memory");
  let taken = 0x10_0000;
  for (const { offset, fileSize: size, vaddr, memSize, start, end, flags } of plan.segments) {
    rule(start >= taken, "segments ascend and don't overlap");
    rule(
      start <= vaddr && vaddr + memSize <= end && end <= memory,
      "a segment is inside its pages and memory",
    );
    rule(size > 0 && size <= memSize, "its bytes fit it");
    rule(offset + size <= fileSize, "its bytes are in the file");
    rule(start % 0x1000 === 0 && end % 0x1000 === 0, "it is whole pages");
    rule((flags & (PF.W | PF.X)) !== (PF.W | PF.X), "it isn't writable and executable");
    taken = end;
  }
  rule(plan.kernelEnd === (plan.segments.length === 0 ? 0 : taken), "the end is the last segment's");
  return wrong;
}

/** Where the code under test and the model differ about an image; undefined where they agree. */
export function disagreement(
  bytes: Uint8Array,
  source: ImageSource,
  target: "hvt" | "spt",
  memory: number,
): string | undefined {
  const verdict = judge(bytes, target === "hvt" ? 1 : 2, BigInt(memory));
  let plan: LoadPlan | undefined;
  const code = codeOf(() => {
    plan = load(source, target, memory);
  });
  if ("refused" in verdict || plan === undefined) {
    const expected: readonly string[] = "refused" in verdict ? verdict.refused : ["accepted"];
    return expected.includes(code) ? undefined : `${code} instead of ${expected.join(" or ")}`;
  }
  const broken = violations(plan, memory, bytes.length);
  if (broken.length > 0) return `a plan against the rules: ${broken.join(", ")}`;
  const { entry, kernelEnd, segments } = plan;
  const exact = {
    entry: BigInt(entry),
    kernelEnd: BigInt(kernelEnd),
    segments: segments.map((segment) => ({
      offset: BigInt(segment.offset),
      fileSize: BigInt(segment.fileSize),
      vaddr: BigInt(segment.vaddr),
      memSize: BigInt(segment.memSize),
      start: BigInt(segment.start),
      end: BigInt(segment.end),
      flags: BigInt(segment.flags),
    })),
  };
  return Bun.deepEquals(exact, verdict) ? undefined : "another plan than the model's";
}
