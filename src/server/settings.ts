/** What the owner decided. Values are JSON, by key; which keys there are is known to those who read them. */
import type { Database } from "bun:sqlite";
import { write } from "../db/open.ts";

/** A setting's value; undefined where it isn't set. */
export function readSetting(db: Database, key: string): unknown {
  const row = db.query<{ value: string }, [string]>("SELECT value FROM setting WHERE key = ?").get(key);
  return row === null ? undefined : JSON.parse(row.value);
}

export function listSettings(db: Database): Record<string, unknown> {
  const rows = db
    .query<{ key: string; value: string }, []>("SELECT key, value FROM setting ORDER BY key")
    .all();
  return Object.fromEntries(rows.map(({ key, value }) => [key, JSON.parse(value) as unknown]));
}

export function writeSetting(db: Database, key: string, value: unknown): void {
  const text = JSON.stringify(value);
  write(db, () =>
    db
      .query(
        "INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
      )
      .run(key, text),
  );
}

/** False when it wasn't set. */
export function removeSetting(db: Database, key: string): boolean {
  return write(db, () => db.query("DELETE FROM setting WHERE key = ?").run(key)).changes > 0;
}
