import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { sha256Of } from "../../../src/lib/sha256-of.ts";
import { AVERAGE, Cutter, MAX, MIN } from "../../../src/store/chunks/cut.ts";
import { GEAR } from "../../../src/store/chunks/gear.ts";
import { randomBytes } from "../bytes.ts";

/** Where the chunks end when the bytes come in pieces of these lengths. */
function cut(bytes: Uint8Array, pieces: readonly number[] = []): number[] {
  const cutter = new Cutter();
  const ends: number[] = [];
  const take = (chunk: Uint8Array) => {
    const start = ends.at(-1) ?? 0;
    expect(Buffer.compare(chunk, bytes.subarray(start, start + chunk.length))).toBe(0);
    ends.push(start + chunk.length);
  };
  let at = 0;
  for (const length of pieces) {
    cutter.push(bytes.subarray(at, at + length), take);
    at = Math.min(at + length, bytes.length);
  }
  cutter.push(bytes.subarray(at), take);
  if (cutter.tail().length > 0) take(cutter.tail());
  return ends;
}

function keysOf(bytes: Uint8Array): string[] {
  let start = 0;
  return cut(bytes).map((end) => sha256Of(bytes.subarray(start, (start = end))));
}

test("the gear is what it always was", () => {
  expect([GEAR[0], GEAR[1], GEAR[255]]).toEqual([241718650, -659838931, -1431769700]);
});

test("the same bytes are cut where they always were", () => {
  expect(cut(randomBytes(1_000_000, 7))).toEqual([
    82262, 167700, 238855, 322036, 410387, 489755, 590193, 656851, 758969, 825270, 928506, 1000000,
  ]);
});

test("chunks are within their limits, and about as large as they should be", () => {
  const bytes = randomBytes(64 << 20, 1);
  const ends = cut(bytes);
  const sizes = ends.map((end, i) => end - (ends[i - 1] ?? 0));
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(bytes.length);
  for (const size of sizes.slice(0, -1)) {
    expect(size).toBeGreaterThan(MIN);
    expect(size).toBeLessThanOrEqual(MAX);
  }
  const mean = bytes.length / sizes.length;
  expect(mean).toBeGreaterThan(AVERAGE * 0.9);
  expect(mean).toBeLessThan(AVERAGE * 1.4);
});

test("bytes without any change are cut at the largest size", () => {
  expect(cut(new Uint8Array(600_000))).toEqual([MAX, 2 * MAX, 600_000]);
});

test("where it cuts doesn't depend on how the bytes come", () => {
  const bytes = randomBytes(700_000, 3);
  const whole = cut(bytes);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 200_000 }), { maxLength: 20 }), (pieces) => {
      expect(cut(bytes, pieces)).toEqual(whole);
    }),
  );
  expect(
    cut(
      bytes,
      Array.from({ length: 1000 }, () => 1),
    ),
  ).toEqual(whole);
});

test("looking at the tail changes nothing of what follows", () => {
  const bytes = randomBytes(400_000, 5);
  const cutter = new Cutter();
  const ends: number[] = [];
  let end = 0;
  for (let at = 0; at < bytes.length; at += 10_007) {
    cutter.push(bytes.subarray(at, at + 10_007), (chunk) => ends.push((end += chunk.length)));
    expect(Buffer.compare(cutter.tail(), bytes.subarray(end, Math.min(at + 10_007, bytes.length)))).toBe(0);
  }
  expect(ends).toEqual(cut(bytes).slice(0, ends.length));
});

test("an insertion, a deletion or a change makes only the chunks around it new", () => {
  const bytes = randomBytes(8 << 20, 11);
  const known = new Set(keysOf(bytes));
  const change = fc.record({
    at: fc.integer({ min: 0, max: bytes.length }),
    gone: fc.integer({ min: 0, max: 1000 }),
    added: fc.uint8Array({ maxLength: 1000 }),
  });
  fc.assert(
    fc.property(change, ({ at, gone, added }) => {
      const changed = Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(at + gone)]);
      const fresh = keysOf(changed).filter((key) => !known.has(key));
      expect(fresh.length).toBeLessThanOrEqual(8);
    }),
    { numRuns: 30 },
  );
});
