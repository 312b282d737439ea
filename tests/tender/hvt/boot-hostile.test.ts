// Guests that pass addresses and lengths which are not theirs. The tender must refuse each of them before it follows
// it, and end with status 1 and one line: never by a signal of its own, never as if nothing had been.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compilerVersion } from "../../guests/build.ts";
import { lacks, needsCommands, needsKvm, needsNetwork } from "../../needs.ts";
import { Network } from "../../private-network.ts";
import { temporaryDirectory } from "../../robur.ts";
import { type BootOptions, boot } from "./guest.ts";

const NO_GCC = compilerVersion() === undefined ? needsCommands("gcc") : undefined;
const skip = lacks(needsKvm(), NO_GCC);

/** MiB; `end` in the guest's words is 4 MiB. */
const MEMORY = 4;
const CAPACITY = 65_536;

const storage = join(temporaryDirectory(), "disk");
const pattern = new Uint8Array(CAPACITY).fill(0xa5);

const withBlock = (): BootOptions => ({
  memory: MEMORY,
  blocks: { storage },
  build: { defines: ["WITH_BLOCK"] },
});

const hostile = (options: BootOptions, words: string) =>
  boot("solo5-hvt", "hostile", { ...options, args: words.split(" ") });

async function expectRefused(options: BootOptions, words: string, message = "invalid guest access") {
  const { code, signal, stdout, stderr } = await hostile(options, words);
  expect({ words, code, signal }).toEqual({ words, code: 1, signal: null });
  expect(stderr).toStartWith(`solo5-hvt: ${message}`);
  expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  expect(stdout).not.toContain("still alive");
}

async function expectTaken(options: BootOptions, words: string) {
  const { code, stdout, stderr } = await hostile(options, words);
  expect({ words, code, stderr }).toEqual({ words, code: 0, stderr: "" });
  expect(stdout).toContain("still alive");
}

/** Nowhere in a guest's memory, as 32-bit addresses of argument structures. */
const OUTSIDE_32 = ["end", "end+1", "end+4096", "0x7fffffff", "0x80000000", "0xfffffff0", "0xffffffff"];
/** The tender's own tables in low memory, which the guest doesn't see. */
const TABLES = ["0", "8", "0x1000", "0x2000", "0x3000", "0x7ff8", "0x8000", "0xfff8", "0xffff"];
/** Pages that the host keeps read-only, and boot info. */
const READ_ONLY = ["text", "rodata", "rodata-4", "0x10000", "0x10038", "0xffff8", "0xfffff"];
/** 64-bit addresses of buffers. */
const OUTSIDE_64 = [
  ...OUTSIDE_32,
  "0x100000000",
  "0x100200000",
  "0xffffffff00000000",
  "0x1fffffffffffff",
  "0x20000000000000",
  "0x20000000200000",
  "0x7fffffffffffffff",
  "0x8000000000000000",
  "0x8000000000200000",
  "0xfffffffffffffe00",
  "0xfffffffffffffff8",
  "0xffffffffffffffff",
];
/** Lengths that reach beyond memory from 0x200000 on, some of them by going around. */
const LENGTHS = [
  "0x200000",
  "0x200001",
  "0x80000000",
  "0xffffffff",
  "0x100000000",
  "0xffe00000",
  "0x20000000000000",
  "0x7fffffffffffffff",
  "0x8000000000000000",
  "0xffffffffffe00000",
  "0xffffffffffe00001",
  "0xffffffffffffffff",
];

beforeAll(() => writeFileSync(storage, pattern));

describe.skipIf(skip)("argument structures outside of the guest's memory", () => {
  /** The call, its structure's size, and whether the tender writes into it. */
  const CALLS: readonly (readonly [words: string, size: number, out: boolean])[] = [
    ["op=walltime", 8, true],
    ["op=puts", 16, false],
    ["op=poll", 24, true],
    ["op=blkread", 40, true],
    ["op=blkwrite", 40, true],
    ["op=halt", 16, false],
  ];
  for (const [words, size, out] of CALLS) {
    test(`of ${words} are refused`, async () => {
      for (const at of [...OUTSIDE_32, ...TABLES]) await expectRefused(withBlock(), `${words} at=${at}`);
      if (out) for (const at of READ_ONLY) await expectRefused(withBlock(), `${words} at=${at}`);
    });

    test(`of ${words} may not even touch the end of memory`, async () => {
      for (const short of [0, 1, size - 1]) {
        await expectRefused(withBlock(), `${words} at=end-${size - short}`);
      }
    });
  }

  test("one byte before the end is inside", async () => {
    await expectTaken(withBlock(), "op=walltime at=end-9");
  });
});

describe.skipIf(skip)("console output", () => {
  test("from outside of memory is refused", async () => {
    for (const data of OUTSIDE_64) await expectRefused(withBlock(), `op=puts data=${data} len=16`);
    for (const data of TABLES) await expectRefused(withBlock(), `op=puts data=${data} len=1`);
  });

  test("of a length that leaves memory is refused, also where address and length go around", async () => {
    for (const len of LENGTHS) await expectRefused(withBlock(), `op=puts data=0x200000 len=${len}`);
    await expectRefused(withBlock(), "op=puts data=end-16 len=16");
    await expectRefused(withBlock(), "op=puts data=end-1 len=1");
    // Not beginning there, but running through the tables.
    await expectRefused(withBlock(), "op=puts data=0xffff len=2");
  });

  test("of no bytes needs an address all the same", async () => {
    await expectTaken(withBlock(), "op=puts data=end-1 len=0");
    for (const data of ["end", "0xffffffffffffffff", "0x8000000000000000"]) {
      await expectRefused(withBlock(), `op=puts data=${data} len=0`);
    }
  });

  test("up to the last byte but one is taken", async () => {
    await expectTaken(withBlock(), "op=puts data=end-17 len=16");
    const { stdout } = await hostile(withBlock(), "op=puts data=rodata len=65536");
    expect(stdout.length).toBeGreaterThan(60_000);
  });
});

describe.skipIf(skip)("block devices", () => {
  test("never read into what isn't the guest's to write", async () => {
    for (const data of [...OUTSIDE_64, ...TABLES, ...READ_ONLY, "rodata-511"]) {
      await expectRefused(withBlock(), `op=blkread data=${data} len=512`);
    }
    for (const len of ["512", "513", "65536"]) {
      await expectRefused(withBlock(), `op=blkread data=end-${len} len=${len}`);
    }
    await expectTaken(withBlock(), "op=blkread data=0x300000 len=65536");
  });

  test("never write from what isn't the guest's to read, and the file stays as it is", async () => {
    for (const data of [...OUTSIDE_64, ...TABLES]) {
      await expectRefused(withBlock(), `op=blkwrite data=${data} len=512`);
    }
    await expectRefused(withBlock(), "op=blkwrite data=end-512 len=512");
    expect(readFileSync(storage).equals(pattern)).toBe(true);
  });

  test("with nothing to move need an address all the same", async () => {
    for (const op of ["blkread", "blkwrite"]) {
      await expectRefused(withBlock(), `op=${op} data=end len=0`);
      await expectRefused(withBlock(), `op=${op} data=0xffffffffffffffff len=0`);
      await expectTaken(withBlock(), `op=${op} data=0x200000 len=0`);
    }
  });

  test("refuse 5000 wrong handles, offsets and lengths in one boot, politely", async () => {
    const { code, stdout } = await hostile(withBlock(), "op=einval count=5000 seed=7");
    expect(code).toBe(0);
    expect(stdout).toContain("5000 calls, all refused");
    expect(readFileSync(storage).equals(pattern)).toBe(true);
  });
});

describe.skipIf(skip)("the end of a guest", () => {
  test("with a cookie outside of memory is status 1, whatever status it gives", async () => {
    const cookies = [...OUTSIDE_64, "0x1000", "0xfff8", "end-512", "end-511", "end-1"];
    for (const cookie of cookies) await expectRefused(withBlock(), `op=halt cookie=${cookie} status=7`);
  });

  test("with a cookie inside, or none, is its status", async () => {
    for (const cookie of ["0", "end-513", "text", "0x10000"]) {
      const { code, stderr } = await hostile(withBlock(), `op=halt cookie=${cookie} status=7`);
      expect({ cookie, code, stderr }).toEqual({ cookie, code: 7, stderr: "" });
    }
  });
});

describe.skipIf(skip)("calls that don't exist", () => {
  const bare: BootOptions = { memory: MEMORY };

  test("0, and those of devices that are not there, are invalid hypercalls", async () => {
    await expectRefused(bare, "op=raw nr=0", "invalid guest hypercall: 0");
    for (const nr of [4, 5, 6, 7])
      await expectRefused(bare, `op=raw nr=${nr}`, `invalid guest hypercall: ${nr}`);
    for (const nr of [6, 7]) await expectRefused(withBlock(), `op=raw nr=${nr}`, "invalid guest hypercall");
  });

  test("other ports, widths and directions are invalid port accesses", async () => {
    const ports = ["0x4ff", "0x509", "0x510", "0x600", "0x3f8", "0", "0xcf8", "0xffff"];
    for (const port of ports) {
      await expectRefused(bare, `op=port port=${port}`, `invalid guest port access: port 0x`);
    }
    for (const words of ["size=1", "size=2", "in", "in size=1", "in size=2"]) {
      await expectRefused(bare, `op=port port=0x502 ${words}`, "invalid guest port access");
    }
  });
});

describe.skipIf(lacks(needsKvm(), needsNetwork(), NO_GCC))("network devices", () => {
  let network: Network;
  beforeAll(async () => {
    network = await Network.create();
    network.addTap("tap0", { address: "10.0.0.1/24" });
  });
  afterAll(async () => {
    await network[Symbol.asyncDispose]();
  });
  const withNet = (): BootOptions => ({
    memory: MEMORY,
    nets: { service0: "tap0" },
    under: network.inside,
    build: { defines: ["WITH_NET"] },
  });

  test("never read into what isn't the guest's to write", async () => {
    for (const data of [...OUTSIDE_64, ...TABLES, ...READ_ONLY]) {
      await expectRefused(withNet(), `op=netread data=${data} len=1514`);
    }
    for (const len of LENGTHS) await expectRefused(withNet(), `op=netread data=0x200000 len=${len}`);
    await expectTaken(withNet(), "op=netread data=end-1515 len=1514");
  });

  test("never send what isn't the guest's to read", async () => {
    for (const data of [...OUTSIDE_64, ...TABLES]) {
      await expectRefused(withNet(), `op=netwrite data=${data} len=64`);
    }
    for (const len of LENGTHS) await expectRefused(withNet(), `op=netwrite data=0x200000 len=${len}`);
  });

  test("take no argument structure outside of memory", async () => {
    for (const op of ["netread", "netwrite"]) {
      for (const at of [...OUTSIDE_32, ...TABLES, ...READ_ONLY, "end-32", "end-31"]) {
        await expectRefused(withNet(), `op=${op} at=${at}`);
      }
    }
  });

  test("end the guest for a frame that is no frame, with the reason", async () => {
    for (const len of ["0", "1", "13"]) {
      await expectRefused(withNet(), `op=netwrite len=${len}`, "writing a frame: Invalid argument");
    }
  });

  test("answer handles that are none of theirs with EINVAL, 3000 in one boot", async () => {
    const both: BootOptions = {
      ...withNet(),
      blocks: { storage },
      build: { defines: ["WITH_BLOCK", "WITH_NET"] },
    };
    const { code, stdout } = await hostile(both, "op=einval count=3000 seed=11");
    expect(code).toBe(0);
    expect(stdout).toContain("3000 calls, all refused");
    // A block device's handle is no network device's, and the other way round.
    for (const words of ["op=netread handle=1", "op=netwrite handle=1", "op=blkread handle=2"]) {
      expect((await hostile(both, words)).stdout).toContain("result 2\n");
    }
  });
});
