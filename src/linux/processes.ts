/** Processes by number and start time: a number alone is given again. */
import { readSmallFile } from "./libc.ts";

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks after the boot. */
  readonly startTicks: number;
  readonly boot: string;
}

/** This boot of the machine. */
const bootId = () => (readSmallFile("/proc/sys/kernel/random/boot_id") ?? "").trim();

/** Start time and whether it still runs. Fields 3 and 22 of /proc/PID/stat; the command's name may contain anything. */
function statOf(pid: number | "self"): { readonly pid: number; readonly startTicks: number } | undefined {
  const text = readSmallFile(`/proc/${pid}/stat`) ?? "";
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const startTicks = Number(fields[22 - 3]);
  if (fields.length < 20 || !Number.isSafeInteger(startTicks)) return undefined;
  return fields[0] === "Z" || fields[0] === "X" ? undefined : { pid: Number.parseInt(text, 10), startTicks };
}

/** A process that lives; undefined when there is none of that number, or only its remains. */
export function identify(pid: number | "self"): ProcessIdentity | undefined {
  const found = statOf(pid);
  return found === undefined ? undefined : { ...found, boot: bootId() };
}

/** Whether this very process still runs. */
export function isAlive({ pid, startTicks, boot }: ProcessIdentity): boolean {
  return boot === bootId() && statOf(pid)?.startTicks === startTicks;
}
