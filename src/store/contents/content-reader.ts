/**
 * Reads contents. Each chunk is compared with its SHA-256 before a byte of it goes out: that costs about a tenth of a
 * reading's time, and nothing damaged is ever served. A few chunks are unpacked ahead, on the runtime's threads.
 */
import type { Database } from "bun:sqlite";
import type { ByteRange, Content } from "../api.ts";
import { type PackedChunk, unpack, unpackSync } from "../chunks/pack.ts";
import { StoreError } from "../store-error.ts";
import type { Holds } from "./holds.ts";

export interface ReadableStore {
  readonly db: Database;
  readonly holds: Holds;
}

/** Chunks that are unpacked at the same time. */
const AHEAD = 4;
/** Places that are looked up at once. */
const PLACES = 256;

interface PlaceRow {
  readonly offset: number;
  readonly chunk: number;
}

/** The bytes of `range`, a chunk at a time. Throws StoreError bad-range; the stream fails with damaged or gone. */
export function readContent(
  store: ReadableStore,
  content: Content,
  range: ByteRange = { start: 0, end: content.size },
): ReadableStream<Uint8Array> {
  checkRange(content, range);
  const reading = store.holds.reading(content.id);
  const pieces = readPieces(store.db, content, range);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        reading.renew();
        try {
          const { done, value } = await pieces.next();
          if (done !== true) {
            controller.enqueue(value);
            return;
          }
          controller.close();
        } catch (error) {
          reading[Symbol.dispose]();
          throw error;
        }
        reading[Symbol.dispose]();
      },
      async cancel() {
        reading[Symbol.dispose]();
        await pieces.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
}

/** All bytes of a content, which the caller knows to fit into memory. Throws StoreError damaged or gone. */
export async function readWhole(store: ReadableStore, content: Content): Promise<Uint8Array> {
  const places = placesFrom(store.db, content.id, 0, 2);
  if (places.length === 1) {
    const bytes = unpackSync(chunkRow(store.db, places[0]!.chunk));
    if (bytes.length === content.size) return bytes;
    throw gone();
  }
  const bytes = new Uint8Array(content.size);
  using reading = store.holds.reading(content.id);
  let at = 0;
  for await (const piece of readPieces(store.db, content, { start: 0, end: content.size })) {
    reading.renew();
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

function checkRange({ size }: Content, { start, end }: ByteRange): void {
  const isRange = Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && end >= start;
  if (isRange && end <= size) return;
  throw new StoreError("bad-range", `bytes ${start} to ${end} of ${size} can't be read`);
}

async function* readPieces(
  db: Database,
  content: Content,
  { start, end }: ByteRange,
): AsyncGenerator<Uint8Array, void, undefined> {
  const ahead: Promise<{ readonly offset: number; readonly bytes: Uint8Array }>[] = [];
  const places = placesOf(db, content.id, start);
  const fetch = () => {
    const { done, value } = places.next();
    if (done === true || value.offset >= end) return;
    const { offset, chunk } = value;
    const fetched = Promise.resolve()
      .then(() => unpack(chunkRow(db, chunk)))
      .then((bytes) => ({ offset, bytes }));
    // Whoever awaits it gets the error; until then it is nobody's.
    fetched.catch(() => undefined);
    ahead.push(fetched);
  };
  let at = start;
  while (at < end) {
    while (ahead.length < AHEAD) {
      const before = ahead.length;
      fetch();
      if (ahead.length === before) break;
    }
    const next = ahead.shift();
    if (next === undefined) throw gone();
    const { offset, bytes } = await next;
    const piece = bytes.subarray(at - offset, end - offset);
    if (at < offset || piece.length === 0) throw gone();
    at += piece.length;
    yield piece;
  }
}

/** From the chunk that `start` is in. */
function* placesOf(db: Database, content: number, start: number): Generator<PlaceRow> {
  let rows = placesFrom(db, content, start, PLACES);
  for (;;) {
    yield* rows;
    if (rows.length < PLACES) return;
    rows = db
      .query<PlaceRow, [number, number, number]>(
        "SELECT offset, chunk FROM content_chunk WHERE content = ? AND offset > ? ORDER BY offset LIMIT ?",
      )
      .all(content, rows.at(-1)!.offset, PLACES);
  }
}

/** The places from the last one at or before `start`. */
function placesFrom(db: Database, content: number, start: number, limit: number): PlaceRow[] {
  return db
    .query<PlaceRow, [number, number, number, number]>(
      `SELECT offset, chunk FROM content_chunk WHERE content = ? AND offset >= coalesce(
         (SELECT max(offset) FROM content_chunk WHERE content = ? AND offset <= ?), 0) ORDER BY offset LIMIT ?`,
    )
    .all(content, content, start, limit);
}

/** The chunks of an unfinished content up to `end`, each with its place. Throws StoreError damaged or gone. */
export async function* readStored(
  db: Database,
  content: number,
  end: number,
): AsyncGenerator<{ readonly offset: number; readonly bytes: Uint8Array }> {
  for (const { offset, chunk } of placesOf(db, content, 0)) {
    if (offset >= end) return;
    yield { offset, bytes: await unpack(chunkRow(db, chunk)) };
  }
}

function chunkRow(db: Database, chunk: number): PackedChunk {
  const row = db
    .query<PackedChunk, [number]>("SELECT sha256, size, content FROM chunk WHERE id = ?")
    .get(chunk);
  if (row === null) throw gone();
  return row;
}

function gone(): StoreError {
  return new StoreError("gone", "the content was removed while it was read");
}
