/**
 * One server a database. The lock is SQLite's own, on a small database beside the file: an immediate transaction
 * that is never ended. The kernel lets go of it when the process dies, however it dies, and no child inherits it.
 * The one row in it says whose it is; readers aren't kept out by the lock.
 */
import { Database } from "bun:sqlite";
import { existsSync, realpathSync } from "node:fs";
import { DatabaseError, explained, isBusy } from "./database-error.ts";

export interface ServerLock extends Disposable {
  /** The database that it is for, its real path. */
  readonly path: string;
  release(): void;
}

export interface Holder {
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly since: number;
}

/** Asking for the lock holds it for microseconds, which another asker can meet. */
const ATTEMPTS = 100;
const PAUSE_MS = 10;

/**
 * Takes the lock of a database, whose file or directory must exist. Throws DatabaseError in-use, with the
 * holder's process, not-permitted, read-only or disk-full.
 */
export function lockForServer(path: string, now = Date.now()): ServerLock {
  const real = realPath(path);
  const lock = openLock(real, true);
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (explained(lockPath(real), () => take(lock, now))) {
        const release = () => lock.close();
        return { path: real, release, [Symbol.dispose]: release };
      }
      const holder = readHolder(lock);
      if (holder !== undefined && isAlive(holder.pid)) throw inUse(real, holder);
      Bun.sleepSync(PAUSE_MS);
    }
    throw new DatabaseError("in-use", `${real}: another server is starting or stopping`, {
      hint: `fuser -v ${lockPath(real)}`,
    });
  } catch (error) {
    lock.close();
    throw error;
  }
}

/** Which server has the database; undefined when none has. Throws DatabaseError not-permitted. */
export function serverOf(path: string): Holder | undefined {
  const real = realPath(path);
  if (!existsSync(lockPath(real))) return undefined;
  const lock = openLock(real, false);
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (begin(lock)) return undefined;
      const holder = readHolder(lock);
      if (holder !== undefined && isAlive(holder.pid)) return holder;
      Bun.sleepSync(PAUSE_MS);
    }
    return undefined;
  } finally {
    lock.close();
  }
}

/** The error for a database that a server has. */
export function inUse(path: string, { pid, since }: Holder, why?: string): DatabaseError {
  const text = why ?? `process ${pid} has it since ${new Date(since).toISOString()}`;
  return new DatabaseError("in-use", `${path}: a server has this database`, {
    why: text,
    hint: `stop that server first: kill ${pid}`,
  });
}

/** Writes whose it is, and begins the transaction that is the lock. False when somebody else was quicker. */
function take(lock: Database, since: number): boolean {
  if (!begin(lock)) return false;
  lock.run("CREATE TABLE IF NOT EXISTS holder (pid INTEGER NOT NULL, since INTEGER NOT NULL) STRICT");
  lock.run("DELETE FROM holder");
  lock.query("INSERT INTO holder (pid, since) VALUES (?, ?)").run(process.pid, since);
  try {
    lock.run("COMMIT");
  } catch (error) {
    if (!isBusy(error)) throw error;
    lock.run("ROLLBACK");
    return false;
  }
  // Between the two transactions another server may have done the same.
  if (!begin(lock)) return false;
  const holder = readHolder(lock);
  if (holder?.pid === process.pid && holder.since === since) return true;
  lock.run("ROLLBACK");
  return false;
}

function begin(lock: Database): boolean {
  try {
    lock.run("BEGIN IMMEDIATE");
    return true;
  } catch (error) {
    if (isBusy(error)) return false;
    throw error;
  }
}

function readHolder(lock: Database): Holder | undefined {
  try {
    const hasTable = lock.query("SELECT 1 FROM sqlite_schema WHERE name = 'holder'").get() !== null;
    if (!hasTable) return undefined;
    return lock.query<Holder, []>("SELECT pid, since FROM holder").get() ?? undefined;
  } catch (error) {
    if (isBusy(error)) return undefined;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

function lockPath(path: string): string {
  return `${path}.lock`;
}

function openLock(path: string, create: boolean): Database {
  return explained(
    lockPath(path),
    () => new Database(lockPath(path), { create, readwrite: true, strict: true }),
  );
}

/** Two names of one file have one lock. */
function realPath(path: string): string {
  return existsSync(path) ? realpathSync(path) : path;
}
