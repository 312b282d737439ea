/** Lines of a stored console, for pages. */
import type { Content } from "../../store/api.ts";
import type { TailLine } from "../../../web/pages/console-text.tsx";
import { Turns } from "../../lib/turns.ts";
import type { ServerContext } from "../context.ts";
import { shownLine } from "../../lib/shown-line.ts";

type Contents = ServerContext["contents"];

/** Bytes that the end of a console is looked for in. */
const TAIL_BYTES = 32 * 1024;
/** Characters of a line that are shown. */
const LONGEST = 4000;

/** The last lines. */
export async function consoleTail(contents: Contents, console: Content, count: number): Promise<TailLine[]> {
  const start = Math.max(console.size - TAIL_BYTES, 0);
  const bytes = await new Response(contents.read(console, { start, end: console.size })).bytes();
  const lines = splitLines(bytes);
  // The first one is broken off where it wasn't the beginning.
  if (start > 0) lines.shift();
  return lines.slice(-count).map((line) => readLine(line, undefined));
}

export interface Part {
  readonly lines: TailLine[];
  readonly total: number;
}

/** The lines from `first` (from 0) on, of those that contain `query`; and how many there are. Memory is a few chunks. */
export async function consolePart(
  contents: Contents,
  console: Content,
  { first, count, query }: { readonly first: number; readonly count: number; readonly query: string },
): Promise<Part> {
  const wanted = query.toLowerCase();
  const lines: TailLine[] = [];
  let number = 0;
  let total = 0;
  const take = (line: Uint8Array) => {
    number += 1;
    if (wanted === "" ? total >= first && lines.length < count : true) {
      const read = readLine(line, number);
      if (!read.text.toLowerCase().includes(wanted)) return;
      if (total >= first && lines.length < count) lines.push(read);
    }
    total += 1;
  };
  const turns = new Turns();
  let rest: Uint8Array = new Uint8Array();
  for await (const piece of contents.read(console)) {
    const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    let from = 0;
    for (let end; (end = bytes.indexOf(10, from)) >= 0; from = end + 1) {
      take(bytes.subarray(from, end));
      if (turns.isDue) await turns.give();
    }
    // A line without an end can't fill the memory: what is shown of it is short anyway.
    rest = bytes.slice(from, from + 4 * LONGEST);
  }
  if (rest.length > 0) take(rest);
  return { lines, total };
}

function splitLines(bytes: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  let from = 0;
  for (let end; (end = bytes.indexOf(10, from)) >= 0; from = end + 1) lines.push(bytes.subarray(from, end));
  if (from < bytes.length) lines.push(bytes.subarray(from));
  return lines;
}

/** `1.500s:text`. Pure. */
function readLine(bytes: Uint8Array, number: number | undefined): TailLine {
  const front = Buffer.from(bytes.subarray(0, 24)).toString("latin1");
  const [all = "", time = ""] = /^(\d{1,10}(?:\.\d{1,9})?s):/.exec(front) ?? [];
  return { number, time, text: shownLine(bytes.subarray(all.length), LONGEST) };
}
