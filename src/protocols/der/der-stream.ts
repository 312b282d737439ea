/**
 * Walks over a DER document as it arrives. Constructed values are entered and left one by one, small values are taken
 * whole, large ones are passed through; nothing else is held. Lengths are checked when their header comes: a document
 * that can't fit its limits is refused at its first bytes.
 */
import { ByteInput } from "./byte-input.ts";
import { type Der, decode } from "./der.ts";
import { DerError } from "./der-error.ts";
import { type DerHeader, parseHeader, tagName } from "./reader.ts";

/** No header is longer: a tag, and seven bytes of length behind their count. */
const LONGEST_HEADER = 9;

export class DerStream implements AsyncDisposable {
  readonly #input: ByteInput;
  /** Told of every byte but those that are passed through: views. */
  readonly #seen: (bytes: Uint8Array) => void;
  /** Where the values that are open end, the innermost last. */
  readonly #ends: number[] = [];

  constructor(stream: AsyncIterable<Uint8Array>, seen: (bytes: Uint8Array) => void = () => undefined) {
    this.#input = new ByteInput(stream);
    this.#seen = seen;
  }

  /** Bytes before the next one. */
  get offset(): number {
    return this.#input.offset;
  }

  /** Whether the innermost open value has no more. */
  get isAtEnd(): boolean {
    return this.#input.offset === this.#end;
  }

  get #end(): number {
    return this.#ends.at(-1) ?? Number.MAX_SAFE_INTEGER;
  }

  /** The next identifier octet; undefined at the end of the innermost value. Throws DerError truncated. */
  async peek(): Promise<number | undefined> {
    return this.isAtEnd ? undefined : (await this.#header()).tag;
  }

  /** Enters a constructed value; answers its length. Throws DerError. */
  async open(tag: number, limit: number = Number.MAX_SAFE_INTEGER, what = "a value"): Promise<number> {
    const header = await this.#expect(tag, limit, what);
    this.#seen(this.#input.skip(header.start));
    this.#ends.push(this.offset + header.length);
    return header.length;
  }

  /** Leaves the innermost value, of which nothing may be left. Throws DerError trailing-bytes. */
  close(): void {
    if (!this.isAtEnd) throw this.#error("trailing-bytes", "trailing bytes");
    this.#ends.pop();
  }

  /** A value of at most `limit` bytes, header included. Throws DerError, too-large with `what` in its text. */
  async value<T>(type: Der<T>, limit: number, what: string): Promise<T> {
    const { offset } = this;
    const bytes = await this.whole(limit, what);
    try {
      return decode(type, bytes);
    } catch (error) {
      if (!(error instanceof DerError)) throw error;
      throw new DerError(error.code, `${what}: ${error.reason}`, offset + (error.offset ?? 0));
    }
  }

  /** A value's bytes, header included: a copy. Throws DerError. */
  async whole(limit: number, what: string): Promise<Uint8Array> {
    const header = await this.#header();
    const size = header.start + header.length;
    this.#checkFits(size);
    if (size > limit) throw this.#tooLarge(what, size, limit);
    await this.#input.fill(size);
    if (this.#input.ready.length < size) throw this.#truncated();
    const bytes = this.#input.skip(size).slice();
    this.#seen(bytes);
    return bytes;
  }

  /** The values that are there without waiting, at least one: their bytes, headers included, as copies. */
  async ready(limit: number, what: string): Promise<Uint8Array[]> {
    const values = [await this.whole(limit, what)];
    for (;;) {
      if (this.isAtEnd) return values;
      const bytes = this.#input.ready;
      const header = parseHeader(bytes, 0, bytes.length);
      if (header === undefined || header.start + header.length > bytes.length) return values;
      values.push(await this.whole(limit, what));
    }
  }

  /** Enters a large primitive value: its length, and its bytes as they come, all of which must be read. */
  async large(tag: number): Promise<{ length: number; bytes: () => AsyncGenerator<Uint8Array, void, void> }> {
    const header = await this.#expect(tag, Number.MAX_SAFE_INTEGER, "");
    this.#seen(this.#input.skip(header.start));
    return { length: header.length, bytes: () => this.#input.pass(header.length) };
  }

  /** Throws DerError where the stream goes on. */
  async finish(): Promise<void> {
    if (!(await this.#input.isAtEnd())) throw this.#error("trailing-bytes", "trailing bytes");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input[Symbol.asyncDispose]();
  }

  async #expect(tag: number, limit: number, what: string): Promise<DerHeader & { readonly start: number }> {
    const header = await this.#header();
    if (header.tag !== tag) {
      throw this.#error("wrong-tag", `${tagName(header.tag)} instead of ${tagName(tag)}`);
    }
    this.#checkFits(header.start + header.length);
    if (header.start + header.length > limit) throw this.#tooLarge(what, header.start + header.length, limit);
    return header;
  }

  async #header(): Promise<DerHeader & { readonly start: number }> {
    if (this.isAtEnd) throw this.#error("truncated", "a value ends where another should be in it");
    try {
      const header = this.#parse();
      if (header !== undefined) return header;
      await this.#input.fill(LONGEST_HEADER);
      const filled = this.#parse();
      if (filled !== undefined) return filled;
    } catch (error) {
      // Its offset is within what was ready.
      if (error instanceof DerError) throw this.#error(error.code, error.reason);
      throw error;
    }
    throw this.#truncated();
  }

  #parse(): (DerHeader & { readonly start: number }) | undefined {
    const bytes = this.#input.ready;
    return parseHeader(bytes, 0, bytes.length);
  }

  #checkFits(size: number): void {
    if (this.offset + size > this.#end) {
      throw this.#error("bad-length", "a value reaches beyond what it lies in");
    }
  }

  #tooLarge(what: string, size: number, limit: number): DerError {
    return this.#error("too-large", `${what} of ${size} bytes is more than the ${limit} that are taken`);
  }

  #truncated(): DerError {
    return this.#error("truncated", "end of file");
  }

  #error(code: DerError["code"], message: string): DerError {
    return new DerError(code, message, this.offset);
  }
}
