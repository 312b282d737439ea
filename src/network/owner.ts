/** The process for whose life something was made: known again by its start time, dead for certain without it. */
import { readFileSync } from "node:fs";
import { bootId } from "./kernel.ts";
import type { Owner } from "./records.ts";

/** Field 22 of /proc/PID/stat, counted behind the command's name, which may hold anything. */
const START_TIME = 22 - 3;

function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A process that only waits for its parent to take note is dead.
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[START_TIME];
  } catch {
    return undefined;
  }
}

/** The owner that a running process is. Throws RangeError when there is no such process. */
export function ownerOf(pid: number): Owner {
  const start = startTime(pid);
  if (start === undefined) throw new RangeError(`no process ${pid}`);
  return { pid, start: `${start}@${bootId()}` };
}

export function isAlive(owner: Owner): boolean {
  const start = startTime(owner.pid);
  return start !== undefined && owner.start === `${start}@${bootId()}`;
}
