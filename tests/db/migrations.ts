/** Migrations for tests, and a place for databases. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Migration } from "../../src/db/migrations/list.ts";

export const FIRST: Migration = {
  number: 1,
  name: "first",
  sql: "CREATE TABLE item (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;",
};
export const SECOND: Migration = {
  number: 2,
  name: "second",
  sql: "ALTER TABLE item ADD COLUMN size INTEGER; CREATE TABLE other (id INTEGER PRIMARY KEY) STRICT;",
};

/** A directory that goes with its test. */
export class Scratch implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "robur-db-"));

  file(name = "robur.db"): string {
    return join(this.path, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
