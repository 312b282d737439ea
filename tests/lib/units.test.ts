// Sizes as people write and read them.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { GIB, KIB, MIB, formatSize, parseSize } from "../../src/lib/units.ts";

describe("reading a size", () => {
  test("units are powers of 1024, in any case, with or without B or iB", () => {
    for (const text of [
      "64M",
      "64m",
      "64MB",
      "64mb",
      "64MiB",
      "64mib",
      "64 M",
      " 64M ",
      "65536K",
      "67108864",
    ]) {
      expect([text, parseSize(text)]).toEqual([text, 64 * MIB]);
    }
    expect(parseSize("1T")).toBe(1024 * GIB);
    expect(parseSize("8191T")).toBe(8191 * 1024 * GIB);
  });

  test("fractions are taken where they make whole bytes", () => {
    expect(parseSize("1.5G")).toBe(1536 * MIB);
    expect(parseSize("0.5K")).toBe(512);
    expect(parseSize("0.1K")).toBeUndefined();
    expect(parseSize("0.5")).toBeUndefined();
  });

  test("a bare number is in the unit that the caller names, one with B is bytes", () => {
    expect(parseSize("64", "M")).toBe(64 * MIB);
    expect(parseSize("1.5", "K")).toBe(1536);
    expect(parseSize("64B", "M")).toBe(64);
    expect(parseSize("64K", "M")).toBe(64 * KIB);
  });

  test("everything else isn't a size", () => {
    const texts = [
      "",
      " ",
      "0",
      "0M",
      "-1",
      "-1M",
      "+1",
      "M",
      "1e3",
      "0x10",
      "1,5G",
      "1.M",
      ".5M",
      "1 2",
      "1MM",
    ];
    for (const text of [...texts, "1Mi", "64iB", "1BM", "NaN", "Infinity", "64P", "1\n2", "٣M"]) {
      expect([text, parseSize(text, "M")]).toEqual([text, undefined]);
    }
  });

  test("a size from 2^53 on isn't exact, so it isn't one", () => {
    expect(parseSize("9007199254740991")).toBe(2 ** 53 - 1);
    for (const text of ["9007199254740992", "8192T", "18446744073709551616", "9".repeat(400)]) {
      expect(parseSize(text)).toBeUndefined();
    }
  });

  test("any whole number of any unit is exactly that many bytes", () => {
    const factors = { "": 1n, K: 2n ** 10n, M: 2n ** 20n, G: 2n ** 30n, T: 2n ** 40n };
    const units = fc.constantFrom(...(Object.keys(factors) as (keyof typeof factors)[]));
    fc.assert(
      fc.property(fc.maxSafeNat(), units, (count, unit) => {
        const bytes = BigInt(count) * factors[unit];
        const expected = bytes > 0n && bytes < 2n ** 53n ? Number(bytes) : undefined;
        expect(parseSize(`${count}${unit}`)).toBe(expected);
      }),
    );
  });
});

describe("printing a size", () => {
  test("three digits and a unit, bytes exactly", () => {
    const sizes: [number, string][] = [
      [0, "0 B"],
      [1023, "1023 B"],
      [KIB, "1 KiB"],
      [1536, "1.5 KiB"],
      [MIB - 1, "1020 KiB"],
      [MIB, "1 MiB"],
      [512 * MIB, "512 MiB"],
      [1.5 * GIB, "1.5 GiB"],
      [4 * GIB, "4 GiB"],
      [5 * 1024 * GIB, "5 TiB"],
      [2 ** 64, "16800000 TiB"],
    ];
    for (const [bytes, text] of sizes) expect([bytes, formatSize(bytes)]).toEqual([bytes, text]);
  });

  test("what is printed reads back to the same size, within three digits", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 52 }), (bytes) => {
        const match = /^([\d.]+) (B|KiB|MiB|GiB|TiB)$/.exec(formatSize(bytes))!;
        const factor = { B: 1, KiB: KIB, MiB: MIB, GiB: GIB, TiB: 1024 * GIB }[match[2] as "B"];
        expect(Math.abs(Number(match[1]) * factor - bytes) / bytes).toBeLessThanOrEqual(0.005);
      }),
    );
  });
});
