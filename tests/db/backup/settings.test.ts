import { describe, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { BackupError } from "../../../src/db/backup/backup-error.ts";
import {
  DEFAULT_SETTINGS,
  parseBackupSettings,
  readBackupSettings,
  writeBackupSettings,
} from "../../../src/db/backup/settings.ts";

const NOW = 1_800_000_000_000;

describe("settings for backups from outside", () => {
  test("what is left out is the default, and the moment is kept", () => {
    expect(parseBackupSettings({ schedule: "@daily", retention: { daily: 2 } }, NOW)).toEqual({
      ...DEFAULT_SETTINGS,
      schedule: "@daily",
      retention: { ...DEFAULT_SETTINGS.retention, daily: 2 },
      since: NOW,
    });
  });

  test.each([
    [null],
    ["@daily"],
    [{ schedule: 5 }],
    [{ schedule: "whenever" }],
    [{ retention: null }],
    [{ retention: { daily: -1 } }],
    [{ retention: { daily: "7" } }],
    [{ withVolumes: "yes" }],
    [{ directory: "backups" }],
  ])("%j is refused", (value) => {
    expect(() => parseBackupSettings(value, NOW)).toThrow(BackupError);
  });

  test("what was accepted is read back", () => {
    using db = new Database(":memory:", { strict: true });
    db.run("CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT");
    expect(readBackupSettings(db)).toEqual(DEFAULT_SETTINGS);
    const settings = parseBackupSettings({ schedule: "30 3 * * *" }, NOW);
    writeBackupSettings(db, settings);
    expect(readBackupSettings(db)).toEqual(settings);
  });
});
