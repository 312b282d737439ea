/** What a job leaves, and what it writes, as files and lines: whatever a job may have done to them. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OutputError, collectOutput, readOutput } from "../../src/builds/worker/collect.ts";
import { hostPlatform } from "../../src/builds/worker/host-platform.ts";
import { LineSplitter } from "../../src/builds/worker/split-lines.ts";
import { CONSOLE_MAX, decodeLines, encodeLines, withinLimit } from "../../src/builds/runs/console.ts";
import { nextTime, parseCron, timeAfter } from "../../src/builds/schedule/recurrence.ts";
import { parseSpan, saySpan } from "../../src/commands/client/span.ts";
import { sayDuration } from "../../src/commands/client/builder-text.ts";
import { temporaryDirectory } from "../robur.ts";

describe("files", () => {
  test("links are not followed, neither while looking nor while reading", () => {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, "bin"));
    writeFileSync(join(directory, "bin/a"), "abc");
    symlinkSync("/etc", join(directory, "etc"));
    symlinkSync("/etc/passwd", join(directory, "bin/passwd"));
    expect(collectOutput(directory)).toEqual({ files: [{ path: "bin/a", size: 3 }], leftOut: 0 });
    expect(Buffer.concat([...readOutput(directory, { path: "bin/a", size: 3 })]).toString()).toBe("abc");
    for (const path of ["etc/passwd", "bin/passwd"]) {
      expect(() => [...readOutput(directory, { path, size: 10 })]).toThrow(OutputError);
    }
  });

  test("a file that became shorter is no file of the build", () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, "a"), "abc");
    expect(() => [...readOutput(directory, { path: "a", size: 4 })]).toThrow("changed while it was read");
  });

  test("count, size and depth have bounds, each with its own words", () => {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, "a/b/c"), { recursive: true });
    for (const name of ["1", "2", "3"]) writeFileSync(join(directory, name), "12345");
    const limits = { files: 10, bytes: 100, depth: 10 };
    expect(() => collectOutput(directory, { ...limits, files: 2 })).toThrow("more than 2 files");
    expect(() => collectOutput(directory, { ...limits, bytes: 14 })).toThrow("more than 14 B");
    expect(() => collectOutput(directory, { ...limits, depth: 2 })).toThrow("more than 2 deep");
    expect(collectOutput(join(directory, "none"))).toEqual({ files: [], leftOut: 0 });
  });

  test("names that no store keeps are left out, and counted", () => {
    const directory = temporaryDirectory();
    for (const name of ["fine", "new\nline", "bell\x07", " blank "])
      writeFileSync(join(directory, name), "x");
    const deep = join(...Array.from({ length: 5 }, () => "n".repeat(250)));
    mkdirSync(join(directory, deep), { recursive: true });
    writeFileSync(join(directory, deep, "x"), "x");
    const { files, leftOut } = collectOutput(directory);
    expect(files.map(({ path }) => path)).toEqual([" blank ", "fine"]);
    expect(leftOut).toBe(3);
  });

  test("directories count as well, however many there are in one", () => {
    const directory = temporaryDirectory();
    // As a job would: none of these is a file.
    const { exitCode } = Bun.spawnSync(["sh", "-c", "seq 100001 | xargs mkdir"], { cwd: directory });
    expect(exitCode).toBe(0);
    expect(() => collectOutput(directory)).toThrow("more than 100000 files and directories");
  });
});

describe("lines", () => {
  const bytes = fc.uint8Array({ maxLength: 60 });

  test("are the same however the bytes come, and nothing is lost", () => {
    const text = fc.array(fc.constantFrom(10, 13, 65, 255), { maxLength: 80 });
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 9 }), (text, size) => {
        const all = Uint8Array.from(text);
        const whole = new LineSplitter();
        const parts = new LineSplitter();
        const wanted = [...whole.push(all), ...whole.end()];
        const got: Uint8Array[] = [];
        for (let at = 0; at < all.length; at += size) got.push(...parts.push(all.subarray(at, at + size)));
        got.push(...parts.end());
        expect(got.map((line) => [...line])).toEqual(wanted.map((line) => [...line]));
        const lines = Buffer.from(all).toString("latin1").split("\n");
        if (lines.at(-1) === "") lines.pop();
        expect(wanted.map((line) => Buffer.from(line).toString("latin1"))).toEqual(
          lines.map((line) => line.replace(/\r$/, "")),
        );
      }),
    );
  });

  test("longer than the limit come in pieces", () => {
    const splitter = new LineSplitter(4);
    const lines = [...splitter.push(Buffer.from("abcdefghij\nkl")), ...splitter.end()];
    expect(lines.map((line) => Buffer.from(line).toString())).toEqual(["abcd", "efgh", "ij", "kl"]);
  });

  test("travel as bytes and come back; what is none is refused", () => {
    const line = fc.record({ delta: fc.bigInt({ min: 0n, max: 2n ** 62n }), text: bytes });
    fc.assert(
      fc.property(fc.array(line, { maxLength: 10 }), (lines) => {
        const back = decodeLines(encodeLines(lines));
        expect(back?.map(({ delta, text }) => [delta, [...text]] as const)).toEqual(
          lines.map(({ delta, text }) => [delta, [...text]] as const),
        );
      }),
    );
    fc.assert(fc.property(bytes, (bytes) => void decodeLines(bytes)));
    expect(decodeLines(new Uint8Array(11))).toBeUndefined();
    expect(decodeLines(Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255]))).toBeUndefined();
  });
});

describe("a console", () => {
  const line = (text: string) => ({ delta: 1n, text: new TextEncoder().encode(text) });
  const texts = (lines: readonly { readonly text: Uint8Array }[]) =>
    lines.map(({ text }) => new TextDecoder().decode(text));

  test("has room for so much, and says once that the rest is missing", () => {
    const before = CONSOLE_MAX - 200;
    const { lines, bytes } = withinLimit(
      [line("one"), line("x".repeat(100)), line("two"), line("three")],
      before,
    );
    expect(texts(lines)).toEqual([
      "one",
      "[robur: the console is larger than 64 MiB; what follows is not kept]",
    ]);
    expect(withinLimit([line("four")], bytes)).toEqual({ lines: [], bytes });
  });

  test("counts lines as well: a million empty ones fill it", () => {
    const empty = Array.from({ length: 1_100_000 }, () => line(""));
    const { lines } = withinLimit(empty, 0);
    expect(lines.length).toBe(CONSOLE_MAX / 64 + 1);
  });
});

describe("times", () => {
  test("a period stays on its grid, and its next time is always to come", () => {
    const timing = { recurrence: { kind: "hourly" }, jitterMs: 0 } as const;
    fc.assert(
      fc.property(fc.nat(10 ** 12), fc.nat(10 ** 9), (due, late) => {
        const next = timeAfter(timing, due, due + late, 0)!;
        expect(next).toBeGreaterThan(due + late);
        expect((next - due) % 3_600_000).toBe(0);
        expect(next - (due + late)).toBeLessThanOrEqual(3_600_000);
      }),
    );
  });

  test("jitter puts off and never brings forward; never never comes", () => {
    const timing = { recurrence: { kind: "daily" }, jitterMs: 1000 } as const;
    expect(nextTime(timing, 0, 0.5)).toBe(86_400_500);
    expect(nextTime({ recurrence: { kind: "never" }, jitterMs: 0 }, 0, 0)).toBeNull();
  });

  test("lines of cron are read, and others are not", () => {
    for (const line of ["0 3 * * *", "*/5 * * * 1-5", "@daily"])
      expect(parseCron(line)).toEqual({ kind: "cron", line });
    for (const line of ["", "daily", "61 * * * *", "0 0 30 2 *", "* * * *", "a b c d e"]) {
      expect([line, parseCron(line)]).toEqual([line, undefined]);
    }
  });

  test("spans are read and said", () => {
    expect(parseSpan("--timeout", "1h30m")).toBe(5_400_000);
    for (const text of ["", "1", "h", "1h x", "-1h"])
      expect(() => parseSpan("--timeout", text)).toThrow("not a span");
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 ** 6 }), (seconds) => {
        expect(parseSpan("", saySpan(seconds * 1000))).toBe(seconds * 1000);
      }),
    );
  });

  test("durations are the original's words", () => {
    const said: [bigint, string][] = [
      [500n, "0.500μs"],
      [12_345_000n, "12.345ms"],
      [1_500_000_000n, "1.500s"],
      [61_000_000_000n, "1m01s"],
      [3_720_000_000_000n, "1h02m"],
      [93_600_000_000_000n, "1d02h"],
      [31_557_600_000_000_000n + 172_800_000_000_000n, "1a2d"],
    ];
    for (const [nanoseconds, text] of said) expect(sayDuration(nanoseconds)).toBe(text);
  });

  test("a machine is the platform that its os-release says", () => {
    expect(hostPlatform('ID=debian\nVERSION_ID="12"\n')).toBe("debian-12" as never);
    expect(hostPlatform("ID=arch\n")).toBe("arch" as never);
    expect(hostPlatform("NAME=x\n")).toBeUndefined();
  });
});
