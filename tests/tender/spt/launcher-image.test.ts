import { describe, expect, test } from "bun:test";
import type { Attachment } from "../../../src/image/manifest.ts";
import { bytesSource } from "../../../src/image/source.ts";
import { readElf } from "../../../src/image/elf.ts";
import type { Architecture } from "../../../src/lib/architecture.ts";
import { assembleFilter } from "../../../src/linux/bpf.ts";
import { type SyscallName, syscallNumber } from "../../../src/linux/syscalls.ts";
import {
  LAUNCHER_BASE,
  LAUNCHER_END,
  RESIDENT_BASE,
  RESIDENT_ROOM,
} from "../../../src/tender/spt/launcher.ts";
import { writeLauncher } from "../../../src/tender/spt/launcher-image.ts";
import { sptPolicy } from "../../../src/tender/spt/policy.ts";
import type { SptPlan } from "../../../src/tender/spt/table.ts";
import { type MadeCall, fileOf, follow } from "./launcher-machine.ts";

const MIB = 1024 * 1024;
const LAUNCHER_FD = 3;
const IMAGE_FD = 4;

function plan(architecture: Architecture, more: Partial<SptPlan> = {}): SptPlan {
  return {
    architecture,
    load: {
      entry: 0x10_0040,
      kernelEnd: 0x10_6000,
      memoryEnd: 0x10_8000,
      segments: [
        {
          offset: 0x1000,
          fileSize: 0x3e38,
          vaddr: 0x10_0000,
          memSize: 0x3e38,
          start: 0x10_0000,
          end: 0x10_4000,
          flags: 5,
        },
        {
          offset: 0x5000,
          fileSize: 12,
          vaddr: 0x10_4000,
          memSize: 12,
          start: 0x10_4000,
          end: 0x10_5000,
          flags: 6,
        },
        {
          offset: 0x6000,
          fileSize: 8,
          vaddr: 0x10_5000,
          memSize: 8,
          start: 0x10_5000,
          end: 0x10_6000,
          flags: 4,
        },
      ],
    },
    memory: 32 * MIB,
    bootInfo: new Uint8Array(164).fill(7),
    descriptors: { launcher: LAUNCHER_FD, image: IMAGE_FD, epoll: 5, timer: 6 },
    devices: [],
    execHeap: false,
    surviveConsole: false,
    dieWithParent: false,
    title: new TextEncoder().encode("solo5-spt\0--mem=32\0"),
    addressSpaceEnd: 0x7fff_ffff_f000,
    ...more,
  };
}

describe.each(["x86_64", "aarch64"] as const)("a launcher for %s", (architecture) => {
  const launch = (more: Partial<SptPlan> = {}) =>
    follow(writeLauncher(plan(architecture, more), "tender: "), architecture, LAUNCHER_FD);
  const only = (calls: readonly MadeCall[], name: SyscallName) =>
    calls.filter(({ number }) => number === syscallNumber(name, architecture));

  test("enters the guest with its stack below the end of memory", () => {
    const { entry, argument, stackPointer } = launch();
    expect(entry).toBe(0x10_0040);
    expect(argument).toBe(0x1_1000);
    expect(stackPointer).toBe(32 * MIB - (architecture === "x86_64" ? 8 : 16));
  });

  test("maps guest memory, not executable and not reserved, then the page that stays", () => {
    const [guest, resident] = only(launch().calls, "mmap");
    const noFd = 2n ** 64n - 1n;
    expect(guest!.args).toEqual([0x1_0000n, BigInt(32 * MIB - 0x1_0000), 3n, 0x4032n, noFd, 0n]);
    expect(guest!.message).toBe("tender: cannot map 32 MiB of guest memory: ");
    expect(guest!.least).toBe(0x1_0000n);
    expect(resident!.args.slice(0, 1)).toEqual([BigInt(RESIDENT_BASE)]);
    expect(resident!.args.slice(2)).toEqual([3n, 0x32n, noFd, 0n]);
  });

  test("makes guest memory executable only when asked to", () => {
    expect(only(launch({ execHeap: true }).calls, "mmap")[0]!.args[2]).toBe(7n);
  });

  test("reads each segment whole, and protects it exactly as its flags say", () => {
    const { calls } = launch();
    const reads = only(calls, "pread64").filter(({ args }) => args[0] === BigInt(IMAGE_FD));
    expect(reads.map(({ args, least }) => [...args.slice(1, 4), least])).toEqual([
      [0x10_0000n, 0x3e38n, 0x1000n, 0x3e38n],
      [0x10_4000n, 12n, 0x5000n, 12n],
      [0x10_5000n, 8n, 0x6000n, 8n],
    ]);
    const protections = only(calls, "mprotect").map(({ args }) => args.slice(0, 3));
    expect(protections.slice(0, 3)).toEqual([
      [0x10_0000n, 0x4000n, 5n],
      [0x10_4000n, 0x1000n, 3n],
      [0x10_5000n, 0x1000n, 1n],
    ]);
    // The page that stays, after it has been filled.
    expect(protections.slice(3).map(([at, , protection]) => [at, protection])).toEqual([
      [BigInt(RESIDENT_BASE), 5n],
    ]);
  });

  test("reads a segment of more than 2 GiB in parts, as Linux does not read more at once", () => {
    const size = 5 * 1024 * MIB;
    const segment = {
      offset: 0,
      fileSize: size,
      vaddr: 0x10_0000,
      memSize: size,
      start: 0x10_0000,
      end: 0x10_0000 + size,
      flags: 4,
    };
    const load = { ...plan(architecture).load, segments: [segment] };
    const reads = only(launch({ load, memory: 8 * 1024 * MIB }).calls, "pread64");
    const parts = reads
      .filter(({ args }) => args[0] === BigInt(IMAGE_FD))
      .map(({ args }) => args.slice(1, 4));
    expect(parts).toEqual([
      [0x10_0000n, 0x7fff_f000n, 0n],
      [0x800f_f000n, 0x7fff_f000n, 0x7fff_f000n],
      [0x1_000f_e000n, 0x4000_2000n, 0xffff_e000n],
    ]);
  });

  test("puts the boot info into guest memory", () => {
    const { bytesAt } = launch();
    expect(bytesAt(0x1_1000, 164)).toEqual(new Uint8Array(164).fill(7));
  });

  test("gives up everything in order, the system calls last", () => {
    const { calls } = launch({ user: { uid: 1000, gid: 100 }, dieWithParent: true });
    const order = [
      "mmap",
      "setgroups",
      "setresgid",
      "setresuid",
      "prctl",
      "close_range",
      "munmap",
      "seccomp",
    ] as const;
    const seen = calls.map(({ number }) =>
      order.find((name) => syscallNumber(name, architecture) === number),
    );
    const late = seen.slice(seen.indexOf("setgroups"));
    expect(late).toEqual([
      "setgroups",
      "setresgid",
      "setresuid",
      ...(["prctl", "prctl", "prctl"] as const), // parent's death, no_new_privs, dumpable
      ...(["close_range", "close_range", "close_range"] as const),
      ...(["munmap", "munmap"] as const),
      "seccomp",
    ]);
    expect(only(calls, "setresgid")[0]!.args.slice(0, 3)).toEqual([100n, 100n, 100n]);
    expect(only(calls, "setresuid")[0]!.args.slice(0, 3)).toEqual([1000n, 1000n, 1000n]);
    const options = only(calls, "prctl").map(({ args }) => args.slice(0, 2));
    expect(options).toEqual([
      [15n, expect.any(BigInt)],
      [35n, 14n],
      [1n, 9n],
      [38n, 1n],
      [4n, 0n],
    ]);
    expect(calls.filter(({ message }) => message === "").map(({ least }) => least)).not.toContain(0n);
  });

  test("stays who it is when nobody is named", () => {
    const { calls } = launch();
    for (const name of ["setgroups", "setresgid", "setresuid"] as const)
      expect(only(calls, name)).toEqual([]);
  });

  test("closes all but the guest's descriptors, standard error at the very end", () => {
    const devices: Attachment[] = [
      { kind: "block", handle: 1, hostFd: 9, capacity: 4096, blockSize: 512 },
      { kind: "net", handle: 2, hostFd: 7, mac: new Uint8Array(6), mtu: 1500 },
    ];
    const ranges = only(launch({ devices }).calls, "close_range").map(({ args }) => args.slice(0, 2));
    expect(ranges).toEqual([
      [0n, 0n],
      [8n, 8n],
      [10n, 0xffff_ffffn],
      [2n, 4n],
    ]);
  });

  test("unmaps its own file and everything above, and reports on the console from then on", () => {
    const [below, own, above] = only(launch().calls, "munmap");
    expect(below!.args.slice(0, 2)).toEqual([BigInt(32 * MIB), BigInt(RESIDENT_BASE - 32 * MIB)]);
    const start = RESIDENT_BASE + RESIDENT_ROOM;
    expect(own!.args.slice(0, 2)).toEqual([BigInt(start), BigInt(LAUNCHER_END - start)]);
    expect(own!.reportOn).toBe(1);
    expect(above!.args.slice(0, 2)).toEqual([BigInt(LAUNCHER_END), 0x7fff_ffff_f000n - BigInt(LAUNCHER_END)]);
    // A kernel that protects the vdso refuses the last one; the guest may start all the same.
    expect(above!.least).toBe(-(2n ** 63n));
  });

  test("installs the policy's filter", () => {
    const { calls, bytesAt } = launch();
    const [operation, flags, header] = calls.at(-1)!.args as [bigint, bigint, bigint];
    expect(calls.at(-1)!.number).toBe(syscallNumber("seccomp", architecture));
    expect([operation, flags]).toEqual([1n, 0n]);
    const program = assembleFilter(sptPolicy(architecture, { epoll: 5, timer: 6 }, []));
    const view = new DataView(bytesAt(Number(header), 16).slice().buffer);
    expect(view.getUint16(0, true) * 8).toBe(program.length);
    expect(bytesAt(Number(view.getBigUint64(8, true)), program.length)).toEqual(program);
  });

  test("points ps at the title, in the page that stays", () => {
    const { calls, bytesAt } = launch();
    const map = only(calls, "prctl").find(({ args }) => args[0] === 35n)!;
    const view = new DataView(bytesAt(Number(map.args[2]), 104).slice().buffer);
    const [start, end] = [56, 64].map((at) => Number(view.getBigUint64(at, true))) as [number, number];
    expect(new TextDecoder().decode(bytesAt(start, end - start))).toBe("solo5-spt\0--mem=32\0");
    expect(start).toBeGreaterThan(RESIDENT_BASE);
    expect(end).toBeLessThan(RESIDENT_BASE + 0x1000);
    expect(view.getInt32(100, true)).toBe(-1);
  });

  test("leaves one page behind for a guest with a handful of devices, and room for 63", () => {
    const page = architecture === "x86_64" ? 0x1000 : 0x1_0000;
    const blocks = (count: number): Attachment[] =>
      Array.from({ length: count }, (_, i) => ({
        kind: "block",
        handle: i + 1,
        hostFd: i + 7,
        capacity: 2 ** 40,
        blockSize: 512,
      }));
    const resident = (count: number) =>
      Number(only(launch({ devices: blocks(count) }).calls, "mmap")[1]!.args[1]);
    expect(resident(4)).toBe(page);
    expect(resident(63)).toBeLessThanOrEqual(RESIDENT_ROOM);
  });

  test("is an ELF executable that asks for a stack without execute permission", () => {
    const file = fileOf(writeLauncher(plan(architecture), ""));
    const elf = readElf(bytesSource(file));
    expect(elf.machine).toBe(architecture);
    expect(elf.entry).toBe(LAUNCHER_BASE);
    const [load, stack] = elf.programHeaders;
    expect(elf.programHeaders.length).toBe(2);
    expect([load!.type, load!.flags, load!.vaddr]).toEqual([1, 5, LAUNCHER_BASE]);
    expect(load!.offset % load!.align).toBe(0);
    expect(load!.offset + load!.fileSize).toBe(file.length);
    expect([stack!.type, stack!.flags]).toEqual([0x6474_e551, 6]);
  });

  test("takes an image of very many segments", () => {
    const segments = Array.from({ length: 20_000 }, (_, i) => {
      const start = 0x10_0000 + i * 0x1000;
      return { offset: 0, fileSize: 16, vaddr: start, memSize: 16, start, end: start + 0x1000, flags: 4 };
    });
    const { calls } = launch({ load: { ...plan(architecture).load, segments }, memory: 128 * MIB });
    expect(only(calls, "mprotect").length).toBe(20_001);
  });
});
