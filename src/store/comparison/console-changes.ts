/** Where two builds' consoles part. Lines are `1.500s:text`; times and colours are no difference. */
import { uncoloured } from "../../lib/printable.ts";

/** A console, or its beginning and its end where it is long. */
export interface ConsoleText {
  readonly beginning: string;
  /** The last lines; they may overlap the beginning. */
  readonly end: string;
  /** There is more than `beginning`. */
  readonly isCut: boolean;
}

export interface ConsoleChanges {
  /** Undefined: the lines are the same, as far as they were read. */
  readonly firstDifference:
    | { readonly line: number; readonly left: string | undefined; readonly right: string | undefined }
    | undefined;
  readonly isCut: boolean;
  /** The last lines of each, oldest first. */
  readonly leftTail: readonly string[];
  readonly rightTail: readonly string[];
}

const TAIL_LINES = 20;
/** Longer lines are cut: a console may be one line. */
const LINE_LENGTH = 500;

export function compareConsoles(left: ConsoleText, right: ConsoleText): ConsoleChanges {
  const isCut = left.isCut || right.isCut;
  return {
    firstDifference: firstDifference(left.beginning, right.beginning, isCut),
    isCut,
    leftTail: tailOf(left.end),
    rightTail: tailOf(right.end),
  };
}

function firstDifference(left: string, right: string, isCut: boolean): ConsoleChanges["firstDifference"] {
  let l = 0;
  let r = 0;
  for (let line = 1; l < left.length || r < right.length; line++) {
    const leftLine = lineAt(left, l);
    const rightLine = lineAt(right, r);
    // Where one of them was cut off nothing is known.
    if (isCut && (leftLine === undefined || rightLine === undefined)) return undefined;
    if (leftLine?.text !== rightLine?.text && plain(leftLine?.text) !== plain(rightLine?.text))
      return { line, left: shown(leftLine?.text), right: shown(rightLine?.text) };
    l = leftLine?.next ?? left.length;
    r = rightLine?.next ?? right.length;
  }
  return undefined;
}

function lineAt(text: string, at: number): { readonly text: string; readonly next: number } | undefined {
  if (at >= text.length) return undefined;
  const newline = text.indexOf("\n", at);
  const end = newline < 0 ? text.length : newline;
  return { text: withoutTime(text.slice(at, end)), next: end + 1 };
}

const withoutTime = (line: string) => line.replace(/^[0-9]+\.[0-9]+s:/, "");

const plain = (line: string | undefined) => (line === undefined ? undefined : uncoloured(line));

/** As it is read: without colours, other control characters spelled out, and cut. */
function shown(line: string | undefined): string | undefined {
  if (line === undefined) return undefined;
  const text = uncoloured(line.slice(0, 4 * LINE_LENGTH));
  return text.length <= LINE_LENGTH ? text : `${text.slice(0, LINE_LENGTH)}…`;
}

function tailOf(end: string): string[] {
  const lines = end.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines.slice(-TAIL_LINES).map((line) => shown(withoutTime(line)) ?? "");
}
