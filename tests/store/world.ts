/** A store on a real file, for one test. */
import type { Database } from "bun:sqlite";
import { join } from "node:path";
import { openDatabase } from "../../src/db/open.ts";
import { type OpenContents, openContentStore } from "../../src/store/contents/content-store.ts";
import { temporaryDirectory } from "../robur.ts";

export interface StoreWorld extends AsyncDisposable {
  readonly path: string;
  readonly db: Database;
  readonly contents: OpenContents;
  /** Milliseconds since 1970: what the store takes for now. */
  now: number;
  count(table: "chunk" | "content" | "content_chunk" | "upload"): number;
}

export const HOUR = 60 * 60_000;

/** `path`: an existing database, taken up again. */
export function storeWorld(path = join(temporaryDirectory(), "robur.db")): StoreWorld {
  const db = openDatabase(path);
  const world: StoreWorld = {
    ...{ path, db },
    now: 1_700_000_000_000,
    contents: openContentStore(db, { now: () => world.now }),
    count: (table) => db.query<{ count: number }, []>(`SELECT count(*) AS count FROM ${table}`).get()!.count,
    async [Symbol.asyncDispose]() {
      await world.contents[Symbol.asyncDispose]();
      db.close();
    },
  };
  return world;
}

/** Makes something refer to a content, as a build would. */
export function referTo(db: Database, content: number): void {
  db.run("CREATE TABLE IF NOT EXISTS test_keeper (content INTEGER UNIQUE REFERENCES content (id))");
  db.query("INSERT OR IGNORE INTO test_keeper (content) VALUES (?)").run(content);
}

export function letGo(db: Database, content: number): void {
  db.query("DELETE FROM test_keeper WHERE content = ?").run(content);
}
