/**
 * Who refers to contents. It is asked of the schema, so a table that comes later counts from its first row on and
 * nobody can forget to name it here.
 */
import type { Database } from "bun:sqlite";

/** A column whose foreign key is content(id). */
export interface Reference {
  readonly table: string;
  readonly column: string;
}

/** All but the chunks of the contents themselves. */
export function contentReferences(db: Database): Reference[] {
  return db
    .query<Reference, []>(
      `SELECT tables.name AS "table", keys."from" AS "column"
       FROM sqlite_master AS tables JOIN pragma_foreign_key_list(tables.name) AS keys
       WHERE tables.type = 'table' AND keys."table" = 'content' COLLATE NOCASE AND tables.name <> 'content_chunk'
       ORDER BY 1, 2`,
    )
    .all();
}

/** An SQL condition: true for the rows of `content` to which nothing refers. */
export function isUnreferenced(references: readonly Reference[]): string {
  const conditions = references.map(({ table, column }) => {
    const name = quoted(table);
    return `NOT EXISTS (SELECT 1 FROM ${name} WHERE ${name}.${quoted(column)} = content.id)`;
  });
  return ["1", ...conditions].join(" AND ");
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
