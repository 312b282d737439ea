/** Console lines of runs and builds, on a terminal or into a pipe. */
import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import { print, printError } from "../../linux/libc.ts";
import { shownLine } from "../../lib/shown-line.ts";

/** As the API gives a line; `base64`: the job's bytes, where they were asked for. */
export interface Line {
  readonly seconds: number;
  /** Safe to show. */
  readonly text: string;
  readonly base64?: string;
}

export interface ShowLines {
  readonly timestamps: boolean;
  readonly raw: boolean;
}

/** Whether nobody would see colours on a descriptor. */
const isPlain = (fd: 1 | 2) => !isatty(fd) || Boolean(process.env["NO_COLOR"]);

/** Prints lines: without colours where nobody would see them, or the job's own bytes. */
export function linePrinter({ timestamps, raw }: ShowLines): (line: Line) => void {
  const isUncoloured = isPlain(1);
  return ({ seconds, text, base64 }) => {
    if (timestamps) print(`${seconds.toFixed(3).padStart(9)}s `);
    if (!raw || base64 === undefined) return print(`${isUncoloured ? Bun.stripANSI(text) : text}\n`);
    const bytes = Uint8Array.fromBase64(base64);
    for (let done = 0; done < bytes.length;) done += writeSync(1, bytes, done);
    print("\n");
  };
}

/** Prints lines of a job that runs here, as linePrinter does, on standard error. */
export function errorLinePrinter(): (bytes: Uint8Array) => void {
  const isUncoloured = isPlain(2);
  return (bytes) => {
    const text = shownLine(bytes);
    printError(`${isUncoloured ? Bun.stripANSI(text) : text}\n`);
  };
}

const NEWLINE = 10;

/** The lines of a console as the store has it, `1.500s:text` each. Memory is a line. */
export async function* storedLines(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Line, void> {
  let rest: Uint8Array = new Uint8Array();
  for await (const piece of pieces) {
    const bytes = rest.length === 0 ? piece : new Uint8Array(Buffer.concat([rest, piece]));
    let at = 0;
    for (let end; (end = bytes.indexOf(NEWLINE, at)) >= 0; at = end + 1)
      yield lineOf(bytes.subarray(at, end));
    rest = bytes.slice(at);
  }
  if (rest.length > 0) yield lineOf(rest);
}

function lineOf(bytes: Uint8Array): Line {
  const [front = "", seconds = "0"] =
    /^(\d{1,10}\.\d{3})s:/.exec(Buffer.from(bytes.subarray(0, 32)).toString("latin1")) ?? [];
  const text = bytes.subarray(front.length);
  return { seconds: Number(seconds), text: shownLine(text), base64: text.toBase64() };
}
