/**
 * What of an image goes where in guest memory. Pure: the tenders perform it, each with its own way to map and
 * protect. The order of the checks and what they refuse follow the Solo5 tenders, so that an image either
 * starts under all of them or under none.
 */
import { type Elf, PF_W, PF_X, PT_LOAD, type ProgramHeader } from "./elf.ts";
import { ImageError } from "./image-error.ts";
import { GIB, MIB, formatSize } from "../lib/units.ts";

/** Below this address lie the tables of the tender (hvt) or nothing at all (spt). */
export const LOWEST_ADDRESS = 0x10_0000;
export const PAGE_SIZE = 0x1000;

export interface Segment {
  /** Where in the file its bytes begin, and how many there are. */
  readonly offset: number;
  readonly fileSize: number;
  /** Where they go, and how many bytes it has in memory; the rest is zero. */
  readonly vaddr: number;
  readonly memSize: number;
  /** Whole pages [start, end) that get the protection of `flags` (PF_R, PF_W, PF_X). */
  readonly start: number;
  readonly end: number;
  readonly flags: number;
}

export interface LoadPlan {
  readonly entry: number;
  /** The end of the last segment that has bytes in the file. */
  readonly kernelEnd: number;
  /** The end of everything, .bss included: the least memory that makes sense. */
  readonly memoryEnd: number;
  readonly segments: readonly Segment[];
}

/**
 * Checks an image against `memory` bytes and a file of `fileSize` bytes.
 * Throws ImageError invalid-segment or too-little-memory.
 */
export function planLoad(elf: Elf, memory: number, fileSize: number): LoadPlan {
  const memoryEnd = endOfMemory(elf);
  if (memoryEnd > memory) tooLarge(memoryEnd, memory);
  if (elf.entry < LOWEST_ADDRESS || elf.entry >= memory)
    invalid(`entry point ${hex(elf.entry)} is outside of memory`);
  const segments: Segment[] = [];
  let kernelEnd = 0;
  let last = 0;
  for (const header of elf.programHeaders) {
    // Solo5 0.8's linker scripts leave an empty segment at address 0: skip it before any other check.
    if (header.type !== PT_LOAD || header.fileSize === 0) continue;
    const segment = planSegment(header, memory, fileSize, last, kernelEnd);
    last = header.vaddr;
    kernelEnd = Math.max(kernelEnd, segment.end);
    segments.push(segment);
  }
  return { entry: elf.entry, kernelEnd, memoryEnd: Math.max(memoryEnd, kernelEnd), segments };
}

function planSegment(
  header: ProgramHeader,
  memory: number,
  fileSize: number,
  last: number,
  taken: number,
): Segment {
  const { vaddr, align } = header;
  const name = `segment at ${hex(vaddr)}`;
  if (vaddr < LOWEST_ADDRESS) invalid(`${name} lies below ${hex(LOWEST_ADDRESS)}`);
  if (vaddr < last) invalid(`${name} comes after one at ${hex(last)}: not in ascending order`);
  if (!isPowerOfTwo(align)) invalid(`${name} has alignment ${align}, not a power of two`);
  if (vaddr >= memory || vaddr + header.fileSize > memory) invalid(`${name} ends outside of memory`);
  const start = vaddr - (vaddr % align);
  if (start < LOWEST_ADDRESS) invalid(`${name}, aligned, begins below ${hex(LOWEST_ADDRESS)}`);
  if (start < taken) invalid(`${name} overlaps the one before it`);
  if (header.memSize < header.fileSize) invalid(`${name} is smaller in memory than in the file`);
  const end = Math.ceil((vaddr + header.memSize) / align) * align;
  if (end > memory) invalid(`${name} ends outside of memory`);
  if (header.offset + header.fileSize > fileSize)
    invalid(`${name} lies beyond the end of the file: it is truncated`);
  if (start % PAGE_SIZE !== 0 || end % PAGE_SIZE !== 0) invalid(`${name} is not aligned to pages`);
  if ((header.flags & PF_W) !== 0 && (header.flags & PF_X) !== 0) {
    invalid(`${name} is both writable and executable`);
  }
  const { offset, memSize, flags } = header;
  return { offset, fileSize: header.fileSize, vaddr, memSize, start, end, flags };
}

function tooLarge(memoryEnd: number, memory: number): never {
  const enough = Math.ceil(memoryEnd / (2 * MIB)) * 2 + 2;
  throw new ImageError(
    "too-little-memory",
    `the image takes ${formatSize(memoryEnd)} of ${formatSize(memory)} memory`,
    {
      why: "its program and data must fit below the end of memory, and its heap and stack beside them",
      ...(memoryEnd < 4 * GIB ? { hint: `--memory ${enough}M or more` } : {}),
    },
  );
}

function endOfMemory(elf: Elf): number {
  return elf.programHeaders
    .filter(({ type, memSize }) => type === PT_LOAD && memSize > 0)
    .reduce((end, { vaddr, memSize }) => Math.max(end, vaddr + memSize), 0);
}

/** Exact for every double that holds an integer: a power of two has only one factor. */
function isPowerOfTwo(value: number): boolean {
  if (value < 1) return false;
  return Number.isInteger(Math.log2(value)) && 2 ** Math.log2(value) === value;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

function invalid(what: string): never {
  throw new ImageError("invalid-segment", `invalid executable: ${what}`);
}
