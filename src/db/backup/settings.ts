/** What the owner decided about backups: one row of the table `setting`. */
import type { Database } from "bun:sqlite";
import { isAbsolute } from "node:path";
import { write } from "../open.ts";
import { BackupError } from "./backup-error.ts";
import { type Retention, isSchedule } from "./plan.ts";

export interface BackupSettings {
  /** Five fields of cron, or @hourly, @daily, @weekly, @monthly; null: no backups by themselves. */
  readonly schedule: string | null;
  readonly retention: Retention;
  readonly withVolumes: boolean;
  /** Absolute; null for `backups` in the data directory. */
  readonly directory: string | null;
  /** When this was decided, milliseconds since 1970. */
  readonly since: number;
}

/** None by themselves, for they take room that nobody gave; with a schedule, a week's and some for longer. */
export const DEFAULT_SETTINGS: BackupSettings = {
  schedule: null,
  retention: { last: 3, daily: 7, weekly: 4, monthly: 6 },
  withVolumes: false,
  directory: null,
  since: 0,
};

const KEY = "backup";
/** More than anybody means to keep. */
const RETENTION_MAX = 10_000;

/** The settings as they are stored, or the default. A stored one that isn't understood is refused, not guessed at. */
export function readBackupSettings(db: Database): BackupSettings {
  const row = db.query<{ value: string }, [string]>("SELECT value FROM setting WHERE key = ?").get(KEY);
  if (row === null) return DEFAULT_SETTINGS;
  return checkSettings({ ...DEFAULT_SETTINGS, ...(JSON.parse(row.value) as Partial<BackupSettings>) });
}

/**
 * Settings from outside, decided at `since`; what is left out is the default. Throws BackupError bad-setting for a
 * field that isn't of its type, or makes no sense.
 */
export function parseBackupSettings(value: unknown, since: number): BackupSettings {
  const fields = value !== null && typeof value === "object" ? (value as Record<string, unknown>) : undefined;
  const settings = { ...DEFAULT_SETTINGS, ...fields, since };
  const { schedule, retention, withVolumes, directory } = settings as Record<string, unknown>;
  const isText = (field: unknown) => field === null || typeof field === "string";
  const isRetention = retention !== null && typeof retention === "object";
  if (
    fields !== undefined &&
    isText(schedule) &&
    isText(directory) &&
    isRetention &&
    typeof withVolumes === "boolean"
  ) {
    return checkSettings({
      ...settings,
      retention: { ...DEFAULT_SETTINGS.retention, ...(retention as object) },
    });
  }
  throw new BackupError("bad-setting", "these are no settings for backups", {
    why: "they are schedule, retention, withVolumes and directory",
  });
}

/** Stores them. Throws BackupError bad-setting for what makes no sense. */
export function writeBackupSettings(db: Database, settings: BackupSettings): void {
  const value = JSON.stringify(checkSettings(settings));
  write(db, () =>
    db
      .query(
        "INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
      )
      .run(KEY, value),
  );
}

function checkSettings(settings: BackupSettings): BackupSettings {
  const { schedule, retention, directory } = settings;
  if (schedule !== null && !isSchedule(schedule)) {
    throw new BackupError("bad-setting", `${JSON.stringify(schedule)} is no schedule`, {
      why: "it has five fields (minute, hour, day of the month, month, day of the week), or is @daily or the like",
      hint: 'robur backup schedule "30 3 * * *"',
    });
  }
  for (const [name, count] of Object.entries(retention)) {
    if (Number.isSafeInteger(count) && count >= 0 && count <= RETENTION_MAX) continue;
    throw new BackupError("bad-setting", `${count} is no number of backups to keep (${name})`, {
      hint: `--keep-${name} 7`,
    });
  }
  if (directory !== null && !isAbsolute(directory)) {
    throw new BackupError("bad-setting", `${directory} is not an absolute path`, {
      hint: "--directory /mnt/backups",
    });
  }
  return settings;
}
