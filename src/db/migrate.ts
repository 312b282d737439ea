/**
 * Bringing a database to this robur's schema. The rules: forward only; everything pending in one immediate
 * transaction, so that a kill at any moment leaves the old schema or the new one; what a database had must read
 * the same here, or it was another robur's; and an existing database is copied before it is changed. The copy is
 * made while the write lock is held, so it is exactly what the migrations started from.
 */
import { Database } from "bun:sqlite";
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { VERSION } from "../lib/version.ts";
import { DatabaseError } from "./database-error.ts";
import type { Migration } from "./migrations/list.ts";

/** "robr" in SQLite's header says that a database is robur's. */
const APPLICATION_ID = 0x726f_6272;

const MIGRATION_TABLE = `CREATE TABLE migration (
  number INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  checksum TEXT NOT NULL,
  applied_at INTEGER NOT NULL,
  applied_by TEXT NOT NULL
) STRICT`;

/** A migration that a database has had. `checksum`: SHA-256 of its text, in hexadecimal. */
export interface Applied {
  readonly number: number;
  readonly name: string;
  readonly checksum: string;
}

export interface MigrateOptions {
  /** The file's path; undefined for a database in memory. */
  readonly path: string | undefined;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Called before an existing database is changed, with the write lock held; it may throw. */
  readonly beforeUpgrade: () => void;
}

/** The SHA-256 of a migration's text, in hexadecimal. */
export function checksumOf(sql: string): string {
  return new Bun.CryptoHasher("sha256").update(sql).digest("hex");
}

/**
 * The migrations that are still to be applied. Pure. Throws DatabaseError newer-schema or changed-migration;
 * `path` is for their text.
 */
export function pendingMigrations(
  applied: readonly Applied[],
  known: readonly Migration[],
  path: string,
): readonly Migration[] {
  const newest = known.at(-1)?.number ?? 0;
  for (const { number, name, checksum } of applied) {
    const migration = known.find((candidate) => candidate.number === number);
    if (number > newest || migration === undefined) {
      throw new DatabaseError("newer-schema", `${path}: this database was written by a newer robur`, {
        why: `it has migration ${number} (${name}), and robur ${VERSION} knows ${newest}`,
        hint: `install the newer robur again, or use the copy made before it: ${path}.schema-${newest}`,
      });
    }
    if (checksumOf(migration.sql) !== checksum) {
      throw new DatabaseError("changed-migration", `${path}: this database was made by another robur`, {
        why: `migration ${number} (${name}) reads differently in robur ${VERSION}`,
        hint: "use the robur that made it, or another --data-dir",
      });
    }
  }
  const had = new Set(applied.map(({ number }) => number));
  return known.filter(({ number }) => !had.has(number));
}

/** What a database has had; empty for a fresh one. Throws DatabaseError not-a-database for another program's. */
export function readApplied(db: Database, path: string): Applied[] {
  const tables = db.query<{ name: string }, []>("SELECT name FROM sqlite_schema").all();
  if (tables.length === 0) return [];
  const id = db.query<{ application_id: number }, []>("PRAGMA application_id").get()?.application_id;
  if (id !== APPLICATION_ID || !tables.some(({ name }) => name === "migration")) {
    throw new DatabaseError("not-a-database", `${path}: not a robur database`, {
      why: "it is a SQLite database of another program",
      hint: `another --data-dir, or move the file away: mv ${path} ${path}.other`,
    });
  }
  return db.query<Applied, []>("SELECT number, name, checksum FROM migration ORDER BY number").all();
}

/**
 * Applies what is pending. Throws DatabaseError as above, migration-failed, and SQLite's own errors; the database
 * is unchanged then.
 */
export function migrate(db: Database, known: readonly Migration[], options: MigrateOptions): void {
  const path = options.path ?? ":memory:";
  if (pendingMigrations(readApplied(db, path), known, path).length === 0) return;
  db.transaction(() => {
    // Read again: another process may have been here while this one waited for the write lock.
    const applied = readApplied(db, path);
    const pending = pendingMigrations(applied, known, path);
    if (pending.length === 0) return;
    if (applied.length === 0) {
      db.run(`PRAGMA application_id = ${APPLICATION_ID}`);
      db.run(MIGRATION_TABLE);
    } else {
      options.beforeUpgrade();
      if (options.path !== undefined) keepCopy(options.path, applied.at(-1)!.number);
    }
    for (const migration of pending) apply(db, migration, options.now, path);
  }).immediate();
}

function apply(db: Database, { number, name, sql }: Migration, now: number, path: string): void {
  try {
    db.run(sql);
    const broken = db.query("PRAGMA foreign_key_check").all();
    if (broken.length > 0) throw new Error(`${broken.length} rows refer to nothing`);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    // The disk being full or failing is not the migration's fault, and has words of its own.
    if (/^SQLITE_(FULL|IOERR|BUSY|CORRUPT|READONLY)/.test(codeOf(error))) throw error;
    throw new DatabaseError("migration-failed", `${path}: migration ${number} (${name}) failed`, {
      why: `${why}; nothing was changed`,
      hint: "go on with the robur that you had, and report this",
      cause: error,
    });
  }
  db.query(
    "INSERT INTO migration (number, name, checksum, applied_at, applied_by) VALUES (?, ?, ?, ?, ?)",
  ).run(number, name, checksumOf(sql), now, VERSION);
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/**
 * Copies the last committed state to PATH.schema-N. A second connection does it, since VACUUM has no place in a
 * transaction; the name is given only to a whole copy. A copy of the same schema that is there is older: replaced.
 */
function keepCopy(path: string, schema: number): void {
  const kept = `${path}.schema-${schema}`;
  const partial = `${kept}.partial`;
  rmSync(partial, { force: true });
  // SQLite would make it readable for everybody; into an empty file it copies just as well.
  closeSync(openSync(partial, "wx", 0o600));
  try {
    const reader = new Database(path, { readonly: true, strict: true });
    try {
      reader.query("VACUUM INTO ?").run(partial);
    } finally {
      reader.close();
    }
    syncPath(partial);
    renameSync(partial, kept);
    syncPath(dirname(path));
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
}

function syncPath(path: string): void {
  const fd = openSync(path, "r");
  fsyncSync(fd);
  closeSync(fd);
}
