/** Writes the whole database anew: once for one that was made before room could be given back by steps. */
import type { Database } from "bun:sqlite";
import { explained } from "../../db/database-error.ts";

export interface Compacted {
  readonly before: number;
  readonly after: number;
}

/**
 * Nobody else may use the database meanwhile, and the disk needs room for a second one. Sizes in bytes. Throws
 * DatabaseError (disk-full, busy); the database is what it was then.
 */
export function compactDatabase(db: Database): Compacted {
  const size = () =>
    db
      .query<{ size: number }, []>(
        "SELECT page_count * page_size AS size FROM pragma_page_count, pragma_page_size",
      )
      .get()!.size;
  return explained(db.filename, () => {
    const before = size();
    db.run("PRAGMA auto_vacuum = INCREMENTAL");
    db.run("VACUUM");
    db.run("PRAGMA wal_checkpoint(TRUNCATE)");
    return { before, after: size() };
  });
}
