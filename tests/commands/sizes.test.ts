import { expect, test } from "bun:test";
import { UsageError } from "../../src/lib/errors.ts";
import { scanFlags } from "../../src/commands/flags.ts";
import { SIZE_FLAG, readBlockSizes, readSize } from "../../src/commands/sizes.ts";

const sizes = (...argv: string[]) => readBlockSizes(scanFlags(SIZE_FLAG, argv)!);

test("a size has a unit", () => {
  expect(["64M", "1.5k", "512B", "2GiB", "1T"].map(readSize)).toEqual([
    64 * 2 ** 20,
    1536,
    512,
    2 * 2 ** 30,
    2 ** 40,
  ]);
  for (const text of ["64", "0", "", "M", "-1M", "1e3", "1.5B", "9999999T", "64 M B"]) {
    expect(() => readSize(text)).toThrow(UsageError);
  }
});

test("a bare number is answered with both things that it could mean", () => {
  let hint: string | undefined;
  try {
    readSize("64");
  } catch (error) {
    hint = (error as UsageError).hint;
  }
  expect(hint).toBe("64M, or 64B");
});

test("--size is for all devices or for one, and each only once", () => {
  expect(sizes()).toEqual({ all: undefined, byDevice: new Map() });
  expect(sizes("--size", "1M", "--size", "data=2M", "--size=b=1K")).toEqual({
    all: 2 ** 20,
    byDevice: new Map([
      ["data", 2 ** 21],
      ["b", 1024],
    ]),
  });
  for (const twice of [
    ["1M", "1M"],
    ["a=1M", "a=2M"],
  ]) {
    expect(() => sizes("--size", twice[0]!, "--size", twice[1]!)).toThrow("twice");
  }
  expect(() => sizes("--size", "a=b")).toThrow(UsageError);
});
