// The test guests themselves: each builds, and keeps the rules a loader enforces.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { buildGuest, compilerVersion, guests, type Target } from "./build.ts";

const skip = compilerVersion() === undefined;
if (skip) console.warn("SKIP: the test guests are not built, because gcc is missing");

const PT_LOAD = 1;
const PF_EXECUTE = 1;
const PF_WRITE = 2;
const page = 0x1000n;

type Segment = { flags: number; start: bigint; end: bigint };

// Non-empty loadable segments, as the whole pages they protect.
function segments(image: Buffer): Segment[] {
  const table = Number(image.readBigUInt64LE(32));
  return Array.from({ length: image.readUInt16LE(56) }, (_, index) => table + index * 56)
    .filter((at) => image.readUInt32LE(at) === PT_LOAD && image.readBigUInt64LE(at + 32) > 0n)
    .map((at) => {
      const address = image.readBigUInt64LE(at + 16);
      const align = image.readBigUInt64LE(at + 48);
      return {
        flags: image.readUInt32LE(at + 4),
        start: (address / align) * align,
        end: ((address + image.readBigUInt64LE(at + 40) + align - 1n) / align) * align,
      };
    });
}

function checkLayout(path: string) {
  let last = 0x100000n;
  for (const segment of segments(readFileSync(path))) {
    expect(segment.start).toBeGreaterThanOrEqual(last);
    expect([segment.start % page, segment.end % page]).toEqual([0n, 0n]);
    expect(segment.flags & (PF_WRITE | PF_EXECUTE)).not.toBe(PF_WRITE | PF_EXECUTE);
    last = segment.end;
  }
}

describe.skipIf(skip)("test guests", () => {
  for (const [name, targets] of Object.entries(guests)) {
    test(`${name} builds for ${targets.join(", ")}`, async () => {
      for (const target of targets) checkLayout(await buildGuest(name, target));
    });
  }

  test("ABI version 1 has its own layout and note", async () => {
    for (const target of ["hvt", "spt"] as Target[]) {
      const path = await buildGuest("tls", target, { abi: 1 });
      checkLayout(path);
      const image = readFileSync(path);
      expect(segments(image).length).toBeLessThanOrEqual(2);
      const note = image.indexOf("ABI1Solo5\0");
      expect([image.readUInt32LE(note + 12), image.readUInt32LE(note + 16)]).toEqual([
        target === "hvt" ? 1 : 2,
        1,
      ]);
    }
  });

  test("defines change the image, the same ones don't build it twice", async () => {
    const [one, again, other] = await Promise.all([
      buildGuest("poll", "spt", { defines: ["NETS=1"] }),
      buildGuest("poll", "spt", { defines: ["NETS=1"] }),
      buildGuest("poll", "spt", { defines: ["NETS=0"] }),
    ]);
    expect(again).toBe(one);
    expect(other).not.toBe(one);
  });

  test("gcc's complaint is passed on", async () => {
    const broken = buildGuest("abort", "spt", { defines: ["ABI_TARGET=@"] });
    await expect(broken).rejects.toThrow(/ended with status 1:[^]*stray '@' in program/);
  });

  test("an unknown guest or target is refused", async () => {
    await expect(buildGuest("nosuch", "hvt")).rejects.toThrow("there is no guest nosuch for hvt");
    await expect(buildGuest("dumpcore", "spt")).rejects.toThrow("there is no guest dumpcore for spt");
  });
});
