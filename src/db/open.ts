/**
 * The one SQLite file, in which everything is that must survive. Several processes may have it open: each
 * statement waits for the others up to ten seconds, and whoever writes says so from the start, by `write`.
 */
import { Database } from "bun:sqlite";
import { accessSync, closeSync, constants, existsSync, mkdirSync, openSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { DatabaseError, explained, explainSqlite, isBusy } from "./database-error.ts";
import { MIGRATIONS, type Migration } from "./migrations/list.ts";
import { migrate, pendingMigrations, readApplied } from "./migrate.ts";
import { type ServerLock, inUse, serverOf } from "./server-lock.ts";

export interface OpenOptions {
  /** Nothing is written, and no file is made. Default: false. */
  readonly readOnly?: boolean;
  /** The lock of the server that opens it; others don't migrate a database that a server has. */
  readonly server?: ServerLock;
  /** Default: those of this robur. */
  readonly migrations?: readonly Migration[];
  /** Milliseconds since 1970, for the record of migrations. Default: now. */
  readonly now?: number;
}

const BUSY_TIMEOUT_MS = 10_000;

/**
 * The order matters: the time-out first, for the second needs a lock. Sizes: 200 MB of log, 8 MB of cache. More of
 * it would be filled by whatever file is written or read, and given back by nobody; the kernel has a cache as well.
 */
const PRAGMAS = [
  "journal_size_limit = 200000000",
  "synchronous = NORMAL",
  "foreign_keys = ON",
  "temp_store = MEMORY",
  "cache_size = -8000",
];

/** Where the database of a data directory is. */
export function databasePath(dataDirectory: string): string {
  return join(dataDirectory, "robur.db");
}

/**
 * Opens the database and brings it to this robur's schema. A file that isn't there is made, readable by its owner
 * only, and so is its directory. `:memory:` is a database for a test. Throws DatabaseError.
 */
export function openDatabase(path: string, options: OpenOptions = {}): Database {
  const file = path === ":memory:" ? undefined : resolve(path);
  const { readOnly = false, migrations = MIGRATIONS } = options;
  if (file !== undefined) prepareFile(file, readOnly);
  const name = file ?? path;
  const db = explained(
    name,
    () => new Database(name, { readwrite: !readOnly, readonly: readOnly, strict: true }),
  );
  try {
    db.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    if (!readOnly) giveBackBySteps(db, name);
    if (!readOnly && file !== undefined) useWriteAheadLog(db, name);
    for (const pragma of PRAGMAS) db.run(`PRAGMA ${pragma}`);
    if (readOnly) checkUpToDate(db, migrations, name);
    else {
      migrate(db, migrations, {
        path: file,
        now: options.now ?? Date.now(),
        beforeUpgrade: () => file !== undefined && checkNoServer(file, options.server),
      });
    }
    return db;
  } catch (error) {
    db.close();
    throw explainSqlite(error, name);
  }
}

/**
 * Runs `action` in a write transaction and answers what it answers. It takes the write lock at once: a
 * transaction that reads first and writes later would fail as soon as another process wrote in between. `action`
 * must not await. Throws DatabaseError for what SQLite throws; everything is undone then.
 */
export function write<T>(db: Database, action: () => T): T {
  return explained(db.filename, () => db.transaction(action).immediate());
}

/** Makes the directory and an empty file, both for the owner only; SQLite's other files get the mode of this one. */
function prepareFile(path: string, readOnly: boolean): void {
  try {
    if (!readOnly && !existsSync(path)) {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      closeSync(openSync(path, "a", 0o600));
    }
    accessSync(path, readOnly ? constants.R_OK : constants.R_OK | constants.W_OK);
  } catch (error) {
    throw explainFileError(error, path);
  }
}

/**
 * In a new file, before anything is in it: room that is freed can be given back by steps. In one that is there this
 * would only write to it, before anybody knows whose it is.
 */
function giveBackBySteps(db: Database, path: string): void {
  const { page_count } = explained(path, () =>
    db.query<{ page_count: number }, []>("PRAGMA page_count").get(),
  )!;
  if (page_count === 0) db.run("PRAGMA auto_vacuum = INCREMENTAL");
}

function explainFileError(error: unknown, path: string): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const more = { hint: `ls -ld ${dirname(path)} ${path}`, cause: error };
  if (code === "ENOENT")
    return new DatabaseError("missing", `${path}: there is no database`, { cause: error });
  if (code === "EACCES" || code === "EPERM") {
    return new DatabaseError("not-permitted", `${path}: permission denied`, more);
  }
  if (code === "EROFS") {
    return new DatabaseError("read-only", `${path}: the file system is mounted read-only`, more);
  }
  if (code === "ENOSPC") return new DatabaseError("disk-full", `${path}: the disk is full`, more);
  // EEXIST is mkdir's word for a file where a directory should be.
  if (code === "ENOTDIR" || code === "EEXIST") {
    return new DatabaseError("not-a-database", `${path}: can't be a database`, {
      why: "a part of its path is a file",
    });
  }
  return error;
}

/**
 * The change to the write-ahead log needs the file alone for a moment and doesn't always wait for it, so two
 * processes that make a database together must try again.
 */
function useWriteAheadLog(db: Database, path: string): void {
  const end = performance.now() + BUSY_TIMEOUT_MS;
  for (;;) {
    try {
      const mode = db.query<{ journal_mode: string }, []>("PRAGMA journal_mode = WAL").get()?.journal_mode;
      if (mode === "wal") return;
      throw new DatabaseError("failed", `${path}: the file system can't hold a database`, {
        why: `SQLite's write-ahead log isn't possible there (journal mode ${mode})`,
        hint: "a data directory on a local disk: --data-dir",
      });
    } catch (error) {
      if (!isBusy(error) || performance.now() > end) throw error;
      Bun.sleepSync(5);
    }
  }
}

function checkUpToDate(db: Database, known: readonly Migration[], path: string): void {
  const pending = pendingMigrations(readApplied(db, path), known, path);
  if (pending.length === 0) return;
  throw new DatabaseError("old-schema", `${path}: this database was written by an older robur`, {
    why: `it lacks migration ${pending[0]!.number} (${pending[0]!.name}) and is opened for reading only`,
    hint: "any command that writes brings it up to date",
  });
}

function checkNoServer(path: string, own: ServerLock | undefined): void {
  const holder = own === undefined ? serverOf(path) : undefined;
  if (holder === undefined) return;
  throw inUse(
    path,
    holder,
    `process ${holder.pid} is an older robur, and this one would change the database`,
  );
}
