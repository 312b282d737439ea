/**
 * A console.txt as the entries that it was written from: lines `1.500s:text`, where one without a time goes on with the
 * entry before. Times are whole milliseconds: more isn't in the file. Pure.
 */
import { MIB } from "../../lib/units.ts";
import type { TimedLine } from "../api.ts";

const LINE_END = 10;
/** An entry that is longer becomes several. */
const LONGEST = MIB;
/** Longer than any time in front. */
const FRONT = 24;

/** The entries, oldest first. Memory is bounded by a piece and an entry. */
export async function* consoleEntries(
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<TimedLine, void, void> {
  const entry = new Entry();
  let rest: Uint8Array = new Uint8Array(0);
  for await (const piece of pieces) {
    const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    let from = 0;
    for (let end; (end = bytes.indexOf(LINE_END, from)) >= 0; from = end + 1) {
      yield* entry.take(bytes.subarray(from, end));
    }
    if (bytes.length - from > LONGEST) {
      yield* entry.take(bytes.subarray(from));
      from = bytes.length;
    }
    rest = bytes.slice(from);
  }
  if (rest.length > 0) yield* entry.take(rest);
  yield* entry.end();
}

class Entry {
  #delta = 0n;
  #lines: Uint8Array[] = [];
  #size = 0;

  /** Answers the entry before, where this line begins another. */
  *take(line: Uint8Array): Generator<TimedLine, void, void> {
    const front = Buffer.from(line.subarray(0, FRONT)).toString("latin1");
    const [time = "", seconds = "", fraction = ""] = /^(\d{1,9})(?:\.(\d{1,9}))?s:/.exec(front) ?? [];
    if (time !== "" || this.#size > LONGEST) yield* this.end();
    if (time !== "") this.#delta = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0"));
    this.#lines.push(line.slice(time.length));
    this.#size += line.length + 1;
  }

  *end(): Generator<TimedLine, void, void> {
    if (this.#lines.length === 0) return;
    const text = Buffer.concat(this.#lines.flatMap((line, i) => (i === 0 ? [line] : [SEPARATOR, line])));
    [this.#lines, this.#size] = [[], 0];
    yield { delta: this.#delta, text };
  }
}

const SEPARATOR: Uint8Array = Uint8Array.of(LINE_END);
