import { describe, expect, test } from "bun:test";
import {
  type HostLimits,
  addressSpaceEnd,
  checkHostLimits,
  readHostLimits,
  totalMemory,
} from "../../../src/tender/spt/host-limits.ts";
import { TenderError } from "../../../src/tender/tender-error.ts";

const MIB = 1024 * 1024;
const LIMITS: HostLimits = { memory: 8192 * MIB, lowestAddress: 0x1_0000, addressSpaceEnd: 2 ** 47 };

function refusal(memory: number, more: Partial<HostLimits> = {}, isRoot = false): TenderError | undefined {
  try {
    checkHostLimits(memory, { ...LIMITS, ...more }, isRoot);
    return undefined;
  } catch (error) {
    if (error instanceof TenderError) return error;
    throw error;
  }
}

describe("the limits of the host", () => {
  test("allow all memory there is, and no more", () => {
    expect(refusal(8192 * MIB)).toBeUndefined();
    expect(refusal(8193 * MIB)?.code).toBe("bad-memory");
    expect(refusal(8193 * MIB)?.why).toContain("8 GiB");
  });

  test("end below the launcher, however much memory there is", () => {
    expect(refusal(384 * 1024 * MIB, { memory: Infinity })).toBeUndefined();
    expect(refusal(385 * 1024 * MIB, { memory: Infinity })?.code).toBe("bad-memory");
  });

  test("want whole pages", () => {
    expect(refusal(2 * MIB + 512)?.code).toBe("bad-memory");
  });

  test("name the setting that keeps a guest's addresses from being mapped, which doesn't bind root", () => {
    expect(refusal(2 * MIB, { lowestAddress: 0x2_0000 })?.hint).toBe("sudo sysctl vm.mmap_min_addr=65536");
    expect(refusal(2 * MIB, { lowestAddress: 0x2_0000 }, true)).toBeUndefined();
  });

  test("are read from /proc", () => {
    const meminfo =
      "MemTotal:       24683520 kB\nMemFree:  1 kB\nSwapTotal:       1048576 kB\nSwapFree: 7 kB\n";
    expect(totalMemory(meminfo)).toBe((24683520 + 1048576) * 1024);
    expect(totalMemory("")).toBe(0);
    expect(readHostLimits().memory).toBeGreaterThan(64 * MIB);
  });

  test("know the address spaces of aarch64 by their stacks", () => {
    const maps = (end: string) =>
      `00400000-00500000 r-xp 00000000 00:00 0\n${end} rw-p 00000000 00:00 0 [stack]\n`;
    expect(addressSpaceEnd(maps("7fd6a1c000-7fd6a3d000"))).toBe(2 ** 39);
    expect(addressSpaceEnd(maps("3ffe2a31000-3ffe2a52000"))).toBe(2 ** 42);
    expect(addressSpaceEnd(maps("ffffc9a81000-ffffc9aa2000"))).toBe(2 ** 48);
  });
});
