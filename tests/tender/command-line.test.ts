// The guest's command line: one string, single spaces, a NUL, and a limit in bytes.
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { COMMAND_LINE_MAX, encodeCommandLine } from "../../src/tender/command-line.ts";
import { TenderError } from "../../src/tender/tender-error.ts";

const text = (...args: string[]) =>
  new TextDecoder("utf-8", { ignoreBOM: true }).decode(encodeCommandLine(args));

test("no arguments are an empty string", () => {
  expect([...encodeCommandLine([])]).toEqual([0]);
});

test("arguments are joined by single spaces, without quoting or escaping", () => {
  expect(text("a", "b")).toBe("a b\0");
  expect(text("a b", "", "'c\"", "\\", "\t")).toBe("a b  'c\" \\ \t\0");
  expect(text("--solo5:quiet", "--ipv4=10.0.0.2/24")).toBe("--solo5:quiet --ipv4=10.0.0.2/24\0");
});

test("8191 bytes fit, 8192 don't", () => {
  expect(COMMAND_LINE_MAX).toBe(8191);
  expect(encodeCommandLine(["x".repeat(8191)])).toHaveLength(8192);
  expect(encodeCommandLine(["x".repeat(4095), "y".repeat(4095)])).toHaveLength(8192);
  for (const args of [["x".repeat(8192)], ["x".repeat(4096), "y".repeat(4095)], ["ü".repeat(4096)]]) {
    try {
      encodeCommandLine(args);
      throw new Error("accepted");
    } catch (error) {
      if (!(error instanceof TenderError)) throw error;
      expect(error.code).toBe("arguments-too-long");
      expect(error.message).toContain("command line too long: 8192 bytes, maximum 8191 characters");
    }
  }
});

test("the limit counts bytes, not characters", () => {
  expect(encodeCommandLine(["ü".repeat(4095)])).toHaveLength(8191);
  expect(encodeCommandLine(["ü".repeat(4095), ""])).toHaveLength(8192);
});

test("any arguments come out as they went in", () => {
  const word = fc.string({ unit: "binary" }).filter((word) => !word.includes("\0"));
  fc.assert(
    fc.property(fc.array(word), (args) => {
      expect(text(...args)).toBe(`${args.join(" ")}\0`);
    }),
  );
});
