/**
 * No sandbox: the job runs as the worker's user, in a directory of its own, and can do whatever that user can. For
 * machines that are thrown away after a job, and for jobs that are one's own. Processes are known by a variable in
 * their environment, so that what a dead worker's job left is found and ended.
 */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readSmallFile } from "../../linux/libc.ts";
import type { Sandbox, SandboxWish, Sandboxes } from "../sandbox/api.ts";

const MARK = "ROBUR_UNSAFE_JOB";
/** A directory's name says whose it is: PID-START-…; both make a process. */
const OWNED = /^job-(\d+)-(\d+)-/;

/** Sandboxes that are none. `directory`: where the jobs' directories are made. */
export function unsafeSandboxes(directory: string): Sandboxes {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return {
    prepare: (wish) => Promise.resolve(prepare(directory, wish)),
    shell: () => Promise.resolve(undefined),
    sweep: () => Promise.resolve(sweep(directory)),
  };
}

function prepare(parent: string, { script, files, platform }: SandboxWish): Sandbox {
  const directory = mkdtempSync(join(parent, `job-${process.pid}-${startTicks(process.pid) ?? 0}-`));
  for (const { name, content } of files) writeFileSync(join(directory, name), content);
  const path = join(directory, "script.sh");
  writeFileSync(path, script);
  chmodSync(path, 0o755);
  let isKept = false;
  const kill = () => Promise.resolve(killMarked(directory));
  return {
    // The shell reports a signal as 128 and its number, and runs a script that doesn't begin with #! by itself.
    argv: ["/bin/sh", "-ec", 'cd "${0%/*}"; "$0"', path],
    environment: {
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      HOME: directory,
      LANG: "C.UTF-8",
      TERM: "xterm",
      BUILDER_PLATFORM: platform,
      [MARK]: directory,
    },
    directory,
    origin: {
      kind: "unsafe",
      packagesSha256: undefined,
      description: "this machine itself, without a sandbox",
    },
    kill,
    keep: () => {
      isKept = true;
      return Promise.resolve();
    },
    async [Symbol.asyncDispose]() {
      await kill();
      if (!isKept) rmSync(directory, { recursive: true, force: true });
    },
  };
}

function sweep(parent: string): void {
  for (const name of readdirSync(parent)) {
    const [, pid = "", start = ""] = OWNED.exec(name) ?? [];
    if (pid === "" || startTicks(Number(pid)) === Number(start)) continue;
    killMarked(join(parent, name));
    rmSync(join(parent, name), { recursive: true, force: true });
  }
}

/** Ends all processes of a job; those that they make meanwhile are found by the next look. */
function killMarked(directory: string): void {
  const mark = `${MARK}=${directory}`;
  for (let turn = 0; turn < 20; turn++) {
    const found = readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .filter((name) => (readSmallFile(`/proc/${name}/environ`) ?? "").split("\0").includes(mark));
    if (found.length === 0) return;
    for (const pid of found) {
      try {
        process.kill(Number(pid), "SIGKILL");
      } catch (error) {
        if ((error as { code?: string }).code !== "ESRCH") throw error;
      }
    }
    Bun.sleepSync(5);
  }
}

/** When a process was started, in clock ticks after the boot; undefined when there is none. */
function startTicks(pid: number): number | undefined {
  const stat = readSmallFile(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" ? undefined : Number(fields[22 - 3]);
}
