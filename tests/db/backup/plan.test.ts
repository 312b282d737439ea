import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  type PastBackup,
  type Retention,
  backupsToRemove,
  isSchedule,
  nextBackupAt,
} from "../../../src/db/backup/plan.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 10, 21, 4);
const each = (count: number, step: number, from = NOW): PastBackup[] =>
  Array.from({ length: count }, (_, i) => ({ name: `b${i}`, at: from - i * step }));
const kept = (backups: readonly PastBackup[], retention: Retention, now = NOW) => {
  const removed = new Set(backupsToRemove(backups, retention, now));
  return backups.filter((backup) => !removed.has(backup));
};
const NONE: Retention = { last: 0, daily: 0, weekly: 0, monthly: 0 };

describe("a schedule", () => {
  test("has five fields, or one of the names", () => {
    for (const text of ["30 3 * * *", "@daily", "@hourly", "*/5 * * * *"])
      expect(isSchedule(text)).toBe(true);
    for (const text of ["", "daily", "* * * *", "61 * * * *", "0 0 30 2 *"])
      expect(isSchedule(text)).toBe(false);
  });

  test("is counted from the newest backup", () => {
    expect(nextBackupAt("@hourly", each(3, HOUR, NOW - 1), 0, NOW)).toBe(NOW);
  });

  test("is counted from when it was set while there is none, so a schedule isn't late on its first day", () => {
    expect(nextBackupAt("@daily", [], NOW, NOW)).toBe(Date.UTC(2026, 10, 22));
  });

  test("that was missed is due at once, and once only", () => {
    const missed = nextBackupAt("@daily", each(1, DAY, NOW - 10 * DAY), 0, NOW)!;
    expect(missed).toBeLessThan(NOW);
    expect(nextBackupAt("@daily", each(1, DAY, NOW), 0, NOW)).toBeGreaterThan(NOW);
  });

  test("goes on when the clock was put back a year", () => {
    const past = each(5, DAY);
    const lastYear = NOW - 365 * DAY;
    const due = nextBackupAt("@daily", past, NOW - 10 * DAY, lastYear)!;
    expect(due - lastYear).toBeLessThanOrEqual(DAY);
  });
});

describe("old backups", () => {
  test("go when no rule keeps them, oldest first", () => {
    expect(backupsToRemove(each(5, HOUR), { ...NONE, last: 2 }, NOW).map(({ name }) => name)).toEqual([
      "b4",
      "b3",
      "b2",
    ]);
  });

  test("are kept one a day, the newest of each", () => {
    const two = each(8, 12 * HOUR);
    expect(kept(two, { ...NONE, daily: 3 }).map(({ name }) => name)).toEqual(["b0", "b1", "b3"]);
  });

  test("are kept one a week and one a month", () => {
    const year = each(365, DAY);
    expect(kept(year, { ...NONE, weekly: 4 })).toHaveLength(4);
    expect(kept(year, { ...NONE, monthly: 6 }).map(({ at }) => new Date(at).getUTCMonth())).toEqual([
      10, 9, 8, 7, 6, 5,
    ]);
  });

  test("from the future stay, and so does the newest, whatever the rules say", () => {
    const backups = each(6, DAY, NOW + 2 * DAY);
    expect(kept(backups, NONE).map(({ name }) => name)).toEqual(["b0", "b1", "b2"]);
  });

  test("are never fewer than the rules ask for, and asking again removes nothing", () => {
    const retention = fc.record({ last: fc.nat(5), daily: fc.nat(5), weekly: fc.nat(5), monthly: fc.nat(5) });
    const times = fc.uniqueArray(fc.integer({ min: NOW - 400 * DAY, max: NOW + DAY }), { maxLength: 60 });
    fc.assert(
      fc.property(times, retention, (times, retention) => {
        const backups = times.map((at) => ({ name: String(at), at }));
        const left = kept(backups, retention);
        const past = left.filter(({ at }) => at <= NOW);
        expect(past.length).toBeGreaterThanOrEqual(
          Math.min(backups.filter(({ at }) => at <= NOW).length, Math.max(1, retention.last)),
        );
        expect(backupsToRemove(left, retention, NOW)).toEqual([]);
      }),
    );
  });
});
