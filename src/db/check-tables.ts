/** Whether a server can trust its database: pages go bad on disks, and it acts on what it reads. */
import type { Database } from "bun:sqlite";
import { DatabaseError, explained } from "./database-error.ts";

/** Large, and nothing is decided by them: damage there is told to whoever asks for it. */
const UNCHECKED: ReadonlySet<string> = new Set([
  "image_chunk",
  "stat",
  "audit",
  "console_time",
  "hook_delivery",
]);

/**
 * Reads every page of the tables by which a server decides what runs and who may do what. One that took a damaged
 * table for an empty one would end unikernels as unknown. Throws DatabaseError corrupt.
 */
export function checkTables(db: Database): void {
  const path = db.filename;
  const found = explained(path, () => {
    const tables = db.query<{ name: string }, []>(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    );
    const checked = tables.all().filter(({ name }) => !UNCHECKED.has(name));
    // The name is one of the schema's own, and a pragma takes no parameters.
    return checked.flatMap(({ name }) =>
      db.query<{ quick_check: string }, []>(`PRAGMA quick_check("${name}")`).all(),
    );
  });
  const damage = found.map((row) => row.quick_check).find((text) => text !== "ok");
  if (damage === undefined) return;
  throw new DatabaseError("corrupt", `${path}: the database is damaged`, {
    why: `SQLite says: ${damage}`,
    hint: `restore a backup, or save what can be read: sqlite3 ${path} .recover`,
  });
}
