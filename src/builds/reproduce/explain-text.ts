/** What differs in two texts: the first line, where in it they part. Pure. */
import type { ImageSource } from "../../image/source.ts";
import { MIB } from "../../lib/units.ts";

const TEXT_MAX = 4 * MIB;
/** Characters of a line that are shown, and of those, before the difference. */
const SHOWN = 160;
const BEFORE = 40;

/** One sentence for files without control characters; undefined for others. */
export function explainText(left: ImageSource, right: ImageSource): string | undefined {
  if (Math.max(left.size, right.size) > TEXT_MAX) return undefined;
  const [a, b] = [textOf(left), textOf(right)];
  if (a === undefined || b === undefined) return undefined;
  const [was, is] = [a.split("\n"), b.split("\n")];
  const at = was.findIndex((line, i) => line !== is[i]);
  const number = at === -1 ? was.length : at;
  const from = Math.max(0, partingOf(was[number] ?? "", is[number] ?? "") - BEFORE);
  return `line ${number + 1}: ${quote(was[number], from)} is ${quote(is[number], from)} now`;
}

function textOf(source: ImageSource): string | undefined {
  const text = Buffer.from(source.read(0, source.size)).toString("utf8");
  // oxlint-disable-next-line no-control-regex
  return /[\0-\x08\x0e-\x1a\ufffd]/.test(text) ? undefined : text;
}

/** Long lines begin shortly before they part. */
function partingOf(was: string, is: string): number {
  if (Math.max(was.length, is.length) <= SHOWN) return 0;
  let at = 0;
  while (at < was.length && was[at] === is[at]) at++;
  return at;
}

function quote(line: string | undefined, from: number): string {
  if (line === undefined) return "nothing";
  const end = from + SHOWN;
  return JSON.stringify(`${from > 0 ? "…" : ""}${line.slice(from, end)}${line.length > end ? "…" : ""}`);
}
