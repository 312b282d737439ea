/**
 * Mutated images through everything that a tender does with one before a guest could start. Each image must be
 * refused with an ImageError or give a plan that keeps every rule, exactly as the model in tests/image says, and
 * no image may make the readers read more than its size allows.
 *
 *     bun tests/fuzz/image.ts [COUNT] [SEED]
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ImageSource, bytesSource } from "../../src/image/source.ts";
import {
  BLOCK,
  HEADER,
  HOSTILE_U64,
  NET,
  PF,
  PT,
  TARGET,
  buildElf,
  getField,
  segmentField,
  setField,
  unikernel,
  unikernelAround,
  unikernelSegments,
} from "../image/elf-builder.ts";
import { codeOf, disagreement, load } from "../image/image-model.ts";

/** Whole numbers below a bound, the same ones for the same seed (mulberry32). */
export type Random = (below: number) => number;

export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000) * below);
  };
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[random(from.length)]!;
}

/** Sound images of many shapes, the built-in unikernels among them. */
export function seeds(): Uint8Array[] {
  const devices = [
    { name: "service", type: NET },
    { name: "storage", type: BLOCK },
  ];
  const many = Array.from({ length: 63 }, (_, i) => ({ name: `storage${i}`, type: BLOCK }));
  const text = { type: PT.LOAD, flags: PF.R | PF.X, vaddr: 0x10_0000, content: new Uint8Array(100) };
  const data = { type: PT.LOAD, flags: PF.R | PF.W, vaddr: 0x20_0000, content: new Uint8Array(9) };
  const built = ["hello.hvt", "hello.spt", "hello.virtio"].map((name) =>
    readFileSync(join(import.meta.dir, "../../assets/hello", name)),
  );
  return [
    unikernel(),
    unikernel({ devices }),
    unikernel({ devices, target: TARGET.spt, version: 1 }),
    unikernel({ devices: many }),
    buildElf([
      ...unikernelSegments({ devices }).slice(2, 4),
      text,
      { ...data, memSize: 0x1234, align: 0x20_0000 },
    ]),
    unikernelAround([{ type: PT.LOAD }], [{ ...data, content: new Uint8Array(0x1800), align: 0x8000 }]),
    ...built.map((bytes) => new Uint8Array(bytes)),
  ];
}

const VALUES: readonly bigint[] = [
  ...[
    0n,
    1n,
    2n,
    3n,
    4n,
    6n,
    7n,
    8n,
    11n,
    12n,
    19n,
    20n,
    21n,
    24n,
    32n,
    33n,
    56n,
    62n,
    63n,
    64n,
    65n,
    104n,
    183n,
    255n,
  ],
  ...[0x7fn, 0x80n, 0xfffn, 0x1000n, 0x1001n, 0x7fffn, 0x8000n, 0xffffn, 0xf_ffffn, 0x10_0000n, 0x10_0001n],
  ...[0x10_1000n, 0x10_2000n, 0x1f_f000n, 0x20_0000n, 0x3f_ffffn, 0x40_0000n, 0x7fff_ffffn, 0x8000_0000n],
  ...[0x4000_0000n, 0xffff_ffecn, 0xffff_ffffn, 2n ** 32n, 2n ** 32n + 20n, 0x1bad_b002n, ...HOSTILE_U64],
];

const SEGMENT_FIELDS = ["type", "flags", "offset", "vaddr", "fileSize", "memSize", "align"] as const;

/** One change to a copy of an image. */
type Mutation = (bytes: Uint8Array, random: Random, others: readonly Uint8Array[]) => Uint8Array;

/** Where the headers and notes are; a change to code or data is of no interest to anybody. */
function somewhere(bytes: Uint8Array, random: Random): number {
  return random(Math.min(bytes.length, random(4) === 0 ? bytes.length : 1200));
}

const MUTATIONS: readonly Mutation[] = [
  function flipBit(bytes, random) {
    const at = somewhere(bytes, random);
    bytes[at] = bytes[at]! ^ (1 << random(8));
    return bytes;
  },
  function setHeaderField(bytes, random) {
    const field = pick(random, Object.values(HEADER));
    if (bytes.length >= 64) setField(bytes, field, pick(random, VALUES));
    return bytes;
  },
  function setSegmentField(bytes, random) {
    const field = segmentField(random(segmentCount(bytes)), pick(random, SEGMENT_FIELDS));
    if (field.at + field.size <= bytes.length) setField(bytes, field, pick(random, VALUES));
    return bytes;
  },
  function nudgeSegmentField(bytes, random) {
    const field = segmentField(random(segmentCount(bytes)), pick(random, SEGMENT_FIELDS));
    if (field.at + field.size > bytes.length) return bytes;
    const by = pick(random, [1n, 8n, 0x10n, 0x800n, 0x1000n, 0x10_0000n, BigInt(bytes.length)]);
    setField(
      bytes,
      field,
      BigInt.asUintN(field.size * 8, getField(bytes, field) + (random(2) === 0 ? by : -by)),
    );
    return bytes;
  },
  function setWord(bytes, random) {
    const field = { at: somewhere(bytes, random) & ~3, size: 4 } as const;
    if (field.at + 4 <= bytes.length) setField(bytes, field, pick(random, VALUES));
    return bytes;
  },
  function swapSegments(bytes, random) {
    const [a, b] = [
      segmentField(random(segmentCount(bytes)), "type").at,
      segmentField(random(segmentCount(bytes)), "type").at,
    ];
    if (Math.max(a, b) + 56 > bytes.length) return bytes;
    const kept = bytes.slice(a, a + 56);
    bytes.copyWithin(a, b, b + 56);
    bytes.set(kept, b);
    return bytes;
  },
  function truncate(bytes, random) {
    return bytes.subarray(0, random(bytes.length + 1));
  },
  function extend(bytes, random) {
    return Buffer.concat([bytes, new Uint8Array(random(300)).fill(random(256))]);
  },
  function copyWithin(bytes, random) {
    const from = somewhere(bytes, random);
    bytes.copyWithin(somewhere(bytes, random), from, from + pick(random, [1, 8, 20, 56, 104, 300]));
    return bytes;
  },
  function splice(bytes, random, others) {
    const other = pick(random, others);
    const [at, length] = [somewhere(bytes, random), pick(random, [4, 20, 56, 64, 112, 300, 4096])];
    const piece = other.subarray(random(2) === 0 ? at : somewhere(other, random)).subarray(0, length);
    bytes.set(piece.subarray(0, bytes.length - at), at);
    return bytes;
  },
];

function segmentCount(bytes: Uint8Array): number {
  return bytes.length < 64 ? 1 : Math.min(80, Number(getField(bytes, HEADER.phnum))) || 1;
}

export function mutate(random: Random, from: readonly Uint8Array[]): Uint8Array {
  let bytes: Uint8Array = pick(random, from).slice();
  const changes = 1 + random(random(3) === 0 ? 8 : 2);
  for (let i = 0; i < changes && bytes.length > 0; i++) bytes = pick(random, MUTATIONS)(bytes, random, from);
  return bytes;
}

/** A source that counts, and ends a reader that asks without end. */
function counted(bytes: Uint8Array): ImageSource & { reads: number; bytes: number } {
  const source = bytesSource(bytes);
  const count = {
    size: source.size,
    reads: 0,
    bytes: 0,
    read(offset: number, length: number) {
      count.reads += 1;
      if (count.reads > 1_000_000) throw new Error("reads without end");
      if (!(offset >= 0 && length >= 0)) throw new Error(`reads ${length} bytes at ${offset}`);
      const piece = source.read(offset, length);
      count.bytes += piece.length;
      return piece;
    },
  };
  return count;
}

/** Runs everything on one image. Answers what is wrong with the answer, or undefined. */
export function examine(bytes: Uint8Array, target: "hvt" | "spt", memory: number): string | undefined {
  const source = counted(bytes);
  let wrong: string | undefined;
  try {
    wrong = disagreement(bytes, source, target, memory);
  } catch (error) {
    return `threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
  }
  const segments = segmentCount(bytes.length >= 64 ? bytes : new Uint8Array(64));
  const atMost = Math.max(segments, Math.floor(bytes.length / 56));
  // Both headers, each note segment for the ABI, the manifest and Xen, two contents, and what isn't ours.
  if (source.reads > 8 + 3 * atMost) wrong ??= `${source.reads} reads`;
  if (source.bytes > 2 * bytes.length + 20_000 + 60 * atMost) wrong ??= `${source.bytes} bytes read`;
  return wrong;
}

export interface FuzzResult {
  /** How many images were answered how: "accepted" or the error's code. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly failures: readonly {
    readonly index: number;
    readonly wrong: string;
    readonly image: Uint8Array;
  }[];
  /** Milliseconds that the slowest image took. */
  readonly slowest: number;
}

const MEMORIES = [0x20_0000, 0x100_0000, 0x2000_0000, 0x1_0000_0000] as const;

/** Examines `count` images. The same numbers give the same images. */
export function fuzzImages(count: number, seed: number): FuzzResult {
  const random = randomFrom(seed);
  const from = seeds();
  const outcomes: Record<string, number> = {};
  const failures: { index: number; wrong: string; image: Uint8Array }[] = [];
  let slowest = 0;
  for (let index = 0; index < count; index++) {
    const image = mutate(random, from);
    const target = random(4) === 0 ? "spt" : "hvt";
    const memory = pick(random, MEMORIES);
    const begin = performance.now();
    const wrong = examine(image, target, memory);
    slowest = Math.max(slowest, performance.now() - begin);
    if (wrong !== undefined) {
      failures.push({ index, wrong, image });
      continue;
    }
    const outcome = codeOf(() => load(bytesSource(image), target, memory));
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
  return { outcomes, failures, slowest };
}

if (import.meta.main) {
  const [count, seed] = [Number(process.argv[2] ?? 200_000), Number(process.argv[3] ?? Date.now() % 1e9)];
  const begin = performance.now();
  const { outcomes, failures, slowest } = fuzzImages(count, seed);
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  console.log(`${count} images, seed ${seed}, ${seconds} s, slowest ${slowest.toFixed(1)} ms`);
  for (const [outcome, number] of Object.entries(outcomes).sort((a, b) => b[1] - a[1])) {
    console.log(`${String(number).padStart(8)} ${outcome}`);
  }
  for (const { index, wrong, image } of failures.slice(0, 5)) {
    console.error(`image ${index}: ${wrong}\n${Buffer.from(image).toString("base64")}`);
  }
  if (failures.length > 0) {
    console.error(`${failures.length} failures`);
    process.exit(1);
  }
}
