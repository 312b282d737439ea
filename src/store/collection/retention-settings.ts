/** What the owner decided about old builds: one row of the table `setting`. */
import type { Database } from "bun:sqlite";
import { write } from "../../db/open.ts";
import { StoreError } from "../store-error.ts";
import type { RetentionRule } from "./retention.ts";

export interface RetentionSettings {
  /** Of each job and platform, the newest so many successful builds stay, and what is newer than the last of them. */
  readonly keepSuccessful: number | null;
  /** Builds go so many days after they finished. */
  readonly maxAgeDays: number | null;
}

/** Nothing goes by itself. */
export const KEEP_ALL: RetentionSettings = { keepSuccessful: null, maxAgeDays: null };

/** Its key there. */
export const RETENTION = "store.retention";
const MOST = 1_000_000;

/** The settings as they are stored, or KEEP_ALL. Throws StoreError bad-setting for a stored one that isn't understood. */
export function readRetention(db: Database): RetentionSettings {
  const row = db.query<{ value: string }, [string]>("SELECT value FROM setting WHERE key = ?").get(RETENTION);
  return row === null ? KEEP_ALL : parseRetention(JSON.parse(row.value));
}

/** Settings from outside; what is left out is null. Throws StoreError bad-setting. */
export function parseRetention(value: unknown): RetentionSettings {
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw bad("it is an object");
  for (const [key, field] of Object.entries(value)) {
    if (!(key in KEEP_ALL)) throw bad(`there is no field ${JSON.stringify(key)}`);
    const isCount = Number.isSafeInteger(field) && field >= 1 && field <= MOST;
    if (field !== null && !isCount) throw bad(`${key} is a number from 1 on, or null`);
  }
  return { ...KEEP_ALL, ...(value as Partial<RetentionSettings>) };
}

export function writeRetention(db: Database, settings: RetentionSettings): void {
  const value = JSON.stringify(parseRetention(settings));
  write(db, () =>
    db
      .query(
        "INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
      )
      .run(RETENTION, value),
  );
}

/** The rules for buildsToRemove. Pure. */
export function rulesOf({ keepSuccessful, maxAgeDays }: RetentionSettings): RetentionRule[] {
  return [
    ...(keepSuccessful === null ? [] : [{ kind: "keep-successful", count: keepSuccessful } as const]),
    ...(maxAgeDays === null ? [] : [{ kind: "older-than-days", days: maxAgeDays } as const]),
  ];
}

function bad(why: string): StoreError {
  return new StoreError("bad-setting", "these are no rules for keeping builds", {
    why,
    hint: "robur store retention set --keep-successful 10",
  });
}
