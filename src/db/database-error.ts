/** What can be wrong with the one database file, and the translation of SQLite's own words for it. */
import { SQLiteError } from "bun:sqlite";
import { RoburError } from "../lib/errors.ts";

export type DatabaseErrorCode =
  /** There is no such file, and none was to be made. */
  | "missing"
  | "not-permitted"
  | "read-only"
  /** The file is no SQLite database, or one of another program. */
  | "not-a-database"
  | "corrupt"
  | "disk-full"
  /** Another process kept it locked for longer than the time-out. */
  | "busy"
  /** A server has it. */
  | "in-use"
  /** It was written by a newer robur. */
  | "newer-schema"
  /** It is opened read-only and lacks migrations. */
  | "old-schema"
  /** A migration that it has had reads differently in this robur. */
  | "changed-migration"
  /** A migration failed; nothing was changed. */
  | "migration-failed"
  | "failed";

export class DatabaseError extends RoburError<DatabaseErrorCode> {}

interface Explanation {
  readonly code: DatabaseErrorCode;
  readonly message: string;
  readonly hint?: (path: string) => string;
}

/** By the first part of SQLite's name of the error (SQLITE_IOERR_READ is an IOERR): https://sqlite.org/rescode.html */
const EXPLANATIONS: Readonly<Record<string, Explanation>> = {
  NOTADB: { code: "not-a-database", message: "not a robur database", hint: otherFile },
  CORRUPT: {
    code: "corrupt",
    message: "the database is damaged",
    hint: (path) => `restore a backup, or save what can be read: sqlite3 ${path} .recover`,
  },
  FULL: { code: "disk-full", message: "the disk is full", hint: (path) => `df -h ${path}` },
  READONLY: { code: "read-only", message: "the database can't be written to", hint: listFile },
  CANTOPEN: { code: "not-permitted", message: "the database can't be opened", hint: listFile },
  PERM: { code: "not-permitted", message: "the database can't be opened", hint: listFile },
  BUSY: {
    code: "busy",
    message: "another process keeps the database locked",
    hint: (path) => `fuser -v ${path}`,
  },
  LOCKED: { code: "busy", message: "the database is locked" },
  IOERR: { code: "failed", message: "the database's disk fails", hint: () => "sudo dmesg | tail" },
};

function otherFile(path: string): string {
  return `another --data-dir, or move the file away: mv ${path} ${path}.other`;
}

function listFile(path: string): string {
  return `ls -ld ${path} ${path.slice(0, path.lastIndexOf("/") + 1) || "."}`;
}

/** SQLite's error in robur's words; any other error as it is. */
export function explainSqlite(error: unknown, path: string): unknown {
  if (!(error instanceof SQLiteError)) return error;
  const [, kind = ""] = /^SQLITE_([A-Z]+)/.exec(error.code ?? "") ?? [];
  const known = EXPLANATIONS[kind];
  if (known === undefined) {
    return new DatabaseError("failed", `${path}: ${error.message}`, { why: error.code ?? "", cause: error });
  }
  const hint = known.hint?.(path);
  return new DatabaseError(known.code, `${path}: ${known.message}`, {
    why: `SQLite says: ${error.message}`,
    ...(hint === undefined ? {} : { hint }),
    cause: error,
  });
}

/** Whether an error is SQLite's "somebody else has the lock". */
export function isBusy(error: unknown): boolean {
  return error instanceof SQLiteError && (error.code ?? "").startsWith("SQLITE_BUSY");
}

/** Runs `action`; what SQLite throws in it becomes a DatabaseError. */
export function explained<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw explainSqlite(error, path);
  }
}
