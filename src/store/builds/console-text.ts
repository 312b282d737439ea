/**
 * The console as people read it: lines `1.500s:text`, as builder-web keeps them. The bytes of the text stay what they
 * are. Where an entry has line ends within, each of its lines gets the entry's time, so that every line of a console
 * has one; the record has the entry as it was.
 */

const LINE_END = 10;

/** An entry as lines. `delta`: nanoseconds since the start. */
export function consoleText(delta: bigint, text: Uint8Array): Uint8Array {
  const prefix = `${(Number(delta) / 1e9).toFixed(3)}s:`;
  if (!text.includes(LINE_END)) return Buffer.concat([Buffer.from(prefix), text, Buffer.of(LINE_END)]);
  const lines = Buffer.from(text).toString("latin1").split("\n");
  return Buffer.from(lines.map((line) => `${prefix}${line}\n`).join(""), "latin1");
}
