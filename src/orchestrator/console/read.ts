/** From bytes to lines. Pure: where the bytes come from and when they were written is asked of the caller. */
import type { ConsoleCursor, ConsoleItem, ConsoleLine } from "./line.ts";

const NEWLINE = 10;
/** A longer line is told in pieces of this size. */
export const LONGEST_LINE = 8192;

/** Lines in `bytes`, which begin at position `from`. */
export interface Cut {
  readonly lines: readonly ConsoleLine[];
  /** Behind the last line; what follows there has no end yet. */
  readonly next: number;
}

export interface CutOptions {
  /** At most so many lines. */
  readonly limit: number;
  /** Nothing will follow: the last bytes are a line though they have no end. */
  readonly isFinal: boolean;
  /** When the byte before this position was written. */
  readonly timeOf: (position: number) => number;
}

/** Cuts bytes into lines. An empty line is a line. */
export function cutLines(bytes: Uint8Array, from: number, { limit, isFinal, timeOf }: CutOptions): Cut {
  const lines: ConsoleLine[] = [];
  let at = 0;
  const push = (end: number, next: number, isWhole: boolean) => {
    const cursor = (from + next) as ConsoleCursor;
    lines.push({ cursor, at: timeOf(cursor), bytes: bytes.slice(at, end), isWhole });
    at = next;
  };
  while (at < bytes.length && lines.length < limit) {
    const newline = bytes.indexOf(NEWLINE, at);
    const end = newline < 0 ? bytes.length : newline;
    if (end - at > LONGEST_LINE) push(at + LONGEST_LINE, at + LONGEST_LINE, false);
    else if (newline >= 0) push(newline, newline + 1, true);
    else if (isFinal) push(bytes.length, bytes.length, false);
    else break;
  }
  return { lines, next: from + at };
}

/** The offset in `bytes` behind its first newline: where the first line begins that is surely whole. */
export function firstWhole(bytes: Uint8Array): number {
  const newline = bytes.indexOf(NEWLINE);
  return newline < 0 ? bytes.length : newline + 1;
}

/** The offset at which the last `count` lines begin. A line without an end counts as one. */
export function lastLines(bytes: Uint8Array, count: number): number {
  let at = bytes.length;
  if (count <= 0) return at;
  // The newline at the very end ends the last line and begins none.
  let before = bytes.at(-1) === NEWLINE ? bytes.length - 2 : bytes.length - 1;
  for (let left = count; left > 0; left--) {
    if (before < 0) return 0;
    const newline = bytes.lastIndexOf(NEWLINE, before);
    at = newline + 1;
    before = newline - 1;
    if (newline < 0) return 0;
  }
  return at;
}

/** Items for lines. */
export function itemsOf(lines: readonly ConsoleLine[]): ConsoleItem[] {
  return lines.map((line) => ({ kind: "line", line }));
}
