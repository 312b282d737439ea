/** Damage that a server must find before it acts on what it reads. */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { checkTables } from "../../src/db/check-tables.ts";
import { DatabaseError } from "../../src/db/database-error.ts";
import { databasePath, openDatabase } from "../../src/db/open.ts";
import { temporaryDirectory } from "../robur.ts";

/** Overwrites the first page of a table or an index with 0xff. */
function damage(path: string, name: string): void {
  const db = openDatabase(path);
  db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  const page = db
    .query<{ rootpage: number }, [string]>("SELECT rootpage FROM sqlite_schema WHERE name = ?")
    .get(name)!;
  const { page_size: size } = db.query<{ page_size: number }, []>("PRAGMA page_size").get()!;
  db.close();
  const fd = openSync(path, "r+");
  writeSync(fd, new Uint8Array(size).fill(0xff), 0, size, (page.rootpage - 1) * size);
  closeSync(fd);
}

function check(path: string): DatabaseError | undefined {
  using db = new Database(path);
  try {
    checkTables(db);
    return undefined;
  } catch (error) {
    if (error instanceof DatabaseError) return error;
    throw error;
  }
}

function fresh(): string {
  const path = databasePath(join(temporaryDirectory(), "data"));
  openDatabase(path).close();
  return path;
}

test("a whole database passes", () => {
  expect(check(fresh())).toBeUndefined();
});

test.each(["unikernel", "image", "network_tap", "user", "sqlite_autoindex_unikernel_2"])(
  "a damaged page of %s is found, though reading could take the table for empty",
  (name) => {
    const path = fresh();
    damage(path, name);
    const error = check(path);
    expect(error?.code).toBe("corrupt");
    expect(error?.message).toContain(path);
    expect(error?.hint).toContain("backup");
  },
);

test.each(["stat", "audit", "image_chunk"])("one of %s keeps no server from starting", (name) => {
  const path = fresh();
  damage(path, name);
  expect(check(path)).toBeUndefined();
});
