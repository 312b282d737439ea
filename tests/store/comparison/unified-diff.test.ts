import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { unifiedDiff } from "../../../src/store/comparison/unified-diff.ts";
import { lacks, needsCommands } from "../../needs.ts";
import { temporaryDirectory } from "../../robur.ts";

const LABELS = { left: "a", right: "b" };
const NO_NEWLINE = "\\ No newline at end of file\n";

/** Makes the right text of the left one, and checks every line that it takes away or leaves. */
function apply(left: string, diff: string): string {
  if (diff === "") return left;
  const source = left.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  const lines = diff.match(/[^\n]*\n/g) ?? [];
  expect(lines.slice(0, 2)).toEqual(["--- a\n", "+++ b\n"]);
  const out: string[] = [];
  let at = 0;
  for (let i = 2; i < lines.length; i++) {
    const line = lines[i] ?? "";
    if (line === NO_NEWLINE) continue;
    const [, start, count = "1"] = /^@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@/.exec(line) ?? [];
    if (start !== undefined) {
      const from = count === "0" ? Number(start) : Number(start) - 1;
      out.push(...source.slice(at, from));
      at = from;
      continue;
    }
    const isBare = lines[i + 1] === NO_NEWLINE;
    const text = isBare ? line.slice(1, -1) : line.slice(1);
    if (line.startsWith("+")) out.push(text);
    else {
      expect(source[at]).toBe(text);
      at++;
      if (line.startsWith(" ")) out.push(text);
    }
  }
  return [...out, ...source.slice(at)].join("");
}

const line = fc.constantFrom("a", "b", "c", "d", "", "long line", "+x", "-y", "@@ -1 +1 @@", "\\ x");
const text = fc
  .tuple(fc.array(line, { maxLength: 40 }), fc.boolean())
  .map(([lines, isEnded]) => lines.join("\n") + (isEnded && lines.length > 0 ? "\n" : ""));

describe("a unified diff", () => {
  test("makes the right text of the left one", () => {
    fc.assert(
      fc.property(text, text, (left, right) => {
        expect(apply(left, unifiedDiff(left, right, LABELS))).toBe(right);
      }),
      { numRuns: 1000 },
    );
  });
  test("does so when no time is left to look for a short one", () => {
    fc.assert(
      fc.property(text, text, fc.nat(5), (left, right, changes) => {
        expect(apply(left, unifiedDiff(left, right, LABELS, { changes }))).toBe(right);
      }),
    );
  });
  test("is empty for equal texts only", () => {
    fc.assert(
      fc.property(text, text, (left, right) => {
        expect(unifiedDiff(left, right, LABELS) === "").toBe(left === right);
      }),
    );
  });
  test("looks like diff's", () => {
    const left = Array.from({ length: 20 }, (_, i) => `${i}\n`).join("");
    const right = left.replace("5\n", "five\n").replace("19\n", "19");
    expect(unifiedDiff(left, right, LABELS)).toBe(
      `--- a\n+++ b\n@@ -3,7 +3,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n@@ -17,4 +17,4 @@\n 16\n 17\n 18\n-19\n+19\n${NO_NEWLINE}`,
    );
    expect(unifiedDiff("", "x\n", LABELS)).toBe("--- a\n+++ b\n@@ -0,0 +1 @@\n+x\n");
  });
  test.skipIf(lacks(needsCommands("diff")))("is as short as diff's", () => {
    const directory = temporaryDirectory();
    const changesIn = (diff: string) =>
      diff.split("\n").filter((row) => /^[-+](?![-+]{2} )/.test(row)).length;
    fc.assert(
      fc.asyncProperty(text, text, async (left, right) => {
        await Bun.write(`${directory}/l`, left);
        await Bun.write(`${directory}/r`, right);
        const { stdout } = Bun.spawnSync(["diff", "-d", "-u", "l", "r"], { cwd: directory });
        expect(changesIn(unifiedDiff(left, right, LABELS))).toBeLessThanOrEqual(changesIn(stdout.toString()));
      }),
      { numRuns: 60 },
    );
  });
  test("of two large texts that have nothing in common is soon there", () => {
    const left = Array.from({ length: 100_000 }, (_, i) => `left ${i % 1000}\n`).join("");
    const right = Array.from({ length: 100_000 }, (_, i) => `right ${i}\n`).join("");
    const start = performance.now();
    const diff = unifiedDiff(left, right, LABELS);
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(apply(left, diff)).toBe(right);
  });
});
