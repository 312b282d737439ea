// The check that every pointer of a guest passes, against a model in integers of any size.
import { afterAll, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { GuestMemory, type Range, mayRead, mayWrite } from "../../../src/tender/hvt/guest-memory.ts";
import { TenderError } from "../../../src/tender/tender-error.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE, mmap, munmap } from "../../../src/linux/libc.ts";
import { HOSTILE_U64 } from "../../image/elf-builder.ts";

const MIB = 0x10_0000n;
const LOWEST = 0x10_0000n;
const FIRST_MAPPED = 0x1_0000n;
const SIZES = [2n * MIB, 64n * MIB, 512n * MIB, 4096n * MIB - 2n * MIB, 4096n * MIB];

/** The rule of the Solo5 tenders: strict at the end, and without wrapping. */
function inMemory(address: bigint, length: bigint, size: bigint): boolean {
  return address < size && address + length < size;
}

/** What this tender refuses beyond it: the tables in low memory, unless no byte is touched. */
function modelRead(address: bigint, length: bigint, size: bigint): boolean {
  return inMemory(address, length, size) && (length === 0n || address >= FIRST_MAPPED);
}

/** And for writing: boot information, and pages that the host keeps read-only. */
function modelWrite(
  address: bigint,
  length: bigint,
  size: bigint,
  readOnly: readonly [bigint, bigint][],
): boolean {
  if (!modelRead(address, length, size)) return false;
  if (length === 0n) return true;
  if (address < LOWEST) return false;
  return readOnly.every(([start, end]) => address + length <= start || address >= end);
}

/** The field as the tender gets it: two words. */
function field(value: bigint): number {
  return Number(value & 0xffff_ffffn) + Number(value >> 32n) * 0x1_0000_0000;
}

const size = fc.constantFrom(...SIZES);
/** Values around everything that matters, in memory of any size. */
const word = fc.oneof(
  fc.constantFrom(
    ...[0n, 1n, 8n, FIRST_MAPPED - 1n, FIRST_MAPPED, FIRST_MAPPED + 1n, LOWEST - 1n, LOWEST, LOWEST + 1n],
    ...SIZES.flatMap((size) => [size - 16n, size - 1n, size, size + 1n]),
    ...[2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 32n + 8n, ...HOSTILE_U64],
  ),
  fc.bigInt({ min: 0n, max: 2n ** 21n }),
  fc.bigInt({ min: 0n, max: 2n ** 32n }),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);
/** An address and a length that often end near the end of memory, or of the 64-bit numbers. */
const access = fc.oneof(
  fc.tuple(word, word),
  fc.tuple(word, fc.bigInt({ min: 0n, max: 64n })),
  fc
    .tuple(size, fc.bigInt({ min: 0n, max: 5000n }), fc.bigInt({ min: -2n, max: 2n }))
    .map(([size, length, by]): [bigint, bigint] => [
      size - length + by < 0n ? 0n : size - length + by,
      length,
    ]),
  word.map((address): [bigint, bigint] => [address, BigInt.asUintN(64, -address)]),
);

describe("whether a guest's range may be read", () => {
  test("it may exactly when the model says so", () => {
    fc.assert(
      fc.property(access, size, ([address, length], size) => {
        expect(mayRead(field(address), field(length), Number(size))).toBe(modelRead(address, length, size));
      }),
      { numRuns: 10_000 },
    );
  });

  test("the last byte of memory is out of reach, as for the originals", () => {
    const size = 2 ** 21;
    expect(mayRead(size - 8, 7, size)).toBe(true);
    expect(mayRead(size - 8, 8, size)).toBe(false);
    expect(mayRead(size - 1, 0, size)).toBe(true);
    expect(mayRead(size, 0, size)).toBe(false);
  });

  test("the tables and the zero page may not, the boot information may", () => {
    const size = 2 ** 21;
    for (const address of [0, 1, 0x1000, 0x2000, 0x8000, 0xffff])
      expect(mayRead(address, 1, size)).toBe(false);
    expect(mayRead(0xfff8, 16, size)).toBe(false);
    expect(mayRead(0x1_0000, 56, size)).toBe(true);
    expect(mayRead(0, 0, size)).toBe(true);
  });

  test("lengths that wrap an address around don't, in 32 bits or in 64", () => {
    const size = 2 ** 32;
    for (const address of [0x10_0000n, 0x8000_0000n, 0xffff_fff0n]) {
      for (const length of [
        2n ** 32n - address,
        2n ** 64n - address,
        2n ** 64n - address + 8n,
        ...HOSTILE_U64,
      ]) {
        expect(mayRead(field(address), field(BigInt.asUintN(64, length)), size)).toBe(false);
      }
    }
  });
});

describe("whether a guest's range may be written", () => {
  const pages = fc
    .array(fc.tuple(fc.bigInt({ min: 0n, max: 600n }), fc.bigInt({ min: 1n, max: 8n })), { maxLength: 4 })
    .map((all) => all.map(([first, count]): [bigint, bigint] => [first * 4096n, (first + count) * 4096n]));
  const ranges = (all: readonly [bigint, bigint][]): Range[] =>
    all.map(([start, end]) => ({ start: Number(start), end: Number(end) }));

  test("it may exactly when the model says so", () => {
    fc.assert(
      fc.property(access, size, pages, ([address, length], size, readOnly) => {
        const may = mayWrite(field(address), field(length), Number(size), ranges(readOnly));
        expect(may).toBe(modelWrite(address, length, size, readOnly));
        if (may) expect(mayRead(field(address), field(length), Number(size))).toBe(true);
      }),
      { numRuns: 10_000 },
    );
  });

  test("near read-only pages it may to the byte", () => {
    const near = fc.tuple(fc.integer({ min: -20, max: 20 }), fc.nat(5), fc.boolean(), fc.nat(0x4020));
    fc.assert(
      fc.property(near, ([by, page, atEnd, length]) => {
        const readOnly: [bigint, bigint][] = [
          [0x10_0000n, 0x10_2000n],
          [0x10_4000n, 0x10_5000n],
        ];
        const edge = atEnd ? readOnly[page % 2]![1] : readOnly[page % 2]![0];
        const address = edge + BigInt(by) < 0n ? 0n : edge + BigInt(by);
        const expected = modelWrite(address, BigInt(length), 64n * MIB, readOnly);
        expect(mayWrite(Number(address), length, 64 * 2 ** 20, ranges(readOnly))).toBe(expected);
      }),
      { numRuns: 3000 },
    );
  });

  test("the tender's first MiB may not, a range of no bytes may lie anywhere in memory", () => {
    const size = 2 ** 21;
    for (const address of [0, 0x1_0000, 0xf_ffff]) {
      expect(mayWrite(address, 1, size, [])).toBe(false);
      expect(mayWrite(address, 0, size, [{ start: 0, end: size }])).toBe(true);
    }
    expect(mayWrite(0xf_fff8, 16, size, [])).toBe(false);
    expect(mayWrite(0x10_0000, 16, size, [])).toBe(true);
    expect(mayWrite(size, 0, size, [])).toBe(false);
  });
});

describe("a guest's memory", () => {
  const length = 2 ** 21;
  const base = mmap(length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  afterAll(() => munmap(base, length));
  const memory = new GuestMemory(base, length);
  memory.protect({ start: 0x10_0000, end: 0x10_1000 });

  test("it starts as zeros, all of it", () => {
    expect(memory.bytes).toHaveLength(length);
    expect(memory.bytes.every((byte) => byte === 0)).toBe(true);
  });

  test("fields are little-endian; 64-bit ones never look smaller than they are", () => {
    const view = new DataView(memory.bytes.buffer, memory.bytes.byteOffset);
    fc.assert(
      fc.property(word, fc.nat(100), (value, at) => {
        view.setBigUint64(0x11_0000 + at, value, true);
        const seen = memory.u64(0x11_0000 + at);
        if (value < 2n ** 53n) expect(BigInt(seen)).toBe(value);
        else expect(seen).toBeGreaterThanOrEqual(2 ** 53);
      }),
    );
    memory.setU64(0x11_0100, 0xffff_fff0, 0x8000_0001);
    expect(view.getBigUint64(0x11_0100, true)).toBe(0x8000_0001_ffff_fff0n);
    memory.setI32(0x11_0108, -1);
    expect(memory.i32(0x11_0108)).toBe(-1);
    expect(view.getUint32(0x11_0108, true)).toBe(0xffff_ffff);
  });

  test("what may not be read or written is a guest's fault, with the numbers that it gave", () => {
    memory.checkRead(0x10_0000, 16);
    memory.checkWrite(0x10_1000, 16);
    const refused: [() => void, string][] = [
      [() => memory.checkWrite(0x10_0ff8, 16), "0x100ff8, 16 bytes"],
      [() => memory.checkRead(0x1f_fff8, 8), "0x1ffff8, 8 bytes"],
      [() => memory.checkRead(field(2n ** 63n), 1), "0x8000000000000000, 1 bytes"],
      [() => memory.checkRead(0x10_0000, field(2n ** 53n)), "9007199254740992 bytes"],
    ];
    for (const [work, text] of refused) {
      try {
        work();
        throw new Error("accepted");
      } catch (error) {
        if (!(error instanceof TenderError)) throw error;
        expect(error.code).toBe("guest-fault");
        expect(error.message).toContain("invalid guest access");
        expect(error.message).toContain(text);
      }
    }
  });
});
