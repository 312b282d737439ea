/** Looks at running processes through /proc. */
import { readFileSync, readdirSync } from "node:fs";
import { until } from "./robur.ts";

/** A field of /proc/PID/status, or undefined where the process or the field isn't there. */
export function statusField(pid: number, field: string, thread?: number): string | undefined {
  const path = thread === undefined ? `/proc/${pid}/status` : `/proc/${pid}/task/${thread}/status`;
  try {
    return new RegExp(`^${field}:[ \\t]*(.*)$`, "m").exec(readFileSync(path, "utf8"))?.[1];
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as { code?: string }).code ?? "")) return undefined;
    throw error;
  }
}

export function threads(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).map(Number);
}

/** Waits until a tender has given up what it doesn't need: from then on its guest runs. */
export async function guestRuns(pid: number): Promise<void> {
  await until(`process ${pid} to run its guest`, () => {
    const mode = statusField(pid, "Seccomp");
    if (mode === undefined) throw new Error(`process ${pid} has ended`);
    return mode === "2";
  });
}

/** Clock ticks that a process has used, all threads together, and its state's letter. */
function usage(pid: number): { readonly ticks: number; readonly state: string } {
  const [state = "", ...fields] = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  return { ticks: Number(fields[10]) + Number(fields[11]), state };
}

/** Waits until a process sleeps, and has used no processor time over several looks. */
export async function sleeps(pid: number): Promise<void> {
  let before = -1;
  let quiet = 0;
  await until(`process ${pid} to sleep`, () => {
    const { ticks, state } = usage(pid);
    quiet = state === "S" && ticks === before ? quiet + 1 : 0;
    before = ticks;
    return quiet > 10;
  });
}

/** Nanoseconds that each thread of a process has run. */
export function threadTimes(pid: number): Map<number, number> {
  const times = new Map<number, number>();
  for (const thread of threads(pid)) {
    try {
      const [ran = "0"] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ");
      times.set(thread, Number(ran));
    } catch (error) {
      // Threads of the engine end when there is nothing to do.
      if (!["ENOENT", "ESRCH"].includes((error as { code?: string }).code ?? "")) throw error;
    }
  }
  return times;
}
