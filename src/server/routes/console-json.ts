/** Console lines for programs and browsers. */
import type { ConsoleItem, ConsoleLine, Started } from "../../orchestrator/api.ts";
import { printable } from "../../lib/printable.ts";

export interface LineJson {
  /** What to give as `after` to go on behind this line. */
  readonly cursor: number;
  readonly at: number;
  /** Safe to show: control characters are written out, only colours are left. */
  readonly text: string;
  readonly isWhole: boolean;
  /** The guest's bytes, where they were asked for. */
  readonly base64?: string;
}

export interface GapJson {
  readonly gap: { readonly from: number; readonly to: number };
}

export function lineJson(line: ConsoleLine, isRaw = false): LineJson {
  const { cursor, at, bytes, isWhole } = line;
  const text = printable(bytes, true);
  return { cursor, at, text, isWhole, ...(isRaw ? { base64: bytes.toBase64() } : {}) };
}

export function itemJson(item: ConsoleItem, isRaw = false): LineJson | GapJson {
  return item.kind === "line" ? lineJson(item.line, isRaw) : { gap: { from: item.from, to: item.to } };
}

/** What became of a start, with the first lines of its console. */
export function startedJson({ unikernel, console }: Started) {
  return { unikernel, console: console.map((line) => lineJson(line)) };
}
