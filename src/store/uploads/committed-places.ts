/** What of an unfinished content is there without a gap: chunks are written in any order, so behind a kill there may be one. */
import type { Database } from "bun:sqlite";
import { write } from "../../db/open.ts";

export interface StoredPlace {
  readonly offset: number;
  readonly size: number;
}

/** The places from the beginning on. */
export function committedPlaces(db: Database, content: number): StoredPlace[] {
  const places: StoredPlace[] = [];
  const rows = db.query<StoredPlace, [number]>(
    `SELECT offset, size FROM content_chunk JOIN chunk ON chunk.id = chunk
     WHERE content_chunk.content = ? ORDER BY offset`,
  );
  let end = 0;
  for (const place of rows.iterate(content)) {
    if (place.offset !== end) break;
    places.push(place);
    end += place.size;
  }
  return places;
}

/** Where the next byte belongs. */
export function endOf(places: readonly StoredPlace[]): number {
  const last = places.at(-1);
  return last === undefined ? 0 : last.offset + last.size;
}

/** Forgets the places at and behind `end`. */
export function dropPlacesFrom(db: Database, content: number, end: number): void {
  write(db, () => db.query("DELETE FROM content_chunk WHERE content = ? AND offset >= ?").run(content, end));
}
