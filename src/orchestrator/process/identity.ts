/**
 * Which process is a unikernel's. A number alone is nobody's name: it is given again. A tender is known by its
 * number, its start time and the boot, and by a token that is a part of its command line, where everybody who may
 * list processes can read it, also of a process that has given up its privileges. The token begins with the
 * instance, so two servers on one machine never take each other's tenders for their own.
 */
import { readdirSync } from "node:fs";
import { readSmallFile } from "../../linux/libc.ts";

export interface ProcessRecord {
  readonly token: string;
  /** Null between the decision to start it and its start. */
  readonly pid: number | null;
  /** Clock ticks after the boot. */
  readonly startTicks: number | null;
  readonly boot: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
}

const TOKEN = /#rbr-([0-9a-f]{8})-([0-9a-f]{16})$/;

/** A new token. `random` gives bytes. */
export function newToken(instance: string, random: (length: number) => Uint8Array): string {
  return `#rbr-${instance}-${random(8).toHex()}`;
}

/** The token in a process's arguments, if it is one of this instance. */
export function tokenIn(cmdline: string, instance: string): string | undefined {
  for (const argument of cmdline.split("\0")) {
    const match = TOKEN.exec(argument);
    if (match !== null && match[1] === instance) return match[0];
  }
  return undefined;
}

/** This boot of the machine. */
export function bootId(): string {
  return (readSmallFile("/proc/sys/kernel/random/boot_id") ?? "").trim();
}

export interface ProcessStat {
  readonly state: string;
  readonly startTicks: number;
}

/** State and start time of a process's stat file: fields 3 and 22. The command's name may contain anything. */
export function parseStat(text: string): ProcessStat | undefined {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const startTicks = Number(fields[22 - 3]);
  return fields.length < 20 || !Number.isSafeInteger(startTicks)
    ? undefined
    : { state: fields[0]!, startTicks };
}

/** What /proc says of a process that lives; undefined when there is none, or only its remains. */
export function lookAt(pid: number): ProcessStat | undefined {
  const stat = parseStat(readSmallFile(`/proc/${pid}/stat`) ?? "");
  return stat === undefined || stat.state === "Z" || stat.state === "X" ? undefined : stat;
}

/** How a process ended whose parent hasn't asked yet, as wait(2) has it: field 52 of its stat file. */
export function zombieStatus(pid: number): number | undefined {
  const stat = readSmallFile(`/proc/${pid}/stat`) ?? "";
  const fields = stat
    .slice(stat.lastIndexOf(")") + 2)
    .trim()
    .split(" ");
  if (fields[0] !== "Z" || fields.length <= 49) return undefined;
  const status = Number(fields[49]);
  // 0 is also what those read who may not know.
  return status === 0 && process.getuid?.() !== 0 ? undefined : status;
}

export interface FoundProcess {
  readonly pid: number;
  readonly startTicks: number;
  readonly token: string;
}

/** All living processes of this instance, by token. Reads all of /proc once. */
export function findTenders(instance: string): Map<string, FoundProcess> {
  const found = new Map<string, FoundProcess>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const token = tokenIn(readSmallFile(`/proc/${name}/cmdline`) ?? "", instance);
    const pid = Number(name);
    const stat = token === undefined ? undefined : lookAt(pid);
    if (token !== undefined && stat !== undefined) {
      found.set(token, { pid, startTicks: stat.startTicks, token });
    }
  }
  return found;
}

/** How many seccomp filters a process runs under; undefined when it is gone or the kernel doesn't say. */
export function seccompFilters(pid: number | "self"): number | undefined {
  const status = readSmallFile(`/proc/${pid}/status`) ?? "";
  const count = /^Seccomp_filters:\s+(\d+)$/m.exec(status)?.[1];
  if (count !== undefined) return Number(count);
  // Before Linux 5.9 there is only the mode: 2 is a filter.
  const mode = /^Seccomp:\s+(\d)$/m.exec(status)?.[1];
  return mode === undefined ? undefined : Number(mode === "2");
}
