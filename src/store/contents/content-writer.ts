/** Writes one content: a small one in one transaction, without a thread's round trip. */
import { sha256Bytes } from "../../lib/sha256.ts";
import { sha256Of } from "../../lib/sha256-of.ts";
import { KIB } from "../../lib/units.ts";
import type { Content, ContentWriter, Expected, Sha256 } from "../api.ts";
import { Cutter, MIN } from "../chunks/cut.ts";
import { packSync } from "../chunks/pack.ts";
import { StoreError } from "../store-error.ts";
import { type Place, dropUnfinished, finishContent, insertUnfinished, insertWhole } from "./content-rows.ts";
import { GrowingContent, type GrowingStore } from "./growing-content.ts";
import type { Held, Holds } from "./holds.ts";

/** What writers share. */
export interface WriterStore extends GrowingStore {
  readonly holds: Holds;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Up to here a content is cut, hashed and compressed at once: half a millisecond. */
const SMALL = 64 * KIB;

/** Bytes of the log that a content takes whatever its size: a page of each table and index that has it. */
const SMALL_COST = 24 * KIB;

interface Unfinished {
  readonly id: number;
  readonly growing: GrowingContent;
  readonly held: Held;
}

/** `keep` is told of the content before anybody could collect it. */
export function openWriter(store: WriterStore, keep: (content: Content) => void): ContentWriter {
  return new StoredWriter(store, keep);
}

class StoredWriter implements ContentWriter {
  readonly #store: WriterStore;
  readonly #keep: (content: Content) => void;
  /** What came before it was more than SMALL. */
  #first: Uint8Array = new Uint8Array(0);
  #unfinished: Unfinished | undefined;
  #isOver = false;

  constructor(store: WriterStore, keep: (content: Content) => void) {
    this.#store = store;
    this.#keep = keep;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#checkOpen();
    if (this.#unfinished === undefined) {
      if (this.#first.length + bytes.length <= SMALL) {
        this.#first = Buffer.concat([this.#first, bytes]);
        return;
      }
      this.#unfinished = this.#begin();
      await this.#unfinished.growing.write(this.#first);
      this.#first = new Uint8Array(0);
    }
    await this.#unfinished.growing.write(bytes);
  }

  async finish(expected: Expected = {}): Promise<Content> {
    this.#checkOpen();
    const unfinished = this.#unfinished;
    const content =
      unfinished === undefined ? this.#finishSmall(expected) : await this.#finishLarge(unfinished, expected);
    this.#isOver = true;
    this.#keep(content);
    this.#end();
    if (unfinished === undefined) await this.#store.checkpoints.wrote(content.size + SMALL_COST);
    return content;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    const id = this.#unfinished?.id;
    this.#end();
    if (id !== undefined) dropUnfinished(this.#store.db, id);
  }

  #begin(): Unfinished {
    const { db, holds, now } = this.#store;
    const held = holds.open();
    const id = insertUnfinished(db, now());
    held.add(id);
    return { id, growing: new GrowingContent(this.#store, id), held };
  }

  #finishSmall(expected: Expected): Content {
    const bytes = this.#first;
    const sha256 = sha256Of(bytes);
    checkExpected(sha256, bytes.length, expected);
    const chunks = cutAll(bytes);
    const { db, now } = this.#store;
    return insertWhole(db, { sha256, size: bytes.length, now: now() }, chunks, (i) =>
      packSync(chunks[i]!.bytes),
    );
  }

  async #finishLarge({ id, growing }: Unfinished, expected: Expected): Promise<Content> {
    const { sha256, size, count } = await growing.commit();
    // Disposed of meanwhile?
    this.#checkOpen();
    checkExpected(sha256, size, expected);
    return finishContent(this.#store.db, id, { sha256, size, count, now: this.#store.now() });
  }

  #checkOpen(): void {
    if (this.#isOver) throw new StoreError("closed", "this content was finished or dropped");
  }

  #end(): void {
    this.#first = new Uint8Array(0);
    this.#unfinished?.growing[Symbol.dispose]();
    this.#unfinished?.held[Symbol.dispose]();
    this.#unfinished = undefined;
  }
}

interface Cut extends Place {
  readonly bytes: Uint8Array;
}

/** The chunks of all of a content. */
function cutAll(bytes: Uint8Array): Cut[] {
  const chunks: Cut[] = [];
  let offset = 0;
  const take = (chunk: Uint8Array) => {
    if (chunk.length === 0) return;
    const place = { offset, size: chunk.length, sha256: sha256Bytes(sha256Of(chunk)) };
    chunks.push({ ...place, bytes: chunk.slice() });
    offset += chunk.length;
  };
  // Nothing is cut before MIN bytes, and a cutter has a large buffer.
  if (bytes.length <= MIN) take(bytes);
  else {
    const cutter = new Cutter();
    cutter.push(bytes, take);
    take(cutter.tail());
  }
  return chunks;
}

/** Throws StoreError where the bytes aren't those that were announced. */
export function checkExpected(sha256: Sha256, size: number, expected: Expected): void {
  if (expected.size !== undefined && expected.size !== size) {
    throw new StoreError("wrong-size", `${size} bytes came, ${expected.size} were announced`);
  }
  if (expected.sha256 !== undefined && expected.sha256 !== sha256) {
    throw new StoreError("wrong-hash", `the bytes have the SHA-256 ${sha256}, not ${expected.sha256}`);
  }
}
