/**
 * A copy of a database that others are writing to, as it is at one moment, and the proof that the copy is whole.
 * `VACUUM INTO` reads in one transaction, so writers go on meanwhile; it blocks this thread, so a server lets a
 * process of its own do it (see orchestrator/backup/copy-in-child.ts).
 */
import { Database, constants } from "bun:sqlite";
import { closeSync, existsSync, fsyncSync, openSync, readSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { DatabaseError, explained } from "../database-error.ts";
import { MIGRATIONS, type Migration } from "../migrations/list.ts";
import { pendingMigrations, readApplied } from "../migrate.ts";
import { BackupError } from "./backup-error.ts";

/** What a copy is. */
export interface DatabaseFacts {
  readonly bytes: number;
  /** Of the file, in hexadecimal. */
  readonly sha256: string;
  /** The number of its last migration. */
  readonly schema: number;
}

const BUSY_TIMEOUT_MS = 10_000;
const BUFFER = 1024 * 1024;

/**
 * Copies the database at `from` to `to`, where there must be nothing yet, readable by its owner only; checks the
 * copy and brings it to the disk. `onStart` is told about how many bytes there will be. Throws DatabaseError and
 * BackupError; what is at `to` then is the caller's to remove.
 */
export function copyDatabase(from: string, to: string, onStart?: (bytes: number) => void): DatabaseFacts {
  // SQLite would make it readable for everybody; into an empty file it copies just as well.
  closeSync(openSync(to, "wx", 0o600));
  explained(from, () => {
    const db = openSource(from);
    try {
      const number = (pragma: string) =>
        Number(Object.values(db.query(`PRAGMA ${pragma}`).get() as object)[0]);
      readApplied(db, from);
      onStart?.((number("page_count") - number("freelist_count")) * number("page_size"));
      db.query("VACUUM INTO ?").run(to);
    } catch (error) {
      // Of the two files, it's the copy's disk that can be full.
      throw isFull(error) ? diskFull(to, error) : error;
    } finally {
      db.close();
    }
  });
  sync(to);
  return checkDatabase(to);
}

/**
 * Checks a database that nobody has open: whether it is robur's, not damaged, and of a schema that `known` reaches.
 * Nothing is written, not even beside it. Throws DatabaseError not-a-database, corrupt, newer-schema,
 * changed-migration, and BackupError missing or in-use.
 */
export function checkDatabase(path: string, known: readonly Migration[] = MIGRATIONS): DatabaseFacts {
  if (!existsSync(path)) throw new BackupError("missing", `${path}: there is no such file`);
  const log = statSync(`${path}-wal`, { throwIfNoEntry: false });
  if (log !== undefined && log.size > 0) {
    throw new BackupError("in-use", `${path}: this is a database in use, not a backup`, {
      why: `a part of it is in ${path}-wal`,
      hint: `robur backup FILE --db ${path}`,
    });
  }
  return explained(path, () => {
    const flags = constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI;
    const db = new Database(`${pathToFileURL(resolve(path)).href}?immutable=1`, flags);
    try {
      const applied = readApplied(db, path);
      if (applied.length === 0) throw new DatabaseError("not-a-database", `${path}: an empty database`);
      pendingMigrations(applied, known, path);
      checkPages(db, path);
      return { ...hashFile(path), schema: applied.at(-1)!.number };
    } finally {
      db.close();
    }
  });
}

function checkPages(db: Database, path: string): void {
  const found = db.query<{ integrity_check: string }, []>("PRAGMA integrity_check(3)").all();
  const [first] = found;
  if (first?.integrity_check !== "ok" || found.length !== 1) {
    throw new DatabaseError("corrupt", `${path}: the database is damaged`, {
      why: found.map(({ integrity_check }) => integrity_check).join("\n"),
      hint: "another backup: robur backup ls",
    });
  }
  const broken = db.query("PRAGMA foreign_key_check").all();
  if (broken.length > 0) {
    throw new DatabaseError("corrupt", `${path}: ${broken.length} rows refer to nothing`, {
      hint: "another backup: robur backup ls",
    });
  }
}

/** Size and SHA-256 of a file. */
export function hashFile(path: string): { bytes: number; sha256: string } {
  const hash = new Bun.CryptoHasher("sha256");
  const buffer = Buffer.allocUnsafe(BUFFER);
  const fd = openSync(path, "r");
  let bytes = 0;
  try {
    for (let count = readSync(fd, buffer); count > 0; count = readSync(fd, buffer)) {
      hash.update(buffer.subarray(0, count));
      bytes += count;
    }
  } finally {
    closeSync(fd);
  }
  return { bytes, sha256: hash.digest("hex") };
}

/** Opens without migrating: a backup is of what is there. */
function openSource(path: string): Database {
  if (!existsSync(path)) throw new DatabaseError("missing", `${path}: there is no database`);
  const db = new Database(path, { readonly: true, strict: true });
  db.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  return db;
}

function isFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && /^SQLITE_(FULL|IOERR_WRITE)/.test(String(error.code));
}

function diskFull(path: string, cause: unknown): BackupError {
  return new BackupError("disk-full", `${path}: the disk is full`, {
    why: "the copy needs as much room as the database",
    hint: `df -h ${path.slice(0, path.lastIndexOf("/") + 1) || "."}`,
    cause,
  });
}

/** Brings a file or directory to the disk. */
export function sync(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
