/** Memory and processors of the machine, and who gets them. Pure but for `readHost`. */
import { availableParallelism } from "node:os";
import { readSmallFile } from "../linux/libc.ts";
import type { Refusal } from "./api.ts";
import { cpusOf, ownAffinity } from "./process/kernel-calls.ts";

export interface Host {
  readonly memoryMb: number;
  /** The processors that this process may use. */
  readonly cpus: readonly number[];
}

/** What one unikernel has been promised. */
export interface Share {
  readonly memoryMb: number;
  /** The processors that it runs on; null where it isn't bound to any. */
  readonly cpus: readonly number[] | null;
  readonly target: "hvt" | "spt";
}

/** What a tender needs besides its guest's memory, in MiB: hvt carries a JavaScript engine. */
const OVERHEAD_MB = { hvt: 8, spt: 1 } as const;
/** What is left to the host itself. */
const LEAST_RESERVE_MB = 128;
const RESERVE_SHARE = 0.03;

/** What this machine has. */
export function readHost(): Host {
  const kib = /^MemTotal: +(\d+) kB$/m.exec(readSmallFile("/proc/meminfo") ?? "")?.[1];
  const cpus = cpusOf(ownAffinity());
  return {
    memoryMb: kib === undefined ? Number.MAX_SAFE_INTEGER : Math.floor(Number(kib) / 1024),
    cpus: cpus.length > 0 ? cpus : Array.from({ length: availableParallelism() }, (_, i) => i),
  };
}

/** What a share costs the machine, in MiB. */
export function costOf({ memoryMb, target }: Pick<Share, "memoryMb" | "target">): number {
  return memoryMb + OVERHEAD_MB[target];
}

/** MiB that are not promised to anybody. */
export function freeMemory(host: Host, shares: readonly Share[]): number {
  const reserve = Math.max(LEAST_RESERVE_MB, Math.floor(host.memoryMb * RESERVE_SHARE));
  return host.memoryMb - reserve - shares.reduce((sum, share) => sum + costOf(share), 0);
}

/** Whether the machine has room for one more. Undefined: yes. */
export function checkRoom(host: Host, wish: Share, others: readonly Share[]): Refusal | undefined {
  const unknown = (wish.cpus ?? []).filter((cpu) => !host.cpus.includes(cpu));
  if (unknown.length > 0) {
    return {
      code: "no-resources",
      resource: "cpu",
      message: `there is no processor ${unknown.join(", ")}`,
      hint: `this server may use ${host.cpus.join(", ")}`,
    };
  }
  const free = freeMemory(host, others);
  if (costOf(wish) > free) {
    return {
      code: "no-resources",
      resource: "memory",
      message: `${wish.memoryMb} MiB are wanted and ${Math.max(0, free)} MiB are left`,
      hint: `the machine has ${host.memoryMb} MiB; stop another unikernel or give this one less`,
    };
  }
  return undefined;
}

/**
 * The processor for a unikernel that was given none: the one of `allowed` with the fewest unikernels on it, the
 * lowest of several. Who may run on more than one counts on each with its part.
 */
export function leastLoaded(allowed: readonly number[], others: readonly Share[]): number | undefined {
  const load = new Map(allowed.map((cpu) => [cpu, 0]));
  for (const { cpus } of others) {
    for (const cpu of cpus ?? []) {
      const before = load.get(cpu);
      if (before !== undefined) load.set(cpu, before + 1 / cpus!.length);
    }
  }
  let best: number | undefined;
  for (const [cpu, weight] of load) if (best === undefined || weight < load.get(best)!) best = cpu;
  return best;
}
