/**
 * Writes DER from its end: the length in front of a value is known once the value is written, so nothing is measured
 * beforehand and nothing is moved afterwards.
 */

export class DerWriter {
  #bytes = new Uint8Array(256);
  #start = 256;

  /** Bytes written so far. */
  get length(): number {
    return this.#bytes.length - this.#start;
  }

  /** Puts bytes in front of all that was written. */
  prepend(bytes: Uint8Array | readonly number[]): void {
    this.#grow(bytes.length);
    this.#start -= bytes.length;
    this.#bytes.set(bytes, this.#start);
  }

  /** Puts the header of a value in front, whose contents are the `length` bytes written last. */
  header(tag: number, length: number): void {
    this.prepend(encodeHeader(tag, length));
  }

  /** Everything that was written: a view, good until more is written. */
  finish(): Uint8Array {
    return this.#bytes.subarray(this.#start);
  }

  #grow(more: number): void {
    if (more <= this.#start) return;
    const used = this.length;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, used + more));
    larger.set(this.finish(), larger.length - used);
    this.#start = larger.length - used;
    this.#bytes = larger;
  }
}

/** A value's identifier octet and length, in the shortest form. */
export function encodeHeader(tag: number, length: number): number[] {
  if (length < 0x80) return [tag, length];
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return [tag, 0x80 | octets.length, ...octets];
}

/** The bytes that a value takes whose contents are so long. */
export function encodedSize(length: number): number {
  let header = 2;
  if (length >= 0x80) for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) header++;
  return header + length;
}
