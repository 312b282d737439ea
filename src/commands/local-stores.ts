/** The stores of a server that doesn't run, for a command that does its work; the lock keeps servers away meanwhile. */
import { mkdirSync } from "node:fs";
import { databasePath, openDatabase } from "../db/open.ts";
import { lockForServer } from "../db/server-lock.ts";
import { openBuildStore } from "../store/builds/build-store.ts";
import { openContentStore } from "../store/contents/content-store.ts";
import type { ImportStores } from "../store/import/run-import.ts";

/** Throws DatabaseError (in-use: a server has it). */
export function openLocalStores(dataDirectory: string): ImportStores & AsyncDisposable {
  mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
  const path = databasePath(dataDirectory);
  const lock = lockForServer(path);
  try {
    const db = openDatabase(path, { server: lock });
    const contents = openContentStore(db);
    const builds = openBuildStore(db, contents);
    const close = async () => {
      await contents[Symbol.asyncDispose]();
      db.close();
      lock.release();
    };
    return { db, contents, builds, dataDirectory, [Symbol.asyncDispose]: close };
  } catch (error) {
    lock.release();
    throw error;
  }
}
