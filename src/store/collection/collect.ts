/**
 * Collection: what nobody refers to goes, and the file gives its room back. All of it happens in steps of a few
 * milliseconds, each a transaction of its own that looks again at what it deletes; between them others have their
 * turn, and a kill between any two leaves a store that is whole and a collection that begins anew.
 *
 * A content goes when no row refers to it, nobody in this process holds it, and it is older than an hour, so that one
 * may be put first and referred to then. One without a SHA-256 that nobody in this process writes is what a dead
 * process left. A chunk goes when no content has it; content-rows.ts says why no writer can lose one by that.
 */
import type { Database } from "bun:sqlite";
import { write } from "../../db/open.ts";
import type { OpenContents } from "../contents/content-store.ts";
import { contentReferences, isUnreferenced } from "./references.ts";
import { Steps } from "./steps.ts";

/** The contents of the same database. */
export type CollectedContents = Pick<OpenContents, "holds" | "checkpoints">;

export interface CollectOptions {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Ends it between two steps. */
  readonly signal?: AbortSignal | undefined;
  /** Only counts. Default: false. */
  readonly dryRun?: boolean;
}

/** What went, or would go. */
export interface Collected {
  readonly uploads: number;
  /** Never finished by processes that died. */
  readonly unfinished: number;
  readonly contents: number;
  readonly contentBytes: number;
  readonly chunks: number;
  /** As they were kept. */
  readonly chunkBytes: number;
  readonly pictures: number;
  /** By which the file became shorter. */
  readonly returnedBytes: number;
}

/** Contents that nobody refers to stay for so long. */
export const UNUSED_MS = 60 * 60_000;
/** Uploads that nobody went on with. */
export const UPLOAD_MS = 24 * 60 * 60_000;
export const PICTURE_MS = 90 * 24 * 60 * 60_000;
/** Rows that are looked at in one go: less than a millisecond's. */
const WINDOW = 256;
/** Pages that are given back in one go. */
const PAGES = 64;

type Counts = { -readonly [K in keyof Collected]: Collected[K] };

/** One at a time for a database. */
const running = new WeakMap<Database, Promise<unknown>>();

/** Runs a collection to its end, or to the signal's, after one that runs already. Throws DatabaseError. */
export function collect(
  db: Database,
  contents: CollectedContents,
  options: CollectOptions,
): Promise<Collected> {
  const before = running.get(db) ?? Promise.resolve();
  const collected = before.then(() => run(db, contents, options));
  running.set(
    db,
    collected.catch(() => undefined),
  );
  return collected;
}

async function run(
  db: Database,
  { holds, checkpoints }: CollectedContents,
  { now, signal, dryRun = false }: CollectOptions,
): Promise<Collected> {
  const counts: Counts = {
    ...{ uploads: 0, unfinished: 0, contents: 0, contentBytes: 0 },
    ...{ chunks: 0, chunkBytes: 0, pictures: 0, returnedBytes: 0 },
  };
  const steps = new Steps(db, signal);
  const run: Run = { db, holds, now, steps, counts };
  if (dryRun) {
    await countOnly(run);
    return counts;
  }
  counts.uploads = await dropUploads(run);
  await dropContents(run);
  await dropChunks(run);
  counts.pictures = await dropPictures(run);
  counts.returnedBytes = await returnPages(run);
  // Only then is the file shorter.
  await checkpoints.writeBack();
  return counts;
}

interface Run {
  readonly db: Database;
  readonly holds: OpenContents["holds"];
  readonly now: number;
  readonly steps: Steps;
  readonly counts: Counts;
}

async function dropUploads({ db, now, steps, holds }: Run): Promise<number> {
  const expired = db
    .query<{ id: string; content: number }, [number]>("SELECT id, content FROM upload WHERE used_at < ?")
    .all(now - UPLOAD_MS);
  let dropped = 0;
  await steps.each(expired, ({ id, content }) => {
    if (holds.has(content)) return;
    const { changes } = db.query("DELETE FROM upload WHERE id = ? AND used_at < ?").run(id, now - UPLOAD_MS);
    dropped += changes;
  });
  return dropped;
}

interface ContentRow {
  id: number;
  isFinished: 0 | 1;
  size: number;
}

/** The next contents behind `after` to which nothing refers, and where to look on. */
function unreferenced(
  { db, now }: Run,
  condition: string,
  after: number,
): { rows: ContentRow[]; last: number } {
  const window = db
    .query<{ last: number | null }, [number, number]>(
      "SELECT max(id) AS last FROM (SELECT id FROM content WHERE id > ? ORDER BY id LIMIT ?)",
    )
    .get(after, WINDOW)!;
  if (window.last === null) return { rows: [], last: Infinity };
  const rows = db
    .query<ContentRow, [number, number, number]>(
      `SELECT id, sha256 IS NOT NULL AS isFinished, size FROM content
       WHERE id > ? AND id <= ? AND (sha256 IS NULL OR created_at < ?) AND ${condition}`,
    )
    .all(after, window.last, now - UNUSED_MS);
  return { rows, last: window.last };
}

async function dropContents(run: Run): Promise<void> {
  const { db, holds, steps, counts } = run;
  const condition = isUnreferenced(contentReferences(db));
  const remove = db.query(`DELETE FROM content WHERE id = ? AND ${condition}`);
  for (let after = 0; after < Infinity;) {
    const { rows, last } = unreferenced(run, condition, after);
    await steps.each(rows, ({ id, isFinished, size }) => {
      // A writer may have finished it since, or somebody found it.
      const isTheSame = db
        .query<{ is: 0 | 1 }, [number]>('SELECT sha256 IS NOT NULL AS "is" FROM content WHERE id = ?')
        .get(id);
      if (isTheSame?.is !== isFinished || holds.has(id)) return;
      if (remove.run(id).changes === 0) return;
      if (isFinished === 1) {
        counts.contents += 1;
        counts.contentBytes += size;
      } else counts.unfinished += 1;
    });
    after = last;
    await steps.rest();
  }
}

interface ChunkRow {
  id: number;
  sha256: Uint8Array;
  isUsed: 0 | 1;
}

/** `used`: an SQL condition on a row of `content_chunk`. By the index on sha256, which spares reading the bytes. */
async function* unusedChunks({ db, steps }: Run, used = "1"): AsyncGenerator<number[]> {
  const query = db.query<ChunkRow, [Uint8Array, number]>(
    `SELECT id, sha256, EXISTS (SELECT 1 FROM content_chunk WHERE chunk = chunk.id AND ${used}) AS isUsed
     FROM chunk WHERE sha256 > ? ORDER BY sha256 LIMIT ?`,
  );
  for (let after: Uint8Array = new Uint8Array(0); ;) {
    const rows = query.all(after, WINDOW);
    yield rows.filter(({ isUsed }) => isUsed === 0).map(({ id }) => id);
    if (rows.length < WINDOW) return;
    after = rows.at(-1)!.sha256;
    await steps.rest();
  }
}

async function dropChunks(run: Run): Promise<void> {
  const { db, steps, counts } = run;
  const remove = db.query<{ kept: number }, [number]>(
    `DELETE FROM chunk WHERE id = ? AND NOT EXISTS (SELECT 1 FROM content_chunk WHERE chunk = chunk.id)
     RETURNING length(content) AS kept`,
  );
  for await (const ids of unusedChunks(run)) {
    await steps.each(ids, (id) => {
      const row = remove.get(id);
      if (row === null) return;
      counts.chunks += 1;
      counts.chunkBytes += row.kept;
    });
  }
}

async function dropPictures({ db, now, steps }: Run): Promise<number> {
  const remove = db.query(
    `DELETE FROM visualisation WHERE (kind, input, version) IN
       (SELECT kind, input, version FROM visualisation WHERE used_at < ? LIMIT 16)`,
  );
  let dropped = 0;
  for (let changes = -1; changes !== 0;) {
    if (steps.isOver) break;
    changes = write(db, () => remove.run(now - PICTURE_MS).changes);
    dropped += changes;
    await steps.rest();
  }
  return dropped;
}

/** Whether the file gives room back by steps; one that is older needs compactDatabase once. */
export function givesBack(db: Database): boolean {
  return db.query<{ auto_vacuum: number }, []>("PRAGMA auto_vacuum").get()?.auto_vacuum === 2;
}

async function returnPages({ db, steps }: Run): Promise<number> {
  if (!givesBack(db)) return 0;
  const before = pages(db, "page_count");
  for (let free = pages(db, "freelist_count"); free > 0 && !steps.isOver;) {
    db.query(`PRAGMA incremental_vacuum(${PAGES})`).all();
    const left = pages(db, "freelist_count");
    // Another process may hold the lock; the next collection goes on.
    if (left >= free) break;
    free = left;
    await steps.rest();
  }
  return (before - pages(db, "page_count")) * pages(db, "page_size");
}

function pages(db: Database, what: "page_count" | "freelist_count" | "page_size"): number {
  return db.query<Record<string, number>, []>(`PRAGMA ${what}`).get()![what]!;
}

async function countOnly(run: Run): Promise<void> {
  const { db, now, holds, steps, counts } = run;
  const condition = isUnreferenced(contentReferences(db).filter(({ table }) => table !== "upload"));
  db.run("CREATE TEMP TABLE unneeded (id INTEGER PRIMARY KEY)");
  try {
    const uploads = db
      .query<{ content: number; isOld: 0 | 1 }, [number]>("SELECT content, used_at < ? AS isOld FROM upload")
      .all(now - UPLOAD_MS);
    const live = new Set(uploads.filter(({ isOld }) => isOld === 0).map(({ content }) => content));
    counts.uploads = uploads.length - live.size;
    const insert = db.query("INSERT INTO temp.unneeded (id) VALUES (?)");
    for (let after = 0; after < Infinity;) {
      const { rows, last } = unreferenced(run, condition, after);
      for (const { id, isFinished, size } of rows) {
        if (live.has(id) || holds.has(id)) continue;
        insert.run(id);
        counts.contents += isFinished;
        counts.unfinished += 1 - isFinished;
        if (isFinished === 1) counts.contentBytes += size;
      }
      after = last;
      await steps.rest();
    }
    const kept = db.query<{ kept: number }, [number]>(
      "SELECT length(content) AS kept FROM chunk WHERE id = ?",
    );
    for await (const ids of unusedChunks(run, "content NOT IN (SELECT id FROM temp.unneeded)")) {
      for (const id of ids) {
        counts.chunks += 1;
        counts.chunkBytes += kept.get(id)?.kept ?? 0;
      }
    }
    counts.pictures = db
      .query<{ count: number }, [number]>("SELECT count(*) AS count FROM visualisation WHERE used_at < ?")
      .get(now - PICTURE_MS)!.count;
  } finally {
    db.run("DROP TABLE temp.unneeded");
  }
}
