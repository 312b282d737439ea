/** Reads everything that is kept and compares it with its SHA-256. Nothing is changed. */
import type { Database } from "bun:sqlite";
import { sha256Text } from "../../lib/sha256.ts";
import type { Sha256 } from "../api.ts";
import { type PackedChunk, unpack } from "../chunks/pack.ts";
import { StoreError } from "../store-error.ts";
import { Steps } from "./steps.ts";

/** A content that can't be read as it was. */
export interface Damage {
  readonly sha256: Sha256;
  readonly size: number;
  /** A sentence: which chunk, or what is missing. */
  readonly why: string;
  /** Files of builds that are it: `UUID path`, at most ten. */
  readonly usedBy: readonly string[];
}

export interface Verified {
  readonly contents: number;
  readonly bytes: number;
  readonly chunks: number;
  /** Chunks that are damaged, used or not. */
  readonly damagedChunks: readonly Sha256[];
  readonly damage: readonly Damage[];
}

export interface VerifyOptions {
  readonly signal?: AbortSignal | undefined;
  /** Bytes that were compared, and are to be: the contents, and each chunk once. */
  readonly onProgress?: (done: number, total: number) => void;
}

interface ContentRow {
  id: number;
  sha256: Uint8Array;
  size: number;
}

/** Throws DatabaseError; the signal ends it with what was found until then. */
export async function verifyStore(
  db: Database,
  { signal, onProgress }: VerifyOptions = {},
): Promise<Verified> {
  const steps = new Steps(db, signal);
  const { total } = db
    .query<{ total: number }, []>(
      `SELECT (SELECT coalesce(sum(size), 0) FROM content WHERE sha256 IS NOT NULL)
            + (SELECT coalesce(sum(size), 0) FROM chunk) AS total`,
    )
    .get()!;
  let done = 0;
  const progress = (bytes: number) => onProgress?.((done += bytes), total);

  const damagedChunks: Sha256[] = [];
  let chunks = 0;
  for (let after = 0; !steps.isOver; chunks++) {
    const row = db
      .query<PackedChunk & { id: number }, [number]>(
        "SELECT id, sha256, size, content FROM chunk WHERE id > ? ORDER BY id LIMIT 1",
      )
      .get(after);
    if (row === null) break;
    after = row.id;
    if ((await damageOf(row)) !== undefined) damagedChunks.push(sha256Text(row.sha256));
    progress(row.size);
    await steps.rest();
  }

  const damage: Damage[] = [];
  let [contents, bytes] = [0, 0];
  for (let after = 0; !steps.isOver; contents++) {
    const row = db
      .query<ContentRow, [number]>(
        "SELECT id, sha256, size FROM content WHERE id > ? AND sha256 IS NOT NULL ORDER BY id LIMIT 1",
      )
      .get(after);
    if (row === null) break;
    after = row.id;
    const why = await verifyContent(db, row, steps, progress);
    bytes += row.size;
    // One that was removed meanwhile isn't damaged.
    const isThere = db.query("SELECT 1 FROM content WHERE id = ?").get(row.id) !== null;
    if (why === undefined || !isThere || steps.isOver) continue;
    damage.push({ sha256: sha256Text(row.sha256), size: row.size, why, usedBy: usersOf(db, row.id) });
  }
  return { contents, bytes, chunks, damagedChunks, damage };
}

async function verifyContent(
  db: Database,
  { id, sha256, size }: ContentRow,
  steps: Steps,
  progress: (bytes: number) => void,
): Promise<string | undefined> {
  const hash = new Bun.CryptoHasher("sha256");
  const next = db.query<PackedChunk & { offset: number }, [number, number]>(
    `SELECT offset, chunk.sha256, chunk.size, chunk.content FROM content_chunk JOIN chunk ON chunk.id = chunk
     WHERE content_chunk.content = ? AND offset >= ? ORDER BY offset LIMIT 1`,
  );
  let at = 0;
  while (!steps.isOver) {
    const row = next.get(id, at);
    if (row === null) break;
    if (row.offset !== at) return `the bytes ${at} to ${row.offset} are missing`;
    const unpacked = await damageOf(row, (bytes) => hash.update(bytes));
    if (unpacked !== undefined) return unpacked;
    at += row.size;
    progress(row.size);
    await steps.rest();
  }
  if (at !== size) return `it has ${at} bytes instead of ${size}`;
  return hash.digest().equals(sha256) ? undefined : "its chunks are whole, but not those that it had";
}

/** Undefined: it is whole. */
async function damageOf(
  chunk: PackedChunk,
  use: (bytes: Uint8Array) => void = () => undefined,
): Promise<string | undefined> {
  try {
    use(await unpack(chunk));
    return undefined;
  } catch (error) {
    if (error instanceof StoreError && error.code === "damaged") return error.message;
    throw error;
  }
}

function usersOf(db: Database, content: number): string[] {
  return db
    .query<{ uuid: string; path: string }, [number]>(
      "SELECT uuid, path FROM artifact JOIN build ON build.id = build WHERE content = ? LIMIT 10",
    )
    .all(content)
    .map(({ uuid, path }) => `${uuid} ${path}`);
}
