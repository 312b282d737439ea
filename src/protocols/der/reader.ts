/**
 * Walks over DER. Every length is checked against what it lies in before anything is made of it, so hostile bytes
 * cost no more than their own size.
 */
import { DerError } from "./der-error.ts";

/** Constructed values within each other; no grammar here comes near. */
const DEEPEST = 32;

/** A value's identifier octet and the length of its contents, as they stand in the bytes. */
export interface DerHeader {
  readonly tag: number;
  readonly length: number;
}

export class DerReader {
  readonly #bytes: Uint8Array;
  #position = 0;
  #end: number;
  #depth = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#end = bytes.length;
  }

  /** Bytes before the next one. */
  get offset(): number {
    return this.#position;
  }

  /** Whether the value that is being read, or all of the bytes, has no more. */
  get isAtEnd(): boolean {
    return this.#position === this.#end;
  }

  /** The identifier octet of what comes next; undefined at the end. */
  peek(): number | undefined {
    return this.isAtEnd ? undefined : this.#bytes[this.#position];
  }

  /** The contents of a primitive value: a view of the bytes. Throws DerError. */
  primitive(tag: number): Uint8Array {
    const end = this.#enter(tag);
    const contents = this.#bytes.subarray(this.#position, end);
    this.#position = end;
    return contents;
  }

  /** What `read` makes of a constructed value's contents, of which it must leave nothing. Throws DerError. */
  constructed<T>(tag: number, read: () => T): T {
    if (this.#depth === DEEPEST)
      throw this.error("too-deep", `more than ${DEEPEST} values within each other`);
    const end = this.#enter(tag);
    const outer = this.#end;
    this.#end = end;
    this.#depth++;
    const value = read();
    this.finish();
    this.#depth--;
    this.#end = outer;
    return value;
  }

  /** Throws DerError where there are more bytes. */
  finish(): void {
    if (!this.isAtEnd) throw this.error("trailing-bytes", "trailing bytes");
  }

  /** An error at the current place, or at another. */
  error(code: DerError["code"], message: string, offset: number = this.#position): DerError {
    return new DerError(code, message, offset);
  }

  /** Goes behind the header; answers where the contents end. */
  #enter(tag: number): number {
    const start = this.#position;
    const found = this.peek();
    if (found === undefined) throw this.error("truncated", `the bytes end where ${tagName(tag)} should be`);
    if (found !== tag) throw this.error("wrong-tag", `${tagName(found)} instead of ${tagName(tag)}`);
    const header = parseHeader(this.#bytes, start, this.#end);
    if (header === undefined) throw this.error("truncated", "the bytes end within a length", this.#end);
    this.#position = header.start;
    const end = header.start + header.length;
    if (end <= this.#end) return end;
    // Beyond the whole it was cut off; beyond what it lies in it contradicts itself.
    if (this.#end === this.#bytes.length && this.#depth === 0) {
      throw this.error("truncated", `${header.length} bytes should follow`, start);
    }
    throw this.error("bad-length", "a value reaches beyond what it lies in", start);
  }
}

/**
 * The header at `at`, and where the contents start; undefined where it isn't complete before `end`. Throws DerError
 * for what DER forbids: tags of several octets (no protocol here has any), lengths that are indefinite, not minimal
 * or no safe integer.
 */
export function parseHeader(
  bytes: Uint8Array,
  at: number,
  end: number,
): (DerHeader & { readonly start: number }) | undefined {
  if (end - at < 2) return undefined;
  const tag = bytes[at]!;
  if ((tag & 0x1f) === 0x1f) throw new DerError("wrong-tag", "a tag of several bytes", at);
  const first = bytes[at + 1]!;
  if (first < 0x80) return { tag, length: first, start: at + 2 };
  const count = first & 0x7f;
  if (count === 0) throw new DerError("bad-length", "an indefinite length", at + 1);
  if (count > 7) throw new DerError("bad-length", `a length of ${count} bytes`, at + 1);
  if (end - at < 2 + count) return undefined;
  let length = 0;
  for (let i = 0; i < count; i++) length = length * 256 + bytes[at + 2 + i]!;
  if (length < 0x80 || length < 256 ** (count - 1)) {
    throw new DerError("bad-length", "a length with more bytes than it needs", at + 1);
  }
  if (!Number.isSafeInteger(length)) throw new DerError("bad-length", "an absurd length", at + 1);
  return { tag, length, start: at + 2 + count };
}

/** By their identifier octets, for messages. */
const UNIVERSAL: Readonly<Record<number, string>> = {
  0x01: "a BOOLEAN",
  0x02: "an INTEGER",
  0x03: "a BIT STRING",
  0x04: "an OCTET STRING",
  0x05: "a NULL",
  0x06: "an OBJECT IDENTIFIER",
  0x0c: "a UTF8String",
  0x16: "an IA5String",
  0x17: "a UTCTime",
  0x18: "a GeneralizedTime",
  0x30: "a SEQUENCE",
  0x31: "a SET",
};

/** An identifier octet in words. */
export function tagName(tag: number): string {
  return (
    UNIVERSAL[tag] ??
    (tag >= 0x80 && tag < 0xc0 ? `tag [${tag & 0x1f}]` : `tag 0x${tag.toString(16).padStart(2, "0")}`)
  );
}
