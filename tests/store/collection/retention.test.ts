import { expect, test } from "bun:test";
import type { BuildId, JobName, Platform } from "../../../src/store/api.ts";
import {
  type PastBuild,
  type RetentionRule,
  buildsToRemove,
} from "../../../src/store/collection/retention.ts";
import { parseRetention, rulesOf } from "../../../src/store/collection/retention-settings.ts";

const DAY = 86_400_000;

/** `b 3 ok debian hello`: a build of day 3 (that took an hour). */
function builds(text: string): PastBuild[] {
  return text
    .trim()
    .split("\n")
    .map((line) => {
      const [id, day, result, platform = "debian", job = "hello"] = line.trim().split(" ");
      return {
        id: id as BuildId,
        job: job as JobName,
        platform: platform as Platform,
        startedAt: Number(day) * DAY,
        finishedAt: Number(day) * DAY + DAY / 24,
        isSuccessful: result !== "bad",
        isPinned: result === "pinned",
        isUsed: result === "used",
      };
    });
}

const removed = (all: readonly PastBuild[], ...rules: RetentionRule[]) =>
  buildsToRemove(all, rules, 100 * DAY)
    .map(({ id }) => id)
    .join(" ");

const HELLO = builds(`a 1 ok
  b 2 bad
  c 3 ok
  d 4 bad
  e 5 ok freebsd
  f 6 ok
  g 7 bad`);

test("older-than removes what finished at or before an instant", () => {
  const finished = 3 * DAY + DAY / 24;
  expect(removed(HELLO, { kind: "older-than", at: finished })).toBe("a b c");
  expect(removed(HELLO, { kind: "older-than", at: finished - 1 })).toBe("a b");
});

test("except-latest keeps the newest of each job, successful or not", () => {
  expect(removed(HELLO, { kind: "except-latest", count: 2 })).toBe("a b c d e");
  expect(removed(HELLO, { kind: "except-latest", count: 7 })).toBe("");
  const more = [...HELLO, ...builds("x 1 ok debian other\ny 2 ok debian other")];
  expect(removed(more, { kind: "except-latest", count: 1 })).toBe("a x b c d e f");
});

test("except-latest-successful keeps one more than it is told, and what is newer", () => {
  // Successful, newest first: f e c a.
  expect(removed(HELLO, { kind: "except-latest-successful", count: 1 })).toBe("a b c d");
  expect(removed(HELLO, { kind: "except-latest-successful", count: 2 })).toBe("a b");
  expect(removed(HELLO, { kind: "except-latest-successful", count: 4 })).toBe("");
});

test("a platform limits all of them, and is counted by itself", () => {
  const platform = "debian" as Platform;
  expect(removed(HELLO, { kind: "except-latest", count: 2, platform })).toBe("a b c d");
  expect(removed(HELLO, { kind: "except-latest-successful", count: 1, platform })).toBe("a b");
  expect(removed(HELLO, { kind: "older-than", at: 99 * DAY, platform: "freebsd" as Platform })).toBe("e");
});

test("jobs that aren't named stay", () => {
  const more = [...HELLO, ...builds("x 1 ok debian other")];
  expect(removed(more, { kind: "older-than", at: 99 * DAY, jobs: ["other" as JobName] })).toBe("x");
});

test("pinned builds and what a unikernel runs stay, whatever the rule", () => {
  const all = builds("a 1 pinned\nb 2 used\nc 3 ok\nd 4 ok");
  expect(removed(all, { kind: "older-than", at: 99 * DAY })).toBe("c d");
  expect(removed(all, { kind: "except-latest", count: 1 })).toBe("c");
});

test("the daily rules keep so many successful builds of each job and platform", () => {
  expect(removed(HELLO, { kind: "keep-successful", count: 2 })).toBe("a b");
  expect(removed(HELLO, { kind: "keep-successful", count: 1 })).toBe("a b c d");
  expect(removed(HELLO, { kind: "older-than-days", days: 97 })).toBe("a b");
  expect(removed(HELLO, ...rulesOf({ keepSuccessful: null, maxAgeDays: null }))).toBe("");
});

test("settings that make no sense are refused", () => {
  for (const bad of [
    null,
    [],
    { keepSuccessful: 0 },
    { maxAgeDays: 1.5 },
    { keep: 1 },
    { maxAgeDays: "7" },
  ]) {
    expect(() => parseRetention(bad)).toThrow("no rules for keeping builds");
  }
  expect(parseRetention({ keepSuccessful: 5 })).toEqual({ keepSuccessful: 5, maxAgeDays: null });
});
