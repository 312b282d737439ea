// Loading: each rule with the least image that breaks it, and all of them at once against the model.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { planLoad } from "../../src/image/segments.ts";
import { readElf } from "../../src/image/elf.ts";
import { bytesSource } from "../../src/image/source.ts";
import {
  HEADER,
  HOSTILE_U64,
  type Int,
  PF,
  PT,
  type SegmentSpec,
  buildElf,
  patched,
  unikernelAround,
  unikernelSegments,
} from "./elf-builder.ts";
import { codeOf, disagreement, loadBytes, violations } from "./image-model.ts";

const MIB = 0x10_0000;
const MEMORY = 0x40_0000;

const plan = (bytes: Uint8Array, memory = MEMORY) =>
  planLoad(readElf(bytesSource(bytes)), memory, bytes.length);
const code = (segments: readonly SegmentSpec[], memory = MEMORY, entry: Int = MIB) =>
  codeOf(() => plan(buildElf(segments, { entry }), memory));

/** A loaded segment of 16 bytes, unless something else is said. */
const loaded = (vaddr: Int, more: Partial<SegmentSpec> = {}): SegmentSpec => ({
  vaddr,
  content: new Uint8Array(16),
  ...more,
  type: PT.LOAD,
});

describe("a sound image", () => {
  test("its segments are laid out by pages, and the end is the last loaded one's", () => {
    const bytes = buildElf(unikernelSegments(), { entry: 0x10_0008 });
    const { entry, kernelEnd, memoryEnd, segments } = plan(bytes);
    expect({ entry, kernelEnd, memoryEnd }).toEqual({
      entry: 0x10_0008,
      kernelEnd: 0x10_4000,
      memoryEnd: 0x10_6345,
    });
    expect(
      segments.map(({ vaddr, fileSize, memSize, start, end, flags }) => [
        vaddr,
        fileSize,
        memSize,
        start,
        end,
        flags,
      ]),
    ).toEqual([
      [0x10_0000, 40, 40, 0x10_0000, 0x10_1000, PF.X],
      [0x10_1000, 24, 24, 0x10_1000, 0x10_2000, PF.R],
      [0x10_2010, 32, 0x1100, 0x10_2000, 0x10_4000, PF.R | PF.W],
    ]);
    expect(violations(plan(bytes), MEMORY, bytes.length)).toEqual([]);
  });

  test("an image without anything to load has an entry point and no end", () => {
    expect(plan(buildElf([{ type: PT.TLS }]))).toEqual({
      entry: MIB,
      kernelEnd: 0,
      memoryEnd: 0,
      segments: [],
    });
  });

  test("it may fill memory to its last byte", () => {
    expect(code([loaded(MIB, { memSize: MEMORY - MIB })])).toBe("accepted");
    expect(code([loaded(MIB, { memSize: MEMORY - MIB + 1 })])).toBe("too-little-memory");
    expect(code([loaded(MEMORY - 16)])).toBe("accepted");
    expect(code([loaded(MEMORY - 15)])).toBe("too-little-memory");
  });
});

describe("the entry point", () => {
  test("it lies at or above 0x100000 and below the end of memory", () => {
    const segments = [loaded(MIB)];
    for (const entry of [MIB, MIB + 1, MEMORY - 1]) expect(code(segments, MEMORY, entry)).toBe("accepted");
    for (const entry of [0, 1, MIB - 1, MEMORY, MEMORY + 1, ...HOSTILE_U64]) {
      expect(code(segments, MEMORY, entry)).toBe("invalid-segment");
    }
  });
});

describe("a segment without bytes in the file", () => {
  test("an empty one at address 0 is skipped, out of order as it is", () => {
    const empty: SegmentSpec = { type: PT.LOAD, vaddr: 0 };
    for (const segments of [
      [empty, loaded(MIB)],
      [loaded(MIB), empty, loaded(MIB + 0x1000)],
      [loaded(MIB), empty],
    ]) {
      expect(code(segments)).toBe("accepted");
    }
  });

  test("its alignment, flags, order and offset are nobody's concern", () => {
    for (const more of [{ align: 0 }, { align: 3 }, { flags: PF.W | PF.X }, { offset: 2n ** 64n - 1n }]) {
      expect(code([loaded(MIB), { type: PT.LOAD, vaddr: MIB, memSize: 0x3000, ...more }])).toBe("accepted");
    }
  });

  test("it doesn't move the image's end, but it must fit into memory", () => {
    const bss = (memSize: Int) => [loaded(MIB), { type: PT.LOAD, vaddr: 0x20_0000, memSize }];
    expect(plan(buildElf(bss(0x20_0000)))).toMatchObject({ kernelEnd: 0x10_1000, memoryEnd: MEMORY });
    expect(code(bss(0x20_0001))).toBe("too-little-memory");
    for (const memSize of HOSTILE_U64) expect(code(bss(memSize))).toBe("too-little-memory");
  });

  test("the error for too little memory says how much is enough", () => {
    const bytes = buildElf([loaded(MIB), { type: PT.LOAD, vaddr: 0x20_0000, memSize: 0x500_0000 }]);
    try {
      plan(bytes);
      throw new Error("accepted");
    } catch (error) {
      const hint = (error as { hint?: string }).hint ?? "";
      const enough = Number(/^--memory (\d+)M or more$/.exec(hint)?.[1]);
      expect(codeOf(() => plan(bytes, enough * MIB))).toBe("accepted");
    }
    const never = buildElf([{ type: PT.LOAD, vaddr: 2n ** 40n, memSize: 1 }]);
    expect(() => plan(never)).toThrow(expect.objectContaining({ hint: undefined }));
  });
});

describe("a segment with bytes in the file", () => {
  test("it lies at or above 0x100000", () => {
    for (const vaddr of [0, 1, 0x1000, 0xf_f000, MIB - 1])
      expect(code([loaded(vaddr)])).toBe("invalid-segment");
    expect(code([loaded(MIB)])).toBe("accepted");
  });

  test("it comes after the one before it", () => {
    expect(code([loaded(MIB + 0x1000), loaded(MIB)])).toBe("invalid-segment");
    expect(code([loaded(MIB), loaded(MIB + 0x1000)])).toBe("accepted");
  });

  test("its alignment is a power of two", () => {
    for (const align of [0, 3, 6, 0x1001, 0x1800, 0xfff, 2n ** 64n - 1n, 2n ** 53n + 1n, 2n ** 63n + 1n]) {
      expect(code([loaded(MIB, { align })])).toBe("invalid-segment");
    }
    for (const align of [0x1000, 0x2000, 0x4000, MIB]) {
      expect(code([loaded(MIB, { align })])).toBe("accepted");
    }
  });

  test("every power of two is known as one, and its neighbours aren't", () => {
    for (let bit = 0n; bit < 64n; bit++) {
      for (const align of [2n ** bit - 1n, 2n ** bit, 2n ** bit + 1n]) {
        // Beyond 1 MiB a power of two is refused too: the segment would begin below 0x100000.
        const fits = align >= 1n && align <= 0x10_0000n && (align & (align - 1n)) === 0n;
        expect({ align, code: code([loaded(MIB, { align, memSize: 0x1000 })]) }).toEqual({
          align,
          code: fits ? "accepted" : "invalid-segment",
        });
      }
    }
  });

  test("its first aligned byte isn't below 0x100000", () => {
    expect(code([loaded(MIB, { align: 0x20_0000 })])).toBe("invalid-segment");
    expect(code([loaded(0x20_0000, { align: 0x20_0000 })])).toBe("accepted");
  });

  test("it doesn't overlap the one before it, also not by its alignment alone", () => {
    expect(code([loaded(MIB), loaded(MIB)])).toBe("invalid-segment");
    expect(code([loaded(MIB), loaded(MIB + 0xff0)])).toBe("invalid-segment");
    expect(code([loaded(MIB, { memSize: 0x1001 }), loaded(MIB + 0x1ff0)])).toBe("invalid-segment");
    expect(code([loaded(MIB), loaded(MIB + 0x3000, { align: 0x4000 })])).toBe("invalid-segment");
    expect(code([loaded(MIB, { align: 0x4000 }), loaded(MIB + 0x3000)])).toBe("invalid-segment");
    expect(code([loaded(MIB, { align: 0x4000 }), loaded(MIB + 0x4000)])).toBe("accepted");
  });

  test("its bytes fit it, and it may not be smaller than they are", () => {
    expect(code([loaded(MIB, { memSize: 15 })])).toBe("invalid-segment");
    expect(code([loaded(MIB, { memSize: 0 })])).toBe("invalid-segment");
    expect(code([loaded(MIB, { memSize: 16 })])).toBe("accepted");
  });

  test("its address, its bytes and its size neither wrap nor leave memory", () => {
    for (const value of [MEMORY, ...HOSTILE_U64]) {
      expect(code([loaded(value)])).toBe("too-little-memory");
      expect(code([loaded(value, { memSize: 0 })])).toBe("invalid-segment");
      expect(code([loaded(MIB, { memSize: value })])).toBe("too-little-memory");
      expect(code([loaded(MIB, { fileSize: value, memSize: 16 })])).toBe("invalid-segment");
      expect(code([loaded(MIB, { fileSize: value, memSize: value })])).toBe("too-little-memory");
    }
  });

  test("its end, aligned, is in memory", () => {
    expect(code([loaded(MEMORY - 0x1000, { align: 0x1000 })])).toBe("accepted");
    expect(code([loaded(0x20_0000, { align: 0x20_0000 })], 0x30_0000)).toBe("invalid-segment");
    expect(code([loaded(0x20_0000, { align: 0x20_0000 })], 0x40_0000)).toBe("accepted");
  });

  test("its bytes are in the file, to the last one", () => {
    const length = buildElf([loaded(MIB)]).length;
    expect(code([loaded(MIB, { offset: length - 16 })])).toBe("accepted");
    for (const offset of [length - 15, length, 0xffff_ffff, ...HOSTILE_U64]) {
      expect(code([loaded(MIB, { offset })])).toBe("invalid-segment");
    }
  });

  test("it is whole pages", () => {
    expect(code([loaded(MIB, { align: 16 })])).toBe("invalid-segment");
    expect(code([loaded(MIB, { align: 0x800, memSize: 0x1000 })])).toBe("accepted");
    expect(code([loaded(MIB, { align: 0x800, memSize: 0x800 })])).toBe("invalid-segment");
    expect(code([loaded(MIB + 0x800, { align: 0x800, memSize: 0x800 })])).toBe("invalid-segment");
    expect(code([loaded(MIB, { align: 1, memSize: 0x1000 })])).toBe("accepted");
  });

  test("it is not writable and executable; every other combination is taken", () => {
    for (let flags = 0; flags < 8; flags++) {
      const both = (flags & PF.W) !== 0 && (flags & PF.X) !== 0;
      expect(code([loaded(MIB, { flags })])).toBe(both ? "invalid-segment" : "accepted");
      expect(code([loaded(MIB, { flags: flags | 0xffff_fff8 })])).toBe(both ? "invalid-segment" : "accepted");
    }
  });
});

describe("other program headers", () => {
  test("interpreters, TLS, stacks and unknown types are never loaded, whatever they say", () => {
    for (const type of [0, 2, PT.INTERP, 5, 6, PT.TLS, 0x6474_e551, 0xffff_ffff]) {
      const odd = { type, vaddr: 2n ** 64n - 1n, fileSize: 2n ** 63n, memSize: 1, align: 3, flags: 7 };
      expect(codeOf(() => loadBytes(unikernelAround([odd], [odd])))).toBe("accepted");
    }
  });
});

/** Numbers near everything that matters, and some that don't. */
const interesting = fc.oneof(
  fc.constantFrom(
    ...[0n, 1n, 2n, 16n, 0xfffn, 0x1000n, 0x1001n, 0xf_ffffn, 0x10_0000n, 0x10_0001n, 0x10_1000n],
    ...[0x1f_ffffn, 0x20_0000n, 0x20_1000n, 0x3f_f000n, 0x3f_ffffn, 0x40_0000n, 0x40_0001n, 2n ** 32n],
    ...HOSTILE_U64,
  ),
  fc.bigInt({ min: 0x100n, max: 0x400n }).map((page) => page * 0x1000n),
  fc.bigInt({ min: 0n, max: 0x40_0000n }),
);
const segment: fc.Arbitrary<SegmentSpec> = fc.record({
  type: fc.constantFrom(PT.LOAD, PT.LOAD, PT.LOAD, PT.LOAD, PT.TLS),
  flags: fc.constantFrom(0, 1, 2, 4, 4, 5, 6, 6, 7),
  vaddr: interesting,
  fileSize: fc.oneof(fc.bigInt({ min: 0n, max: 64n }), interesting),
  memSize: fc.oneof(fc.bigInt({ min: 0n, max: 0x3000n }), interesting),
  align: fc.oneof({ weight: 5, arbitrary: fc.constant(0x1000n) }, { weight: 1, arbitrary: interesting }),
  offset: fc.oneof(fc.bigInt({ min: 0n, max: 600n }), interesting),
});
/** Segments that mostly fit, one after another, so that many an image is accepted. */
const ascending = fc
  .array(fc.tuple(fc.nat(3), fc.nat(0x1800), fc.nat(64), fc.constantFrom(1, 4, 5, 6), fc.nat(0xfff)), {
    minLength: 1,
    maxLength: 8,
  })
  .map((parts) => {
    let vaddr = MIB;
    return parts.map(([gap, memory, fileSize, flags, into]): SegmentSpec => {
      vaddr = Math.ceil(vaddr / 0x1000) * 0x1000 + gap * 0x1000 + (gap === 2 ? into : 0);
      const memSize = Math.max(memory, fileSize);
      const spec = { type: PT.LOAD, flags, vaddr, fileSize, memSize, offset: 0 };
      vaddr += memSize;
      return spec;
    });
  });

describe("any program headers", () => {
  const notes = unikernelSegments().slice(0, 4);
  const memories = fc.constantFrom(0x20_0000, MEMORY, 0x2000_0000, 2 ** 32);
  const agree = (segments: readonly SegmentSpec[], entry: bigint, memory: number) => {
    const bytes = patched(buildElf([...notes, ...segments]), [HEADER.entry, entry]);
    expect(disagreement(bytes, bytesSource(bytes), "hvt", memory)).toBeUndefined();
    return codeOf(() => loadBytes(bytes, "hvt", memory)) === "accepted";
  };

  test("are planned or refused exactly as by the model", () => {
    fc.assert(
      fc.property(
        fc.array(segment, { minLength: 1, maxLength: 4 }),
        interesting,
        memories,
        (all, entry, memory) => {
          agree(all, entry, memory);
        },
      ),
      { numRuns: 3000 },
    );
  });

  test("in ascending order with a single odd one are too, and many of them are accepted", () => {
    let accepted = 0;
    fc.assert(
      fc.property(ascending, fc.option(fc.tuple(fc.nat(8), segment)), memories, (all, odd, memory) => {
        const segments = odd === null ? all : all.with(odd[0] % all.length, odd[1]);
        if (agree(segments, 0x10_0000n, memory)) accepted += 1;
      }),
      { numRuns: 3000 },
    );
    expect(accepted).toBeGreaterThan(500);
  });
});
