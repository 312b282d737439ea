/**
 * `robur __sandbox HOME`: puts a prepared sandbox together, runs its command, and ends with its status. It is the
 * first process of a process namespace and has mounts of its own, so nothing that it makes outlives it but control
 * groups and files, which are removed by name. In order:
 *
 *   1. /proc of the namespace; the job's view of the files: an overlay, mounted where no path of the host shows
 *   2. a process in a new user namespace, which waits
 *   3. its users, its control groups, its network
 *   4. it goes on: bwrap makes the other namespaces and becomes the job
 *   5. what limits struck is said on standard error, which is the job's console
 */
import { closeSync, existsSync, readFileSync, readlinkSync, statfsSync, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { addProcess, groupEvents, groupFamily, makeGroup, removeGroup } from "../../linux/control-groups.ts";
import type { ControlGroup } from "../../linux/control-groups.ts";
import { O_RDONLY, close, memoryFile, open, printError } from "../../linux/libc.ts";
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, mount } from "../../linux/mounts.ts";
import { identify } from "../../linux/processes.ts";
import { roomOn } from "./bounds.ts";
import { MERGED, bwrapArguments, gateArguments } from "./arguments.ts";
import { RANGE } from "./identities.ts";
import { GROUP_FAMILY, HOSTNAME, type SandboxPaths, type SandboxPlan, sandboxPaths } from "./layout.ts";
import { startNetwork } from "./network.ts";
import { call, needProgram } from "./programs.ts";
import { SandboxError } from "./sandbox-error.ts";
import { systemCallFilter } from "./system-call-filter.ts";

/** The control groups' own processes: bwrap, and its two helpers inside and outside. */
const OWN_PROCESSES = 3;
/** The launcher's own threads and those of pasta, which a user's limit counts as well. */
const OWN_THREADS = 32;
/** Between two looks at what a job without a disk of its own has written. */
const DISK_WATCH_MS = 2000;
/** Between two looks at the machine's disk: it takes a job longer than this to fill what is kept free. */
const ROOM_WATCH_MS = 200;
/** The user namespace of a process that was started a moment ago. */
const NAMESPACE_LIMIT_MS = 10_000;

const say = (text: string) => printError(`sandbox: ${text}\n`);

/** Runs a sandbox's command; answers its exit status. Throws SandboxError or OsError when it can't be run. */
export async function launch(home: string): Promise<number> {
  const paths = sandboxPaths(dirname(dirname(home)), basename(home));
  const plan = JSON.parse(readFileSync(paths.plan, "utf8")) as SandboxPlan;
  // /proc is still the host's here: that is the number by which others know this process.
  writeFileSync(paths.launcher, JSON.stringify(identify("self")));
  if (existsSync(paths.stop)) return 137;
  mountAll(paths, plan);
  const group = makeLimits(plan);
  try {
    return await runInside(paths, plan, group);
  } finally {
    if (group !== undefined) removeGroup(group);
  }
}

function mountAll({ home }: SandboxPaths, { disk, isRoot, hasTools }: SandboxPlan): void {
  mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "");
  process.chdir(home);
  if (disk === "image") {
    const mounted = Bun.spawnSync([needProgram("mount"), "-o", "loop,nosuid,nodev", "disk.img", "disk"], {
      stdin: "ignore",
    });
    if (!mounted.success) {
      throw new SandboxError("failed", "the sandbox's disk can't be mounted", {
        why: mounted.stderr.toString().trim(),
      });
    }
  }
  // Relative names: the job can read these options.
  const lower = hasTools ? "tools:root" : "root";
  const features = isRoot ? "index=off,metacopy=off,redirect_dir=off" : "userxattr";
  const options = `lowerdir=${lower},upperdir=disk/upper,workdir=disk/work,${features}`;
  mount("overlay", MERGED, "overlay", MS_NOSUID | MS_NODEV, options);
}

function makeLimits(plan: SandboxPlan): ControlGroup | undefined {
  const { id, limits } = plan;
  const wanted = {
    memoryMb: limits.memoryMb,
    cpus: limits.cpus,
    processes: limits.processes === undefined ? undefined : limits.processes + OWN_PROCESSES,
  };
  const family = groupFamily(GROUP_FAMILY);
  if (family === undefined) {
    for (const name of wishedOf(plan)) say(`no ${name} limit: this user may make no control groups`);
    return undefined;
  }
  const { group, unlimited } = makeGroup(family, id, wanted);
  sayUnlimited(plan, unlimited);
  return group;
}

/** Where a limit that somebody wished for is not kept. That of processes is kept without a control group as well. */
function sayUnlimited(plan: SandboxPlan, unlimited: readonly string[]): void {
  for (const name of wishedOf(plan).filter((wished) => unlimited.includes(wished)))
    say(`no ${name} limit: its control group can't be used`);
}

const wishedOf = ({ wished: { memoryMb, cpus } }: SandboxPlan) => [
  ...(memoryMb === undefined ? [] : ["memory"]),
  ...(cpus === undefined ? [] : ["cpu"]),
];

async function runInside(
  paths: SandboxPaths,
  plan: SandboxPlan,
  group: ControlGroup | undefined,
): Promise<number> {
  const hasNetwork = plan.network.kind !== "none";
  const programs = {
    ...{ unshare: needProgram("unshare"), setpriv: needProgram("setpriv"), prlimit: needProgram("prlimit") },
  };
  const { processes } = plan.limits;
  const gate = {
    hasNetwork,
    processes: processes === undefined ? undefined : processes + OWN_PROCESSES + OWN_THREADS,
  };
  const filter = memoryFile("filter", systemCallFilter());
  // Read from its beginning: a descriptor of its own.
  const filterFd = open(`/proc/self/fd/${filter}`, O_RDONLY);
  const { command, hostname = HOSTNAME } = plan;
  const bwrap = { program: needProgram("bwrap"), filterFd: 4, hasNetwork, hostname, command };
  const child = Bun.spawn(gateArguments(programs, gate, bwrapArguments(bwrap)), {
    cwd: "/",
    env: { ...plan.environment },
    stdio: [plan.isInteractive ? "inherit" : "ignore", "inherit", "inherit", "pipe", filterFd],
  });
  close(filter);
  close(filterFd);
  const latch = child.stdio[3];
  if (typeof latch !== "number") throw new SandboxError("failed", "the sandbox has no gate");
  await mapUsers(child.pid, plan.base);
  if (group !== undefined) sayUnlimited(plan, addProcess(group, child.pid));
  if (plan.network.kind !== "none") await startNetwork(child.pid, plan.network);
  if (existsSync(paths.stop)) return 137;
  writeFileSync(latch, "go\n");
  closeSync(latch);
  const stopWatching = watchDisk(paths, plan);
  const status = await child.exited;
  stopWatching();
  report(paths, plan, group);
  // What the job's users keep to themselves is read by another user.
  if (!plan.isRoot) await call(["/bin/chmod", "-R", "u+rwX,go+rX", paths.job]);
  return child.signalCode === null ? status : 137;
}

/** Maps the job's users when its namespace is there. */
async function mapUsers(pid: number, base: number): Promise<void> {
  const own = readlinkSync("/proc/self/ns/user");
  const deadline = performance.now() + NAMESPACE_LIMIT_MS;
  while (!isElsewhere(pid, own)) {
    if (performance.now() > deadline) throw new SandboxError("failed", "no user namespace could be made");
    await Bun.sleep(1);
  }
  for (const map of ["uid_map", "gid_map"]) writeFileSync(`/proc/${pid}/${map}`, `0 ${base} ${RANGE}`);
}

function isElsewhere(pid: number, own: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/user`) !== own;
  } catch (error) {
    if ((error as { code?: string }).code !== "ENOENT") throw error;
    throw new SandboxError("no-sandbox", "this user may make no user namespace", {
      why: "unshare ended at once",
      hint: "sysctl kernel.apparmor_restrict_unprivileged_userns user.max_user_namespaces",
    });
  }
}

/**
 * No job fills the machine's disk: it is ended before. Where it has no disk of its own it is also told off, late, by
 * what `du` finds.
 */
function watchDisk({ home, upper }: SandboxPaths, { disk, limits: { diskMb } }: SandboxPlan) {
  let isStopped = false;
  const end = (why: string) => {
    if (isStopped) return;
    say(`${why}: the job is ended`);
    // Everything here ends with this process.
    process.exit(137);
  };
  const room = setInterval(() => {
    if (roomOn(home) < 0) end("the disk of this machine is nearly full");
  }, ROOM_WATCH_MS);
  const look = async () => {
    const { stdout } = await call(["/usr/bin/du", "-sx", "--block-size=1M", upper]);
    if (Number.parseInt(stdout, 10) > diskMb!) end(`the job has written more than its ${diskMb} MiB`);
    schedule();
  };
  const schedule = () => {
    if (!isStopped) setTimeout(() => void look(), DISK_WATCH_MS).unref();
  };
  if (disk === "plain" && diskMb !== undefined) schedule();
  return () => {
    isStopped = true;
    clearInterval(room);
  };
}

/** Says which limits struck. */
function report({ disk }: SandboxPaths, plan: SandboxPlan, group: ControlGroup | undefined): void {
  const { limits } = plan;
  if (group !== undefined) {
    const { killedForMemory, refusedProcesses } = groupEvents(group);
    if (killedForMemory > 0)
      say(`${killedForMemory} processes were ended at the memory limit of ${limits.memoryMb} MiB`);
    if (refusedProcesses > 0) say(`the limit of ${limits.processes} processes was reached`);
  }
  if (plan.disk !== "plain") {
    const { bavail, bsize, ffree } = statfsSync(disk);
    if (bavail * bsize < 1024 * 1024 || ffree === 0)
      say(`the disk limit of ${limits.diskMb} MiB was reached`);
  }
}
