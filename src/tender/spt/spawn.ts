/**
 * An spt guest as a child process, with nothing of Bun in it. The server starts its guests this way, and so does
 * `robur run`: somebody must be there to tell of a guest that the kernel killed.
 */
import { type ProcessExit, exitStatus, waitInForeground } from "../foreground.ts";
import { describeExit } from "./exit.ts";
import { type PreparedSpt, type SptSpec, prepareSpt } from "./prepare.ts";

export interface SptStreams {
  /** The guest's console; a descriptor, or what Bun.spawn knows. */
  readonly stdout: number | "inherit" | "pipe" | "ignore";
  /** Where a start that fails says why; the guest can't write there. */
  readonly stderr: number | "inherit" | "pipe" | "ignore";
  /** A directory below /sys/fs/cgroup to start it in. */
  readonly cgroup?: string;
  /** In a session of its own, out of reach of a terminal's signals. */
  readonly detached?: boolean;
}

export interface RunningSpt {
  readonly pid: number;
  readonly exited: Promise<Pick<ProcessExit, "code" | "signal">>;
  readonly process: Bun.Subprocess;
}

/**
 * Starts a prepared guest and closes what `prepareSpt` opened; the image and the devices may be closed as well.
 * That the process runs doesn't mean that its guest does: a launcher that fails says so on its standard error
 * and exits with 1.
 */
export function spawnSpt(prepared: PreparedSpt, streams: SptStreams): RunningSpt {
  try {
    const child = Bun.spawn([`/proc/self/fd/${prepared.executable}`, ...prepared.argv.slice(1)], {
      argv0: prepared.argv[0]!,
      env: {},
      stdio: ["ignore", streams.stdout, streams.stderr, ...prepared.descriptors],
      ...(streams.cgroup === undefined ? {} : { cgroup: streams.cgroup }),
      ...(streams.detached === undefined ? {} : { detached: streams.detached }),
    });
    const exited = child.exited.then(() => ({ code: child.exitCode, signal: child.signalCode }));
    return { pid: child.pid, exited, process: child };
  } finally {
    prepared.close();
  }
}

/**
 * Runs a guest in the foreground with the console on standard output, and answers its exit status, 128 + n when
 * signal n ended it; why is said to `report`. The guest doesn't outlive this process. Throws as `prepareSpt`.
 *
 * It costs a process that only waits, but a forbidden system call leaves nobody else to tell of it; exec.ts is
 * the form without.
 */
export async function runSpt(spec: SptSpec, report: (sentence: string) => void): Promise<number> {
  const prepared = prepareSpt({ ...spec, dieWithParent: true });
  const guest = spawnSpt(prepared, { stdout: "inherit", stderr: "inherit" });
  const exit = await waitInForeground(guest.process);
  const sentence = describeExit(exit);
  if (sentence !== undefined && !exit.wasAsked) report(sentence);
  return exitStatus(exit);
}
