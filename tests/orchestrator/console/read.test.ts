import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { parseCursor } from "../../../src/orchestrator/console/line.ts";
import { LONGEST_LINE, cutLines, firstWhole, lastLines } from "../../../src/orchestrator/console/read.ts";

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const encode = (text: string) => new TextEncoder().encode(text);
const all = { limit: Infinity, isFinal: true, timeOf: () => 0 };

test("lines are what stands between newlines, bytes as they are", () => {
  const bytes = fc.uint8Array({ maxLength: 400 }).map((raw) => raw.map((byte) => (byte < 60 ? 10 : byte)));
  fc.assert(
    fc.property(bytes, fc.integer({ min: 0, max: 1e12 }), (raw, from) => {
      const { lines, next } = cutLines(raw, from, all);
      expect(next).toBe(from + raw.length);
      const parts = lines.map(({ bytes: line, isWhole }) => [...line, ...(isWhole ? [10] : [])]);
      expect(parts.flat()).toEqual([...raw]);
      expect(lines.slice(0, -1).every(({ isWhole }) => isWhole)).toBe(true);
      expect(lines.at(-1)?.cursor ?? from).toBe((from + raw.length) as never);
    }),
  );
});

test("reading on behind a cursor gives what reading at once gives", () => {
  const texts = fc.array(fc.stringMatching(/^[a-z]{0,6}$/), { maxLength: 30 });
  fc.assert(
    fc.property(texts, fc.integer({ min: 1, max: 5 }), (wanted, limit) => {
      const raw = encode(wanted.map((line) => `${line}\n`).join(""));
      const got: string[] = [];
      for (let at = 0; at < raw.length;) {
        const { lines, next } = cutLines(raw.subarray(at), at, { ...all, limit });
        got.push(...lines.map(({ bytes }) => decode(bytes)));
        at = next;
      }
      expect(got).toEqual(wanted);
    }),
  );
});

test("the last lines are the last lines", () => {
  const texts = fc.array(fc.stringMatching(/^[a-z]{0,4}$/), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(texts, fc.integer({ min: 0, max: 14 }), fc.boolean(), (lines, count, isEnded) => {
      fc.pre(isEnded || lines.at(-1) !== "");
      const text = lines.join("\n") + (isEnded ? "\n" : "");
      const at = lastLines(encode(text), count);
      const tail = count === 0 ? [] : lines.slice(-count);
      expect(text.slice(at)).toBe(tail.length === 0 ? "" : tail.join("\n") + (isEnded ? "\n" : ""));
    }),
  );
});

test("a line without an end waits for it, unless nothing follows", () => {
  const raw = encode("one\ntw");
  expect(cutLines(raw, 0, { ...all, isFinal: false }).lines.map(({ bytes }) => decode(bytes))).toEqual([
    "one",
  ]);
  expect(cutLines(raw, 0, all).lines.map(({ isWhole }) => isWhole)).toEqual([true, false]);
});

test("a line that is too long comes in pieces", () => {
  const raw = encode(`${"x".repeat(LONGEST_LINE * 2 + 5)}\nnext\n`);
  const { lines } = cutLines(raw, 0, { ...all, isFinal: false });
  expect(lines.map(({ bytes, isWhole }) => [bytes.length, isWhole])).toEqual([
    [LONGEST_LINE, false],
    [LONGEST_LINE, false],
    [5, true],
    [4, true],
  ]);
});

test("the first whole line begins behind the first newline", () => {
  expect(firstWhole(encode("rest\nline\n"))).toBe(5);
  expect(firstWhole(encode("rest"))).toBe(4);
});

test("a cursor is a number of bytes and nothing else", () => {
  expect(parseCursor("123")).toBe(123 as never);
  for (const text of ["", "-1", "1e3", "1.5", "abc", "9999999999999999"])
    expect(parseCursor(text)).toBeUndefined();
});
