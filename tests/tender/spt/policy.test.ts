import { describe, expect, test } from "bun:test";
import type { Attachment } from "../../../src/image/manifest.ts";
import type { Architecture } from "../../../src/lib/architecture.ts";
import { ALLOW, KILL_PROCESS, assembleFilter } from "../../../src/linux/bpf.ts";
import { type SyscallName, syscallNumber } from "../../../src/linux/syscalls.ts";
import { sptPolicy } from "../../../src/tender/spt/policy.ts";
import { AUDIT_ARCH_AARCH64, AUDIT_ARCH_X86_64, runFilter } from "../../linux/bpf-machine.ts";

const EPOLL = 5;
const TIMER = 6;
const NET = 7;
const BLOCK = 8;
const CAPACITY = 2n ** 33n;
const SECTOR = 4096n;
const DEVICES: Attachment[] = [
  { kind: "net", handle: 1, hostFd: NET, mac: new Uint8Array(6), mtu: 1500 },
  { kind: "block", handle: 2, hostFd: BLOCK, capacity: Number(CAPACITY), blockSize: Number(SECTOR) },
];

/* The number of every call that an architecture may have. */
const HIGHEST = 600;

describe.each(["x86_64", "aarch64"] as const)(
  "the filter of an spt guest on %s",
  (architecture: Architecture) => {
    const arch = architecture === "x86_64" ? AUDIT_ARCH_X86_64 : AUDIT_ARCH_AARCH64;
    const program = assembleFilter(sptPolicy(architecture, { epoll: EPOLL, timer: TIMER }, DEVICES));
    const allows = (call: SyscallName, ...args: (number | bigint)[]) => {
      const number = syscallNumber(call, architecture);
      const decision = runFilter(program, { number, architecture: arch, args: args.map(BigInt) });
      expect([ALLOW, KILL_PROCESS]).toContain(decision);
      return decision === ALLOW;
    };

    test("lets it write to its console, and nowhere else", () => {
      expect(allows("write", 1, 0, 10)).toBe(true);
      for (const fd of [0, 2, 3, EPOLL, TIMER, BLOCK, 9, 2 ** 32 + 1])
        expect(allows("write", fd)).toBe(false);
      expect(allows("write", 2n ** 64n - 1n)).toBe(false);
    });

    test("lets it wait, on its own set and timer", () => {
      expect(allows("epoll_pwait", EPOLL)).toBe(true);
      expect(allows("epoll_pwait", TIMER)).toBe(false);
      expect(allows("timerfd_settime", TIMER, 1)).toBe(true);
      expect(allows("timerfd_settime", EPOLL)).toBe(false);
    });

    test("lets it read two clocks", () => {
      expect([0, 1, 2, 7].map((clock) => allows("clock_gettime", clock))).toEqual([true, true, false, false]);
    });

    test("lets it end", () => {
      expect(allows("exit_group", 255)).toBe(true);
      expect(allows("exit")).toBe(false);
    });

    test("lets it move frames on its network device, by whole reads and writes", () => {
      expect(allows("read", NET, 0, 1514)).toBe(true);
      expect(allows("write", NET, 0, 1514)).toBe(true);
      expect(allows("pread64", NET, 0, SECTOR, 0)).toBe(false);
      expect(allows("read", 0)).toBe(false);
      expect(allows("read", BLOCK)).toBe(false);
      expect(allows("ioctl", NET)).toBe(false);
    });

    test("lets it move one sector at a time on its block device, never beyond the end", () => {
      for (const call of ["pread64", "pwrite64"] as const) {
        expect(allows(call, BLOCK, 0, SECTOR, 0)).toBe(true);
        expect(allows(call, BLOCK, 0, SECTOR, CAPACITY - SECTOR)).toBe(true);
        expect(allows(call, BLOCK, 0, SECTOR, CAPACITY - SECTOR + 1n)).toBe(false);
        expect(allows(call, BLOCK, 0, SECTOR, CAPACITY)).toBe(false);
        expect(allows(call, BLOCK, 0, SECTOR, 2n ** 64n - 1n)).toBe(false);
        expect(allows(call, BLOCK, 0, SECTOR - 1n, 0)).toBe(false);
        expect(allows(call, BLOCK, 0, 2n * SECTOR, 0)).toBe(false);
        expect(allows(call, BLOCK, 0, SECTOR + 2n ** 32n, 0)).toBe(false);
        expect(allows(call, 1, 0, SECTOR, 0)).toBe(false);
      }
    });

    test("allows nothing else at all", () => {
      const names = [
        "write",
        "read",
        "pread64",
        "pwrite64",
        "epoll_pwait",
        "timerfd_settime",
        "clock_gettime",
      ] as const;
      const listed = new Set(
        [...names, "exit_group" as const].map((name) => syscallNumber(name, architecture)),
      );
      if (architecture === "x86_64") {
        expect(allows("arch_prctl", 0x1002)).toBe(true);
        expect(allows("arch_prctl", 0x1001)).toBe(false);
        listed.add(syscallNumber("arch_prctl", architecture));
      }
      for (let number = 0; number < HIGHEST; number++) {
        if (listed.has(number)) continue;
        expect(runFilter(program, { number, architecture: arch })).toBe(KILL_PROCESS);
      }
    });

    test("gives a guest without devices none", () => {
      const bare = assembleFilter(sptPolicy(architecture, { epoll: EPOLL, timer: TIMER }, []));
      for (const name of ["read", "pread64", "pwrite64"] as const) {
        const number = syscallNumber(name, architecture);
        for (const fd of [0n, 1n, 5n, 7n]) {
          expect(runFilter(bare, { number, architecture: arch, args: [fd] })).toBe(KILL_PROCESS);
        }
      }
    });

    test("tells 63 block devices apart", () => {
      const devices: Attachment[] = Array.from({ length: 63 }, (_, i) => ({
        kind: "block",
        handle: i + 1,
        hostFd: 7 + i,
        capacity: 512 * (i + 1),
        blockSize: 512,
      }));
      const many = assembleFilter(sptPolicy(architecture, { epoll: EPOLL, timer: TIMER }, devices));
      const number = syscallNumber("pwrite64", architecture);
      for (const [i, { hostFd }] of devices.entries()) {
        const at = (offset: number) =>
          runFilter(many, { number, architecture: arch, args: [BigInt(hostFd), 0n, 512n, BigInt(offset)] });
        expect([at(512 * i), at(512 * (i + 1))]).toEqual([ALLOW, KILL_PROCESS]);
      }
    });
  },
);
