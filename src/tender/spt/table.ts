/**
 * The system calls that turn the launcher's process into a guest's: its memory, its segments, and then one thing
 * after another given up, the seccomp filter last. Pure: launcher-image.ts lays the list out for the launcher.
 */
import type { Architecture } from "../../lib/architecture.ts";
import { MIB } from "../../lib/units.ts";
import { PF_R, PF_W, PF_X } from "../../image/elf.ts";
import type { Attachment } from "../../image/manifest.ts";
import type { LoadPlan } from "../../image/segments.ts";
import { assembleFilter, programHeader } from "../../linux/bpf.ts";
import {
  MAP_ANONYMOUS,
  MAP_NORESERVE,
  MAP_PRIVATE,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
} from "../../linux/libc.ts";
import type { SyscallName } from "../../linux/syscalls.ts";
import { BOOT_INFO, MEMORY_START } from "./boot-info.ts";
import { LAUNCHER_END, PAGE_MAX, RESIDENT_BASE, RESIDENT_ROOM } from "./launcher.ts";
import { type GuestDescriptors, sptPolicy } from "./policy.ts";

/** Puts bytes where the launcher can point at them, and answers their address. */
export type Place = (bytes: Uint8Array) => number;

export type Argument = number | bigint | ((place: Place) => number);

export interface Step {
  readonly call: SyscallName;
  readonly args: readonly Argument[];
  /** The least result that is a success; 0 unless told otherwise. */
  readonly least?: number;
  /** What could not be done, when this fails; the reason is added to it. Absent: failing doesn't matter. */
  readonly otherwise?: string;
  /** The descriptor to say it on: 2, and 1 once that is closed. */
  readonly reportOn?: 1 | 2;
}

/** A guest's process as it shall be. All descriptors are numbered as that process has them. */
export interface SptPlan {
  readonly architecture: Architecture;
  readonly load: LoadPlan;
  /** The end of guest memory in bytes. */
  readonly memory: number;
  /** Bytes of the boot info (encodeSptBootInfo). */
  readonly bootInfo: Uint8Array;
  readonly descriptors: GuestDescriptors & {
    /** The launcher's own file, which carries the boot info. */
    readonly launcher: number;
    /** The unikernel's file. */
    readonly image: number;
  };
  readonly devices: readonly Attachment[];
  /** Whom to become. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** Guest memory outside of the image may be executed. */
  readonly execHeap: boolean;
  /** A write to a console that nobody reads any more fails, rather than ending the guest by SIGPIPE. */
  readonly surviveConsole: boolean;
  /** End with the process that started this one. */
  readonly dieWithParent: boolean;
  /** What ps shows as the command line, each part with a NUL behind it. */
  readonly title: Uint8Array;
  /** One past the last address that a process of this machine can map. */
  readonly addressSpaceEnd: number;
}

/** What firstSteps must know of the launcher's file. */
export interface LauncherLayout {
  /** Where the boot info lies in the file. */
  readonly bootInfoOffset: number;
  /** The part that stays: where it lies in the file, and its length. */
  readonly residentOffset: number;
  readonly residentLength: number;
  /** Where the title lies in that part. */
  readonly titleAddress: number;
}

const MAP_FIXED = 0x10;
const SIG_SETMASK = 2;
const SIGPIPE = 13;
const SIGXFSZ = 25;
const SIGKILL = 9;
const SIG_DFL = 0;
const SIG_IGN = 1;
/** Bytes of the kernel's struct sigaction (handler, flags, restorer, mask) and of its signal mask. */
const KERNEL_SIGACTION_SIZE = 32;
const SIGNAL_MASK_SIZE = 8;
const PR_SET_PDEATHSIG = 1;
const PR_SET_DUMPABLE = 4;
const PR_SET_NAME = 15;
const PR_SET_MM = 35;
const PR_SET_MM_MAP = 14;
const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_SET_MODE_FILTER = 1;
const LAST_DESCRIPTOR = 0xffff_ffff;
/** The most that one read transfers (MAX_RW_COUNT of the kernel). */
const READ_MAX = 0x7fff_f000;
/** The name of the process, as that of the original tender: what pgrep finds. */
const PROCESS_NAME = "solo5-spt";

/** The steps that the launcher's own file holds. They end in a jump to the part that stays. */
export function firstSteps(plan: SptPlan, layout: LauncherLayout): Step[] {
  const { launcher, epoll, timer } = plan.descriptors;
  return [
    ...resetSignals(plan.surviveConsole),
    ...mapMemory(plan),
    ...loadSegments(plan),
    {
      call: "pread64",
      args: [launcher, BOOT_INFO, plan.bootInfo.length, layout.bootInfoOffset],
      least: plan.bootInfo.length,
      otherwise: "cannot read the boot information",
    },
    ...mapResident(launcher, layout, PAGE_MAX[plan.architecture]),
    ...nameProcess(plan.title, layout.titleAddress),
    ...becomeUser(plan.user),
    ...(plan.dieWithParent ? [dieWithParent] : []),
    { call: "prctl", args: [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0], otherwise: "cannot set no_new_privs" },
    { call: "prctl", args: [PR_SET_DUMPABLE, 0, 0, 0, 0], otherwise: "cannot forbid core dumps" },
    ...closeOthers([1, epoll, timer, ...plan.devices.map(({ hostFd }) => hostFd)]),
  ];
}

/**
 * The steps of the part that stays, which end in the guest. The launcher's file goes from memory, and so does
 * everything else above (the stack, the kernel's vdso), unless the kernel protects it, as some do with the vdso.
 */
export function lastSteps(plan: SptPlan): Step[] {
  const filter = assembleFilter(sptPolicy(plan.architecture, plan.descriptors, plan.devices));
  const start = RESIDENT_BASE + RESIDENT_ROOM;
  return [
    {
      call: "munmap",
      args: [start, LAUNCHER_END - start],
      otherwise: "cannot unmap the launcher",
      reportOn: 1,
    },
    { call: "munmap", args: [LAUNCHER_END, plan.addressSpaceEnd - LAUNCHER_END] },
    {
      call: "seccomp",
      args: [SECCOMP_SET_MODE_FILTER, 0, (place) => place(programHeader(filter, place(filter)))],
      otherwise: "cannot install the seccomp filter",
      reportOn: 1,
    },
  ];
}

/** Where the guest's stack begins, by the C convention for a function that was called (or, aarch64, is about to be). */
export function stackPointer({ architecture, memory }: SptPlan): number {
  return memory - (architecture === "x86_64" ? 8 : 16);
}

/** Bun ignores two signals, and a process inherits that through exec. */
function resetSignals(surviveConsole: boolean): Step[] {
  const handle = (signal: number, handler: number): Step => {
    const action = new Uint8Array(KERNEL_SIGACTION_SIZE);
    action[0] = handler;
    return { call: "rt_sigaction", args: [signal, (place) => place(action), 0, SIGNAL_MASK_SIZE] };
  };
  const none = new Uint8Array(SIGNAL_MASK_SIZE);
  return [
    handle(SIGPIPE, surviveConsole ? SIG_IGN : SIG_DFL),
    handle(SIGXFSZ, SIG_DFL),
    { call: "rt_sigprocmask", args: [SIG_SETMASK, (place) => place(none), 0, SIGNAL_MASK_SIZE] },
  ];
}

/** Guest memory is one mapping. It is not reserved: a guest costs what it touches, not what it may touch. */
function mapMemory({ memory, execHeap }: SptPlan): Step[] {
  const protection = PROT_READ | PROT_WRITE | (execHeap ? PROT_EXEC : 0);
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
  return [
    // Nothing lies there on any kernel known; if something did, the guest shouldn't see it.
    { call: "munmap", args: [memory, RESIDENT_BASE - memory] },
    {
      call: "mmap",
      args: [MEMORY_START, memory - MEMORY_START, protection, flags, -1n, 0],
      least: MEMORY_START,
      otherwise: `cannot map ${memory / MIB} MiB of guest memory`,
    },
  ];
}

function loadSegments({ load, descriptors }: SptPlan): Step[] {
  const steps: Step[] = [];
  for (const { vaddr, offset, fileSize } of load.segments) {
    for (let done = 0; done < fileSize; done += READ_MAX) {
      const length = Math.min(READ_MAX, fileSize - done);
      steps.push({
        call: "pread64",
        args: [descriptors.image, vaddr + done, length, offset + done],
        least: length,
        otherwise: "cannot read the image",
      });
    }
  }
  // After all reads: two segments may share a page only by overlapping, but order costs nothing.
  for (const { start, end, flags } of load.segments) {
    steps.push({
      call: "mprotect",
      args: [start, end - start, protectionOf(flags)],
      otherwise: "cannot protect a segment of the image",
    });
  }
  return steps;
}

/** A segment's flags as mprotect(2) has them. */
function protectionOf(flags: number): number {
  return (
    ((flags & PF_R) === 0 ? 0 : PROT_READ) |
    ((flags & PF_W) === 0 ? 0 : PROT_WRITE) |
    ((flags & PF_X) === 0 ? 0 : PROT_EXEC)
  );
}

/** A copy, and not a mapping of the file: the kernel shows a command line from anonymous memory only. */
function mapResident(launcher: number, layout: LauncherLayout, page: number): Step[] {
  const { residentOffset, residentLength } = layout;
  const size = Math.ceil(residentLength / page) * page;
  const otherwise = "cannot map the launcher's page";
  return [
    {
      call: "mmap",
      args: [RESIDENT_BASE, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1n, 0],
      least: RESIDENT_BASE,
      otherwise,
    },
    {
      call: "pread64",
      args: [launcher, RESIDENT_BASE, residentLength, residentOffset],
      least: residentLength,
      otherwise,
    },
    { call: "mprotect", args: [RESIDENT_BASE, size, PROT_READ | PROT_EXEC], otherwise },
  ];
}

/**
 * What ps and top show. The kernel reads the command line from the process's own memory, from a stack that is
 * about to go, so it is pointed at the page that stays, where the guest can't change it. Kernels without
 * CONFIG_CHECKPOINT_RESTORE refuse that, and then ps shows the name alone.
 */
function nameProcess(title: Uint8Array, address: number): Step[] {
  // struct prctl_mm_map: code, data, brk (start and end each), stack, arguments, environment, auxv, exe.
  const map = new DataView(new ArrayBuffer(104));
  // Nothing but code and arguments is really there. The others must be addresses, of no mapping: maps(5) would
  // call it "[heap]" or "[stack]".
  const nowhere = RESIDENT_BASE + RESIDENT_ROOM;
  const code = [RESIDENT_BASE, address];
  const dataAndStack = [nowhere, nowhere, nowhere, nowhere, nowhere];
  const args = [address, address + title.length];
  const fields = [...code, ...dataAndStack, ...args, nowhere, nowhere, 0];
  for (const [i, field] of fields.entries()) map.setBigUint64(8 * i, BigInt(field), true);
  map.setInt32(100, -1, true);
  const bytes = new Uint8Array(map.buffer);
  const name = new TextEncoder().encode(`${PROCESS_NAME}\0`);
  return [
    { call: "prctl", args: [PR_SET_NAME, (place) => place(name), 0, 0, 0] },
    { call: "prctl", args: [PR_SET_MM, PR_SET_MM_MAP, (place) => place(bytes), bytes.length, 0] },
  ];
}

function becomeUser(user: SptPlan["user"]): Step[] {
  if (user === undefined) return [];
  const { uid, gid } = user;
  return [
    { call: "setgroups", args: [0, 0], otherwise: "cannot drop supplementary groups" },
    { call: "setresgid", args: [gid, gid, gid], otherwise: `cannot become group ${gid}` },
    { call: "setresuid", args: [uid, uid, uid], otherwise: `cannot become user ${uid}` },
  ];
}

/** After becoming another user, which would undo it. */
const dieWithParent: Step = { call: "prctl", args: [PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0] };

/** Closes every descriptor but these. Standard error goes last, so that it can still tell of a failure. */
function closeOthers(kept: readonly number[]): Step[] {
  const ranges: [first: number, last: number][] = [];
  let first = 0;
  for (const fd of [...new Set(kept)].sort((a, b) => a - b)) {
    if (fd > first) ranges.push([first, fd - 1]);
    first = fd + 1;
  }
  ranges.push([first, LAST_DESCRIPTOR]);
  const isLast = ([first, last]: [number, number]) => first <= 2 && last >= 2;
  const ordered = [...ranges.filter((range) => !isLast(range)), ...ranges.filter(isLast)];
  return ordered.map(([first, last]) => ({
    call: "close_range",
    args: [first, last, 0],
    otherwise: "cannot close descriptors (Linux 5.9 or newer is needed)",
  }));
}
