/** Bytes from a stream, a wanted number at a time. Holds no more than one chunk beyond what was asked for. */
import { DerError } from "./der-error.ts";

export class ByteInput implements AsyncDisposable {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);
  #offset = 0;

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  /** Bytes before the next one. */
  get offset(): number {
    return this.#offset;
  }

  /** Whether the stream has no more. */
  async isAtEnd(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      const { done, value } = await this.#chunks.next();
      if (done === true) return true;
      this.#chunk = value;
    }
    return false;
  }

  /** What is there without waiting: a view, good until the next call. */
  get ready(): Uint8Array {
    return this.#chunk;
  }

  /** Waits until so many bytes are ready, or all there are. The caller knows that they fit. */
  async fill(length: number): Promise<void> {
    if (this.#chunk.length >= length || (await this.isAtEnd())) return;
    const parts: Uint8Array[] = [];
    let held = 0;
    while (held < length && !(await this.isAtEnd())) {
      parts.push(this.#chunk.slice());
      held += this.#chunk.length;
      this.#chunk = new Uint8Array(0);
    }
    this.#chunk = parts.length === 1 ? parts[0]! : new Uint8Array(Buffer.concat(parts));
  }

  /** Goes on behind so many of the ready bytes, and answers them: a view. */
  skip(length: number): Uint8Array {
    const bytes = this.#chunk.subarray(0, length);
    this.#chunk = this.#chunk.subarray(bytes.length);
    this.#offset += bytes.length;
    return bytes;
  }

  /** Exactly so many bytes, of which the caller knows that they fit; a copy. Throws DerError truncated. */
  async take(length: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    // Room is made for what came, not for what was announced.
    for await (const part of this.pass(length)) parts.push(part.slice());
    return parts.length === 1 ? parts[0]! : new Uint8Array(Buffer.concat(parts));
  }

  /** The next `length` bytes as they come: views, good until the next step. Throws DerError truncated. */
  async *pass(length: number): AsyncGenerator<Uint8Array, void, void> {
    for (let left = length; left > 0;) {
      if (await this.isAtEnd()) {
        throw new DerError("truncated", `end of file where ${left} more bytes should be`, this.#offset);
      }
      const part = this.skip(left);
      left -= part.length;
      yield part;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chunks.return?.();
  }
}
