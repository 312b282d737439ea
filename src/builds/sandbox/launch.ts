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
import { MERGED, bwrapArguments, gateArguments } from "./arguments.ts";
import { RANGE } from "./identities.ts";
import { GROUP_FAMILY, HOSTNAME, type SandboxPaths, type SandboxPlan, sandboxPaths } from "./layout.ts";
import { startNetwork } from "./network.ts";
import { call, needProgram } from "./programs.ts";
import { SandboxError } from "./sandbox-error.ts";
import { systemCallFilter } from "./system-call-filter.ts";

/** The control groups' own processes: bwrap, and its two helpers inside and outside. */
const OWN_PROCESSES = 3;
/** Between two looks at what a job without a disk of its own has written. */
const DISK_WATCH_MS = 2000;
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

function makeLimits({ id, limits }: SandboxPlan): ControlGroup | undefined {
  const wanted = {
    memoryMb: limits.memoryMb,
    cpus: limits.cpus,
    processes: limits.processes === undefined ? undefined : limits.processes + OWN_PROCESSES,
  };
  const family = groupFamily(GROUP_FAMILY);
  if (family === undefined) {
    for (const name of wantedOf({ limits })) say(`no ${name} limit: this user may make no control groups`);
    return undefined;
  }
  const { group, unlimited } = makeGroup(family, id, wanted);
  for (const name of unlimited) say(`no ${name} limit: its control group can't be used`);
  return group;
}

/** The controllers that these limits are for. */
function wantedOf({ limits: { memoryMb, cpus, processes } }: Pick<SandboxPlan, "limits">) {
  const limits = { memory: memoryMb, cpu: cpus, pids: processes };
  return (["memory", "cpu", "pids"] as const).filter((name) => limits[name] !== undefined);
}

async function runInside(
  paths: SandboxPaths,
  plan: SandboxPlan,
  group: ControlGroup | undefined,
): Promise<number> {
  const hasNetwork = plan.network.kind !== "none";
  const unshare = needProgram("unshare");
  const setpriv = needProgram("setpriv");
  const filter = memoryFile("filter", systemCallFilter());
  // Read from its beginning: a descriptor of its own.
  const filterFd = open(`/proc/self/fd/${filter}`, O_RDONLY);
  const { command, hostname = HOSTNAME } = plan;
  const bwrap = { program: needProgram("bwrap"), filterFd: 4, hasNetwork, hostname, command };
  const child = Bun.spawn(gateArguments({ unshare, setpriv }, hasNetwork, bwrapArguments(bwrap)), {
    cwd: "/",
    env: { ...plan.environment },
    stdio: [plan.isInteractive ? "inherit" : "ignore", "inherit", "inherit", "pipe", filterFd],
  });
  close(filter);
  close(filterFd);
  const gate = child.stdio[3];
  if (typeof gate !== "number") throw new SandboxError("failed", "the sandbox has no gate");
  await mapUsers(child.pid, plan.base);
  if (group !== undefined) {
    const refused = addProcess(group, child.pid);
    for (const name of wantedOf(plan).filter((wanted) => refused.includes(wanted)))
      say(`no ${name} limit: its control group doesn't take the job`);
  }
  if (hasNetwork) await startNetwork(child.pid, plan.network);
  if (existsSync(paths.stop)) return 137;
  writeFileSync(gate, "go\n");
  closeSync(gate);
  const watch = watchDisk(paths, plan);
  const status = await child.exited;
  watch.stop();
  report(paths, plan, group, watch.isFull());
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

/** Where a job has no disk of its own it is told off, late: by what `du` finds. */
function watchDisk({ upper }: SandboxPaths, { disk, limits: { diskMb } }: SandboxPlan) {
  let isFull = false;
  const state = { stopped: false };
  const look = async () => {
    const { stdout } = await call(["/usr/bin/du", "-sx", "--block-size=1M", upper]);
    if (state.stopped || Number.parseInt(stdout, 10) <= diskMb!) return schedule();
    isFull = true;
    say(`the job has written more than its ${diskMb} MiB: it is ended`);
    // Everything here ends with this process.
    process.exit(137);
  };
  const schedule = () => {
    if (!state.stopped) setTimeout(() => void look(), DISK_WATCH_MS).unref();
  };
  if (disk === "plain" && diskMb !== undefined) schedule();
  return { stop: () => (state.stopped = true), isFull: () => isFull };
}

/** Says which limits struck. */
function report(
  { disk }: SandboxPaths,
  plan: SandboxPlan,
  group: ControlGroup | undefined,
  isFull: boolean,
): void {
  const { limits } = plan;
  if (group !== undefined) {
    const { killedForMemory, refusedProcesses } = groupEvents(group);
    if (killedForMemory > 0)
      say(`${killedForMemory} processes were ended at the memory limit of ${limits.memoryMb} MiB`);
    if (refusedProcesses > 0) say(`the limit of ${limits.processes} processes was reached`);
  }
  if (plan.disk !== "plain" && !isFull) {
    const { bavail, bsize, ffree } = statfsSync(disk);
    if (bavail * bsize < 1024 * 1024 || ffree === 0)
      say(`the disk limit of ${limits.diskMb} MiB was reached`);
  }
}
