/**
 * What writing does to the database, one transaction at a time.
 *
 * Why no chunk is lost to a writer: a chunk goes only when no content_chunk row refers to it, and a writer never keeps
 * in mind that a chunk is there. To find out whether it is, `referTo` inserts the row that refers to it, in the same
 * transaction as the look: from then on the chunk can't go. A chunk that wasn't there is inserted, by `addChunks`,
 * in the same transaction as its reference. In between, while it is compressed, another writer may have inserted it
 * (then that one is used), and another may even have collected it again (then it is inserted). The content that the
 * rows belong to has no SHA-256 yet and is held, so collection leaves it alone; were it gone all the same, the
 * foreign key would refuse the rows and the writer would fail, before anything refers to what it wrote.
 */
import type { Database } from "bun:sqlite";
import { write } from "../../db/open.ts";
import { sha256Bytes } from "../../lib/sha256.ts";
import type { Content, Sha256 } from "../api.ts";
import { StoreError } from "../store-error.ts";

/** All of a content. */
export interface Whole {
  readonly sha256: Sha256;
  readonly size: number;
  /** Its chunks. */
  readonly count: number;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** A chunk's place in a content. */
export interface Place {
  readonly offset: number;
  readonly size: number;
  readonly sha256: Uint8Array;
}

export function insertUnfinished(db: Database, now: number): number {
  return write(
    db,
    () =>
      db
        .query<{ id: number }, [number]>("INSERT INTO content (size, created_at) VALUES (0, ?) RETURNING id")
        .get(now)!.id,
  );
}

/** Puts the chunks that are there in their places. Answers which are not, by their places in `chunks`. */
export function referTo(db: Database, content: number, chunks: readonly Place[]): number[] {
  return write(db, () => [...chunks.keys()].filter((i) => !refer(db, content, chunks[i]!)));
}

/** Adds chunks, and puts them in their places. `packed`: each as it is kept. */
export function addChunks(
  db: Database,
  content: number,
  chunks: readonly Place[],
  packed: readonly Uint8Array[],
): void {
  write(db, () => insertChunks(db, content, chunks, packed));
}

/** A content that is written at once. */
export function insertWhole(
  db: Database,
  whole: Omit<Whole, "count">,
  chunks: readonly Place[],
  pack: (i: number) => Uint8Array,
): Content {
  const { sha256, size, now } = whole;
  return write(db, () => {
    const known = findId(db, sha256);
    if (known !== undefined) return { id: known, sha256, size };
    const { id } = db
      .query<{ id: number }, [Uint8Array, number, number]>(
        "INSERT INTO content (sha256, size, created_at) VALUES (?, ?, ?) RETURNING id",
      )
      .get(sha256Bytes(sha256), size, now)!;
    for (const [i, chunk] of chunks.entries()) {
      if (!refer(db, id, chunk)) insertChunks(db, id, [chunk], [pack(i)]);
    }
    return { id, sha256, size };
  });
}

/**
 * Shows an unfinished content, which consists of `count` chunks; or drops it and answers the one that has the same
 * bytes. Throws StoreError gone.
 */
export function finishContent(db: Database, unfinished: number, whole: Whole) {
  const { sha256, size, count, now } = whole;
  return write(db, (): Content => {
    const known = findId(db, sha256);
    if (known !== undefined) {
      deleteUnfinished(db, unfinished);
      return { id: known, sha256, size };
    }
    const found = db
      .query<{ count: number }, [number]>("SELECT count(*) AS count FROM content_chunk WHERE content = ?")
      .get(unfinished)!;
    const { changes } =
      found.count !== count
        ? { changes: 0 }
        : db
            .query("UPDATE content SET sha256 = ?, size = ?, created_at = ? WHERE id = ? AND sha256 IS NULL")
            .run(sha256Bytes(sha256), size, now, unfinished);
    if (changes !== 1) throw new StoreError("gone", "the content was removed while it was written");
    return { id: unfinished, sha256, size };
  });
}

export function dropUnfinished(db: Database, content: number): void {
  write(db, () => deleteUnfinished(db, content));
}

function deleteUnfinished(db: Database, content: number): void {
  db.query("DELETE FROM content WHERE id = ? AND sha256 IS NULL").run(content);
}

function findId(db: Database, sha256: Sha256): number | undefined {
  return db
    .query<{ id: number }, [Uint8Array]>("SELECT id FROM content WHERE sha256 = ?")
    .get(sha256Bytes(sha256))?.id;
}

function insertChunks(
  db: Database,
  content: number,
  chunks: readonly Place[],
  packed: readonly Uint8Array[],
): void {
  const insert = db.query(
    "INSERT INTO chunk (sha256, size, content) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
  );
  for (const [i, chunk] of chunks.entries()) {
    insert.run(chunk.sha256, chunk.size, packed[i]!);
    refer(db, content, chunk);
  }
}

/**
 * Puts a chunk in its place if it is there. In that place there may be a shorter one: the end of an upload that was
 * interrupted and goes on now.
 */
function refer(db: Database, content: number, { offset, sha256 }: Place): boolean {
  const { changes } = db
    .query(
      "INSERT OR REPLACE INTO content_chunk (content, offset, chunk) SELECT ?, ?, id FROM chunk WHERE sha256 = ?",
    )
    .run(content, offset, sha256);
  return changes > 0;
}
