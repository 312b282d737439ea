import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listBackups, scheduledName, timeOfName } from "../../../src/db/backup/catalog.ts";
import { checkDatabase } from "../../../src/db/backup/copy-database.ts";
import {
  type BackupSettings,
  DEFAULT_SETTINGS,
  readBackupSettings,
  writeBackupSettings,
} from "../../../src/db/backup/settings.ts";
import {
  type BackupOutcome,
  backUpIfDue,
  scheduleBackups,
} from "../../../src/orchestrator/backup/scheduled.ts";
import { until } from "../../robur.ts";
import { Room } from "./rooms.ts";

const NOW = Date.UTC(2026, 10, 21, 4);
const DAY = 86_400_000;

function schedule(room: Room, more: Partial<BackupSettings>): void {
  writeBackupSettings(room.db, { ...DEFAULT_SETTINGS, schedule: "@daily", since: NOW - 2 * DAY, ...more });
}

const options = (room: Room, now = NOW) => ({
  ...{ db: room.db, database: room.database, dataDirectory: room.data, now: () => now },
  report: () => undefined,
});
const never = new AbortController().signal;

describe("settings", () => {
  test("are off until somebody sets them, and are stored as they are", () => {
    using room = new Room();
    expect(readBackupSettings(room.db).schedule).toBeNull();
    const settings = { ...DEFAULT_SETTINGS, schedule: "0 4 * * 1", directory: "/mnt/backups", since: 5 };
    writeBackupSettings(room.db, settings);
    expect(readBackupSettings(room.db)).toEqual(settings);
  });

  test("that make no sense are refused", () => {
    using room = new Room();
    for (const bad of [
      { schedule: "daily" },
      { directory: "here" },
      { retention: { ...DEFAULT_SETTINGS.retention, last: -1 } },
    ]) {
      expect(() => schedule(room, bad)).toThrow();
    }
  });
});

describe("the names of backups", () => {
  test("say when they were made", () => {
    expect(scheduledName(NOW, false)).toBe("robur-20261121T040000Z.db");
    expect(timeOfName(scheduledName(NOW, true))).toBe(NOW);
    for (const other of ["robur.db", "robur-20261121.db", "robur-20269921T040000Z.db"])
      expect(timeOfName(other)).toBeUndefined();
  });

  test("and the copies made before migrations are listed with them", () => {
    using room = new Room();
    const directory = join(room.data, "backups");
    mkdirSync(directory);
    for (const name of [
      "robur-20261120T040000Z.db",
      "robur-20261121T040000Z.tar.zst",
      "before-restore-20261119T000000Z.db",
      "other",
    ]) {
      writeFileSync(join(directory, name), "x");
    }
    writeFileSync(`${room.database}.schema-3`, "x");
    utimesSync(`${room.database}.schema-3`, NOW / 1000, NOW / 1000 - 10 * 86_400);
    expect(listBackups(directory, room.database).map(({ name, kind }) => [name, kind])).toEqual([
      ["robur-20261121T040000Z.tar.zst", "scheduled"],
      ["robur-20261120T040000Z.db", "scheduled"],
      ["before-restore-20261119T000000Z.db", "before-restore"],
      ["robur.db.schema-3", "before-migration"],
    ]);
  });
});

describe("a backup by schedule", () => {
  test("is made by a process of its own when it is due, once, and old ones go", async () => {
    using room = new Room();
    schedule(room, { retention: { last: 2, daily: 0, weekly: 0, monthly: 0 } });
    const directory = join(room.data, "backups");
    mkdirSync(directory);
    for (const days of [2, 3, 4])
      writeFileSync(join(directory, scheduledName(NOW - days * DAY, false)), "old");
    const outcome = await backUpIfDue(options(room), never);
    const path = join(directory, "robur-20261121T040000Z.db");
    expect(outcome).toEqual({
      kind: "made",
      path,
      removed: ["robur-20261117T040000Z.db", "robur-20261118T040000Z.db"],
    });
    checkDatabase(path);
    expect(readdirSync(directory).sort()).toEqual(["robur-20261119T040000Z.db", "robur-20261121T040000Z.db"]);
    expect(await backUpIfDue(options(room), never)).toBeUndefined();
    expect(await backUpIfDue(options(room, NOW + DAY), never)).toMatchObject({ kind: "made" });
  });

  test("takes the volumes along, to another directory, where that is asked for", async () => {
    using room = new Room();
    room.volume("data", "x");
    schedule(room, { withVolumes: true, directory: room.file("else where") });
    expect(await backUpIfDue(options(room), never)).toMatchObject({
      path: room.file("else where/robur-20261121T040000Z.tar.zst"),
    });
  });

  test("that fails says why, and removes nothing", async () => {
    using room = new Room();
    schedule(room, { directory: room.file("file"), retention: { last: 1, daily: 0, weekly: 0, monthly: 0 } });
    writeFileSync(room.file("file"), "");
    expect(await backUpIfDue(options(room), never)).toMatchObject({ kind: "failed" });
    schedule(room, {});
    const gone = { ...options(room), database: room.file("gone.db") };
    expect(await backUpIfDue(gone, never)).toMatchObject({
      kind: "failed",
      message: expect.stringContaining("there is no database") as string,
    });
  });

  test("is not made when it is switched off, and not before its time", async () => {
    using room = new Room();
    expect(await backUpIfDue(options(room), never)).toBeUndefined();
    schedule(room, { since: NOW });
    expect(await backUpIfDue(options(room), never)).toBeUndefined();
  });

  test("goes on until the server stops, which waits for the one at work", async () => {
    using room = new Room();
    schedule(room, {});
    const stop = new AbortController();
    const reported: BackupOutcome[] = [];
    const work = scheduleBackups(
      { ...options(room), report: (outcome) => reported.push(outcome) },
      stop.signal,
    );
    await until("a backup", () => reported.length > 0);
    stop.abort();
    await work;
    expect(reported).toMatchObject([{ kind: "made" }]);
  });
});
