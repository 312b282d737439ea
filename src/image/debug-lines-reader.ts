/** Reads fields one after another. Past the end everything is zero and `isOver` says so: the caller asks once. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  at = 0;
  isOver = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get size(): number {
    return this.#bytes.length;
  }

  get isAtEnd(): boolean {
    return this.isOver || this.at >= this.#bytes.length;
  }

  /** Where `length` bytes begin, which are passed by; -1 past the end. */
  #take(length: number): number {
    const at = this.at;
    if (this.isOver || at + length > this.#bytes.length) {
      this.isOver = true;
      this.at = this.#bytes.length;
      return -1;
    }
    this.at = at + length;
    return at;
  }

  u8(): number {
    const at = this.#take(1);
    return at < 0 ? 0 : this.#bytes[at]!;
  }

  u16(): number {
    const at = this.#take(2);
    return at < 0 ? 0 : this.#view.getUint16(at, true);
  }

  u32(): number {
    const at = this.#take(4);
    return at < 0 ? 0 : this.#view.getUint32(at, true);
  }

  /** Exact below 2^53, and never below that for what is more. */
  u64(): number {
    const low = this.u32();
    return low + this.u32() * 0x1_0000_0000;
  }

  skip(length: number): void {
    this.#take(length);
  }

  /** LEB128 of DWARF. Exact below 2^53; more than ten bytes are no number. */
  uleb(): number {
    let value = 0;
    for (let factor = 1, count = 0; count < 10; count++, factor *= 128) {
      const byte = this.u8();
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    this.isOver = true;
    return 0;
  }

  sleb(): number {
    let value = 0;
    for (let factor = 1, count = 0; count < 10; count++) {
      const byte = this.u8();
      value += (byte & 127) * factor;
      factor *= 128;
      if (byte < 128) return (byte & 64) === 0 ? value : value - factor;
    }
    this.isOver = true;
    return 0;
  }

  /** Up to the next NUL; at most `most` bytes of it are kept. */
  text(most: number): string {
    const end = this.#bytes.indexOf(0, this.at);
    if (end === -1) {
      this.isOver = true;
      return "";
    }
    const text = Buffer.from(
      this.#bytes.buffer,
      this.#bytes.byteOffset + this.at,
      Math.min(end - this.at, most),
    ).toString("utf8");
    this.at = end + 1;
    return text;
  }
}
