import { expect, test } from "bun:test";
import { closeSync } from "node:fs";
import { COUNTER, countsOf, totalCalls } from "../../src/tender/counter-page.ts";
import { createCounters } from "../../src/tender/counters.ts";
import { findCounters, readCounters } from "../../src/tender/read-counters.ts";

test("a page of counters is found by its name, and says what was counted", () => {
  expect(findCounters(process.pid)).toBeUndefined();
  const counters = createCounters();
  const fd = findCounters(process.pid)!;
  expect(fd).toBeGreaterThan(2);
  const before = readCounters(process.pid, fd)!;
  expect([before.exits, totalCalls(before)]).toEqual([0, 0]);
  counters[COUNTER.exits] = 2 ** 40 + 1;
  counters[COUNTER.calls + 1] = 3;
  counters[COUNTER.calls + 7] = 1;
  counters[COUNTER.readBytes] = 512;
  counters[COUNTER.framesOut] = 4;
  const after = readCounters(process.pid, fd)!;
  expect(after).toMatchObject({
    exits: 2 ** 40 + 1,
    calls: { walltime: 0, puts: 3, halt: 1 },
    blockRead: { requests: 0, bytes: 512 },
    netSent: { requests: 4, bytes: 0 },
  });
  expect(totalCalls(after)).toBe(4);
  closeSync(fd);
  expect(readCounters(process.pid, fd)).toBeUndefined();
});

test("what isn't such a page, or can't have been counted, says nothing", () => {
  expect(readCounters(process.pid, 0)).toBeUndefined();
  expect(findCounters(2 ** 22)).toBeUndefined();
  const page = (changes: Readonly<Record<number, number>>) =>
    Float64Array.from({ length: 18 }, (_, i) => changes[i] ?? (i === COUNTER.layout ? 1 : 0));
  expect(countsOf(page({}))?.exits).toBe(0);
  for (const wrong of [NaN, -1, 0.5, Infinity, 2 ** 53]) {
    expect(countsOf(page({ [COUNTER.exits]: wrong }))).toBeUndefined();
  }
  expect(countsOf(page({ [COUNTER.layout]: 2 }))).toBeUndefined();
});
