/**
 * A content on its way into the database: bytes go through a worker thread in batches, and what comes back is written
 * down. Two batches are under way at most, so memory stays at a few of them. What `commit` answered survives a
 * kill -9, and a content may be taken up again there.
 */
import type { Database } from "bun:sqlite";
import { sha256Text } from "../../lib/sha256.ts";
import { KIB } from "../../lib/units.ts";
import type { Sha256 } from "../api.ts";
import type { CutAnswer } from "../chunks/messages.ts";
import type { ChunkStream, ChunkWorkers } from "../chunks/workers.ts";
import type { Checkpoints } from "./checkpoints.ts";
import { StoreError } from "../store-error.ts";
import { type Place, addChunks, referTo } from "./content-rows.ts";

/** Bytes of a batch: a thread's round trip and a transaction are small beside it. */
export const BATCH = 512 * KIB;
const UNDER_WAY = 2;

/** What is committed. */
export interface Committed {
  readonly sha256: Sha256;
  readonly size: number;
  /** How many chunks it has. */
  readonly count: number;
}

/** What of a content is in the database already: all but its last chunk, which may still grow. */
export interface Begun {
  readonly offset: number;
  readonly count: number;
}

/** What all of them share. */
export interface GrowingStore {
  readonly db: Database;
  readonly workers: ChunkWorkers;
  readonly checkpoints: Checkpoints;
}

export class GrowingContent implements Disposable {
  readonly #db: Database;
  readonly #content: number;
  readonly #stream: ChunkStream;
  readonly #checkpoints: Checkpoints;
  readonly #writing: Disposable;
  readonly #spare: ArrayBuffer[] = [];
  #batch = new Uint8Array(BATCH);
  #filled = 0;
  /** Where the next chunk begins, and how many are before it. */
  #offset: number;
  #count: number;
  #size: number;
  readonly #underWay = new Set<Promise<CutAnswer>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(store: GrowingStore, content: number, begun: Begun = { offset: 0, count: 0 }) {
    this.#db = store.db;
    this.#content = content;
    this.#stream = store.workers.stream();
    this.#checkpoints = store.checkpoints;
    this.#writing = store.checkpoints.begin();
    this.#offset = begun.offset;
    this.#size = begun.offset;
    this.#count = begun.count;
  }

  /** Bytes given to it so far, those it began with included. */
  get size(): number {
    return this.#size;
  }

  /** Resolves when there is room for more. Throws what writing an earlier batch threw. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const count = Math.min(BATCH - this.#filled, bytes.length - at);
      this.#batch.set(bytes.subarray(at, at + count), this.#filled);
      this.#filled += count;
      this.#size += count;
      at += count;
      if (this.#filled === BATCH) await this.#send();
    }
    this.#check();
  }

  /** Counts bytes that are in the database already: for the SHA-256 only. */
  async skip(bytes: Uint8Array): Promise<void> {
    const copy = bytes.slice();
    await this.#stream.cut(copy.buffer, copy.length, { isStored: true });
  }

  /** Everything so far is in the database when it resolves. More may be written behind it. */
  async commit(): Promise<Committed> {
    const last = this.#dispatch(true);
    await Promise.allSettled(this.#underWay);
    this.#check();
    const { end } = await last;
    return {
      sha256: sha256Text(end!.sha256),
      size: this.#size,
      count: this.#count + (end!.hasTail ? 1 : 0),
    };
  }

  async #send(): Promise<void> {
    void this.#dispatch(false);
    // The failure is kept for #check.
    if (this.#underWay.size >= UNDER_WAY) await Promise.race(this.#underWay).catch(() => undefined);
    this.#check();
  }

  #dispatch(isEnd: boolean): Promise<CutAnswer> {
    const batch = this.#store(this.#batch.buffer, this.#filled, isEnd);
    this.#batch = new Uint8Array(this.#spare.pop() ?? new ArrayBuffer(BATCH));
    this.#filled = 0;
    this.#underWay.add(batch);
    batch
      .catch((error: unknown) => void (this.#failure ??= { error }))
      .finally(() => this.#underWay.delete(batch));
    return batch;
  }

  async #store(buffer: ArrayBuffer, length: number, isEnd: boolean): Promise<CutAnswer> {
    // Answers come in the order of the questions, and so do these first lines behind it.
    const answer = await this.#stream.cut(buffer, length, { isEnd });
    this.#spare.push(answer.buffer);
    const places = this.#place(answer);
    if (this.#failure === undefined && places.length > 0) {
      await this.#checkpoints.idle();
      const missing = referTo(this.#db, this.#content, places);
      const packed = await this.#stream.pack(answer.request, missing);
      if (missing.length > 0) {
        await this.#checkpoints.idle();
        const added = missing.map((i) => places[i]!);
        addChunks(this.#db, this.#content, added, packed);
        await this.#checkpoints.wrote(packed.reduce((sum, { length }) => sum + length, 0));
      }
    }
    return answer;
  }

  /** Where the chunks of an answer belong. The tail takes no place: it may still grow. */
  #place({ keys, sizes, end }: CutAnswer): Place[] {
    const places: Place[] = [];
    for (const [i, size] of sizes.entries()) {
      places.push({ offset: this.#offset, size, sha256: keys.subarray(i * 32, i * 32 + 32) });
      if (end?.hasTail === true && i === sizes.length - 1) break;
      this.#offset += size;
      this.#count += 1;
    }
    return places;
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Nothing is written from now on; what was committed stays. */
  [Symbol.dispose](): void {
    this.#failure ??= { error: new StoreError("closed", "this content was finished or dropped") };
    this.#stream[Symbol.dispose]();
    this.#writing[Symbol.dispose]();
  }
}
