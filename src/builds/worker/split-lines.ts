/** Console bytes as lines: without line ends, and a terminal's carriage return before them. */
import { LINE_MAX } from "../runs/console.ts";

const NEWLINE = 10;
const RETURN = 13;

/** Takes bytes as they come; a line that grows beyond `limit` is given in pieces. */
export class LineSplitter {
  readonly #limit: number;
  #rest: Uint8Array[] = [];
  #size = 0;

  constructor(limit = LINE_MAX) {
    this.#limit = limit;
  }

  /** The lines that are whole now. They are copies. */
  push(bytes: Uint8Array): Uint8Array[] {
    const lines: Uint8Array[] = [];
    let from = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
      this.#add(bytes.subarray(from, end), lines);
      lines.push(this.#take(true));
      from = end + 1;
    }
    this.#add(bytes.subarray(from), lines);
    return lines;
  }

  /** What came behind the last line end. */
  end(): Uint8Array[] {
    return this.#size === 0 ? [] : [this.#take(true)];
  }

  #add(bytes: Uint8Array, lines: Uint8Array[]): void {
    let rest = bytes;
    while (this.#size + rest.length > this.#limit) {
      const fits = this.#limit - this.#size;
      this.#keep(rest.subarray(0, fits));
      lines.push(this.#take(false));
      rest = rest.subarray(fits);
    }
    this.#keep(rest);
  }

  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#rest.push(bytes.slice());
    this.#size += bytes.length;
  }

  #take(isWhole: boolean): Uint8Array {
    const line = this.#rest.length === 1 ? this.#rest[0]! : new Uint8Array(Buffer.concat(this.#rest));
    this.#rest = [];
    this.#size = 0;
    return isWhole && line.at(-1) === RETURN ? line.subarray(0, -1) : line;
  }
}
