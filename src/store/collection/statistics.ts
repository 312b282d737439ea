/** How much is kept, and how much room that takes. */
import type { Database } from "bun:sqlite";

export interface StoreStatistics {
  readonly builds: number;
  readonly contents: number;
  /** Of all files of all builds: what they would take as files. */
  readonly logicalBytes: number;
  /** Of all contents, each once. */
  readonly contentBytes: number;
  readonly chunks: number;
  /** Of all chunks, each once. */
  readonly chunkBytes: number;
  /** The same as they are kept. */
  readonly compressedBytes: number;
  /** The whole database, all that isn't builds included. */
  readonly databaseBytes: number;
  /** Of that, room that nothing takes. */
  readonly freeBytes: number;
}

/** A few milliseconds for a gigabyte. Throws DatabaseError. */
export function storeStatistics(db: Database): StoreStatistics {
  const one = (sql: string): number => db.query<{ value: number }, []>(sql).get()!.value;
  const pageSize = one("SELECT page_size AS value FROM pragma_page_size");
  return {
    builds: one("SELECT count(*) AS value FROM build"),
    contents: one("SELECT count(*) AS value FROM content WHERE sha256 IS NOT NULL"),
    logicalBytes: one("SELECT coalesce(sum(size), 0) AS value FROM artifact WHERE content IS NOT NULL"),
    contentBytes: one("SELECT coalesce(sum(size), 0) AS value FROM content WHERE sha256 IS NOT NULL"),
    chunks: one("SELECT count(*) AS value FROM chunk"),
    chunkBytes: one("SELECT coalesce(sum(size), 0) AS value FROM chunk"),
    compressedBytes: one("SELECT coalesce(sum(length(content)), 0) AS value FROM chunk"),
    databaseBytes: one("SELECT page_count AS value FROM pragma_page_count") * pageSize,
    freeBytes: one("SELECT freelist_count AS value FROM pragma_freelist_count") * pageSize,
  };
}
