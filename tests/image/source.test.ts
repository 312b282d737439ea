// Where an image's bytes come from, and 64-bit fields as numbers.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { bytesSource, fieldsOf, u64 } from "../../src/image/source.ts";
import { HOSTILE_U64 } from "./elf-builder.ts";

describe("an unsigned 64-bit field as a number", () => {
  const asNumber = (value: bigint) => {
    const view = new DataView(new ArrayBuffer(11));
    view.setBigUint64(3, value, true);
    return u64(view, 3);
  };
  const words = fc.oneof(
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.bigInt({ min: 2n ** 53n - 4n, max: 2n ** 53n + 4n }),
    fc.constantFrom(...HOSTILE_U64, 0n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 32n + 1n),
  );

  test("it is exact below 2^53, and never below 2^53 from there on", () => {
    fc.assert(
      fc.property(words, (value) => {
        if (value < 2n ** 53n) expect(BigInt(asNumber(value))).toBe(value);
        else expect(asNumber(value)).toBeGreaterThanOrEqual(2 ** 53);
      }),
      { numRuns: 1000 },
    );
  });

  test("it orders as the field does", () => {
    fc.assert(
      fc.property(words, words, (a, b) => (a <= b ? asNumber(a) <= asNumber(b) : asNumber(a) >= asNumber(b))),
      { numRuns: 1000 },
    );
  });

  test("a sum of two that passes a limit passes it as numbers too", () => {
    const limit = fc.bigInt({ min: 0n, max: 2n ** 33n });
    fc.assert(
      fc.property(words, words, limit, (a, b, most) => {
        expect(asNumber(a) + asNumber(b) > Number(most)).toBe(a + b > most);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("an image held in memory", () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
  const source = bytesSource(bytes);

  test("it answers what there is", () => {
    expect(source.size).toBe(100);
    expect(source.read(10, 3)).toEqual(bytes.slice(10, 13));
    expect(source.read(98, 10)).toEqual(bytes.slice(98));
    expect(source.read(0, 2 ** 60)).toEqual(bytes);
    expect(source.read(50, 0)).toHaveLength(0);
  });

  test("it answers nothing at or past the end, however far", () => {
    for (const offset of [100, 101, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 63, 2 ** 64]) {
      expect(source.read(offset, 10)).toHaveLength(0);
      expect(source.read(offset, 2 ** 64)).toHaveLength(0);
    }
  });

  test("fields are those of the bytes, not of the buffer around them", () => {
    const view = fieldsOf(bytes.subarray(16, 20));
    expect(view.byteLength).toBe(4);
    expect(view.getUint32(0, true)).toBe(0x1312_1110);
  });
});
