/** Statistics in the database: minutes, hours and days, each kept for its time. */
import type { Database } from "bun:sqlite";
import { write } from "../../db/open.ts";
import type { UnikernelId } from "../api.ts";
import { SPAN, rollUp, spanOf } from "./roll-up.ts";
import type { Resolution, StatsPoint } from "./sample.ts";

type Stored = Exclude<Resolution, "raw">;

interface Row {
  point: string;
}

function range(db: Database, id: UnikernelId, resolution: Stored, from: number, to: number): StatsPoint[] {
  return db
    .query<Row, [string, string, number, number]>(
      "SELECT point FROM stat WHERE unikernel = ? AND resolution = ? AND at >= ? AND at < ? ORDER BY at",
    )
    .all(id, resolution, from, to)
    .map(({ point }) => JSON.parse(point) as StatsPoint);
}

function put(db: Database, id: UnikernelId, resolution: Stored, point: StatsPoint): void {
  db.query<unknown, (string | number)[]>("INSERT OR REPLACE INTO stat VALUES (?, ?, ?, ?)").run(
    id,
    resolution,
    point.at,
    JSON.stringify(point),
  );
}

/** What is recorded since a time, oldest first. */
export function readPoints(db: Database, id: UnikernelId, resolution: Stored, since: number): StatsPoint[] {
  return range(db, id, resolution, since, Number.MAX_SAFE_INTEGER);
}

/**
 * Records the minutes that have passed, each once and whole, and what follows from them: the hour and the day that
 * they are in are made anew from what is there. One transaction.
 */
export function recordMinutes(
  db: Database,
  minutes: ReadonlyMap<UnikernelId, StatsPoint>,
  now: number,
): void {
  if (minutes.size === 0) return;
  write(db, () => {
    const isThere = db.query<unknown, [string]>("SELECT 1 FROM unikernel WHERE id = ?");
    for (const [id, minute] of minutes) {
      if (isThere.get(id) === null) continue;
      put(db, id, "minute", minute);
      const hour = spanOf(minute.at, SPAN.hour.ms);
      put(db, id, "hour", rollUp(range(db, id, "minute", hour, hour + SPAN.hour.ms), hour));
      const day = spanOf(minute.at, SPAN.day.ms);
      put(db, id, "day", rollUp(range(db, id, "hour", day, day + SPAN.day.ms), day));
    }
    // One look a minute at what is too old costs nothing: the index leads there.
    for (const id of minutes.keys()) {
      for (const [resolution, { keptMs }] of Object.entries(SPAN)) {
        db.query("DELETE FROM stat WHERE unikernel = ? AND resolution = ? AND at < ?").run(
          id,
          resolution,
          now - keptMs,
        );
      }
    }
  });
}
