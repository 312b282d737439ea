/**
 * Turns a console around: records have the newest line first, people want the oldest. Entries go in one way and come
 * out the other, in blocks; a console that is larger than a few megabytes waits in a content of the session, which
 * nothing refers to afterwards.
 */
import { parseHeader } from "../../protocols/der/reader.ts";
import { KIB, MIB } from "../../lib/units.ts";
import type { Content, ContentSession, ContentStore, ContentWriter } from "../api.ts";

const BLOCK = 256 * KIB;
const IN_MEMORY = 4 * MIB;

export class ConsoleSpool implements AsyncDisposable {
  readonly #contents: ContentStore;
  readonly #session: ContentSession;
  /** Entries that make no block yet. */
  #entries: Uint8Array[] = [];
  #pending = 0;
  #blocks: Uint8Array[] = [];
  readonly #sizes: number[] = [];
  #writer: ContentWriter | undefined;
  #size = 0;

  constructor(contents: ContentStore, session: ContentSession) {
    this.#contents = contents;
    this.#session = session;
  }

  /** Bytes of all entries. */
  get size(): number {
    return this.#size;
  }

  /** Takes a whole entry: a DER value. */
  async push(entry: Uint8Array): Promise<void> {
    this.#entries.push(entry);
    this.#size += entry.length;
    this.#pending += entry.length;
    if (this.#pending >= BLOCK) await this.#seal();
  }

  /** All entries, the last one first, many at a time. Once, and nothing is pushed afterwards. */
  async *reversed(): AsyncGenerator<Uint8Array[], void, void> {
    await this.#seal();
    const spilled = await this.#writer?.finish();
    this.#writer = undefined;
    let end = this.#size;
    for (const size of this.#sizes.toReversed()) {
      const start = end - size;
      const block = spilled === undefined ? this.#blocks.pop()! : await this.#read(spilled, start, end);
      end = start;
      yield entriesOf(block).toReversed();
    }
  }

  async #seal(): Promise<void> {
    if (this.#entries.length === 0) return;
    const block = new Uint8Array(Buffer.concat(this.#entries));
    this.#sizes.push(block.length);
    [this.#entries, this.#pending] = [[], 0];
    if (this.#writer === undefined) this.#blocks.push(block);
    else await this.#writer.write(block);
    if (this.#writer !== undefined || this.#size <= IN_MEMORY) return;
    this.#writer = this.#session.writer();
    for (const held of this.#blocks) await this.#writer.write(held);
    this.#blocks = [];
  }

  async #read(content: Content, start: number, end: number): Promise<Uint8Array> {
    const block = new Uint8Array(end - start);
    let at = 0;
    for await (const bytes of this.#contents.read(content, { start, end })) {
      block.set(bytes, at);
      at += bytes.length;
    }
    return block;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer?.[Symbol.asyncDispose]();
  }
}

/** The values that follow each other in a block. */
function entriesOf(block: Uint8Array): Uint8Array[] {
  const entries: Uint8Array[] = [];
  for (let at = 0; at < block.length;) {
    const { start, length } = parseHeader(block, at, block.length)!;
    entries.push(block.subarray(at, start + length));
    at = start + length;
  }
  return entries;
}
