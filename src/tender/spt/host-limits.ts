/** What this machine allows an spt guest, asked before its process is made: it could only fail there. */
import { HOST_ARCHITECTURE } from "../../lib/architecture.ts";
import { KIB, formatSize } from "../../lib/units.ts";
import { PAGE_SIZE } from "../../image/segments.ts";
import { readSmallFile } from "../../linux/libc.ts";
import { TenderError } from "../tender-error.ts";
import { MEMORY_START } from "./boot-info.ts";
import { RESIDENT_BASE } from "./launcher.ts";

export interface HostLimits {
  /** RAM and swap in bytes. */
  readonly memory: number;
  /** The lowest address that an ordinary process may map (vm.mmap_min_addr). */
  readonly lowestAddress: number;
  /** One past the highest address that a process can map. */
  readonly addressSpaceEnd: number;
}

/** This machine's limits, from /proc; what can't be read there is taken for no limit. */
export function readHostLimits(): HostLimits {
  return {
    memory: totalMemory(readSmallFile("/proc/meminfo") ?? "") || Infinity,
    lowestAddress: Number(readSmallFile("/proc/sys/vm/mmap_min_addr") ?? 0),
    addressSpaceEnd:
      HOST_ARCHITECTURE === "x86_64"
        ? X86_ADDRESS_SPACE_END
        : addressSpaceEnd(readSmallFile("/proc/self/maps") ?? ""),
  };
}

/** RAM and swap of a meminfo's text, in bytes. */
export function totalMemory(meminfo: string): number {
  let total = 0;
  for (const [, kib] of meminfo.matchAll(/^(?:MemTotal|SwapTotal): +(\d+) kB$/gm)) total += Number(kib) * KIB;
  return total;
}

/** One page below 128 TiB, on every x86_64 kernel: more is mapped only by asking for addresses above. */
const X86_ADDRESS_SPACE_END = 0x7fff_ffff_f000;

/**
 * Where the address space of an aarch64 kernel ends, which is built for 2^39, 2^42, 2^47 or 2^48 bytes: behind
 * the highest mapping, the stack, in a maps file's text.
 */
export function addressSpaceEnd(maps: string): number {
  const ends = [...maps.matchAll(/^[0-9a-f]+-([0-9a-f]+) /gm)].map(([, end]) => Number.parseInt(end!, 16));
  return 2 ** Math.ceil(Math.log2(Math.max(...ends, 2 ** 39)));
}

/** Refuses what could not work, with its reason. Throws TenderError bad-memory or privileges. */
export function checkHostLimits(memory: number, limits: HostLimits, isRoot: boolean): void {
  const most = Math.min(limits.memory, RESIDENT_BASE);
  if (memory > most) {
    throw new TenderError("bad-memory", `cannot map ${formatSize(memory)} of guest memory`, {
      why: `RAM and swap of this machine are ${formatSize(most)}`,
    });
  }
  if (memory % PAGE_SIZE !== 0) {
    throw new TenderError("bad-memory", `guest memory of ${memory} bytes is not a multiple of ${PAGE_SIZE}`);
  }
  if (limits.lowestAddress > MEMORY_START && !isRoot) {
    throw new TenderError("privileges", "this system doesn't let a process map the addresses of a guest", {
      why: `vm.mmap_min_addr is ${limits.lowestAddress}, a unikernel begins at ${MEMORY_START}`,
      hint: `sudo sysctl vm.mmap_min_addr=${MEMORY_START}`,
    });
  }
}
