/** The server's database, for commands that need no server: they work beside a running one, and before the first. */
import type { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { databasePath, openDatabase } from "../db/open.ts";
import { dataDirectory } from "../lib/data-directory.ts";
import { printError } from "../linux/libc.ts";

/** Opens that of a data directory. One that is made by it is told of: it may be the wrong place. Throws DatabaseError. */
export function openServerDatabase(dataDir: string | undefined): Database {
  const path = databasePath(dataDirectory(dataDir, process.env, process.getuid?.() === 0));
  const isNew = !existsSync(path);
  const db = openDatabase(path);
  if (isNew) printError(`robur: made a new database, ${path}; --data-dir is where another server's is\n`);
  return db;
}
