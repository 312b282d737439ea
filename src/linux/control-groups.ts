/**
 * Control groups of version 1 and 2 for processes that come and go: limits for memory, processor time and the number
 * of processes, and what struck. In version 2 groups are made below this process's own, which systemd hands over with
 * Delegate=yes; a group that has children may hold no processes then, so this process moves into a child itself.
 */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { MIB } from "../lib/units.ts";
import { attempt } from "./attempt.ts";
import { readSmallFile } from "./libc.ts";

const MOUNT = "/sys/fs/cgroup";
/** The controllers that are used here, by their names in both versions. */
const CONTROLLERS = ["memory", "cpu", "pids"] as const;
type Controller = (typeof CONTROLLERS)[number];
/** Microseconds over which processor time is counted. */
const CPU_PERIOD = 100_000;
/** The child that this process itself moves into (version 2). The server uses the same. */
const OWN_CHILD = "server";

export interface GroupLimits {
  readonly memoryMb: number | undefined;
  readonly cpus: number | undefined;
  readonly processes: number | undefined;
}

/** What limits did. */
export interface GroupEvents {
  readonly killedForMemory: number;
  readonly refusedProcesses: number;
}

/** The directories of one group: one a controller in version 1, a single one in version 2. */
export interface ControlGroup {
  readonly version: 1 | 2;
  readonly directories: Readonly<Partial<Record<Controller, string>>>;
}

/** The own group in /proc/self/cgroup: of version 2 (""), or of one of version 1's controllers. */
export function ownGroup(text: string, controller: "" | Controller): string | undefined {
  for (const line of text.split("\n")) {
    const [, controllers = "-", path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (path !== undefined && controllers.split(",").includes(controller)) return path;
  }
  return undefined;
}

/**
 * Where groups of a family are made: one directory a controller, made if it may be. Undefined: none at all. A
 * controller that can't be used is left out.
 */
export function groupFamily(name: string): ControlGroup | undefined {
  const own = readSmallFile("/proc/self/cgroup") ?? "";
  if (existsSync(join(MOUNT, "cgroup.controllers"))) {
    const group = ownGroup(own, "");
    return group === undefined ? undefined : unifiedFamily(join(MOUNT, group), name);
  }
  const directories: Partial<Record<Controller, string>> = {};
  for (const controller of CONTROLLERS) {
    const group = ownGroup(own, controller);
    if (group === undefined || !existsSync(join(MOUNT, controller))) continue;
    // A worker that runs in a group of a family makes no family inside of it.
    const path = join(MOUNT, controller, outermost(group, name), name);
    if (attempt(() => mkdirSync(path, { recursive: true }))) directories[controller] = path;
  }
  return Object.keys(directories).length === 0 ? undefined : { version: 1, directories };
}

function outermost(group: string, name: string): string {
  const parts = group.split("/");
  const at = parts.indexOf(name);
  return at < 0 ? group : parts.slice(0, at).join("/");
}

function unifiedFamily(found: string, name: string): ControlGroup | undefined {
  const own = basename(found) === OWN_CHILD ? dirname(found) : found;
  const path = join(own, name);
  attempt(() => {
    if (own !== found || own === MOUNT || own === `${MOUNT}/`) return;
    mkdirSync(join(own, OWN_CHILD), { recursive: true });
    writeFileSync(join(own, OWN_CHILD, "cgroup.procs"), String(process.pid));
  });
  if (!attempt(() => mkdirSync(path, { recursive: true }))) return undefined;
  // One by one: a user's session is often given some of them only.
  const usable = CONTROLLERS.filter((controller) => [own, path].every((group) => enable(group, controller)));
  if (usable.length === 0) return undefined;
  return { version: 2, directories: Object.fromEntries(usable.map((controller) => [controller, path])) };
}

/** Gives a group's children a controller. */
function enable(group: string, controller: Controller): boolean {
  return attempt(() => writeFileSync(join(group, "cgroup.subtree_control"), `+${controller}`));
}

/** What to write for these limits: controller, file, text. Pure. */
export function limitWrites(
  version: 1 | 2,
  { memoryMb, cpus, processes }: GroupLimits,
): {
  readonly controller: Controller;
  readonly file: string;
  readonly text: string;
  readonly isOptional: boolean;
}[] {
  const writes = [];
  if (memoryMb !== undefined) {
    const text = String(Math.floor(memoryMb * MIB));
    const file = version === 2 ? "memory.max" : "memory.limit_in_bytes";
    writes.push({ controller: "memory" as const, file, text, isOptional: false });
    // Swap would only make it slow; a kernel without swap accounting has no such file.
    const swap =
      version === 2 ? { file: "memory.swap.max", text: "0" } : { file: "memory.memsw.limit_in_bytes", text };
    writes.push({ controller: "memory" as const, ...swap, isOptional: true });
  }
  if (cpus !== undefined) {
    const quota = String(Math.max(1000, Math.round(cpus * CPU_PERIOD)));
    if (version === 2) {
      writes.push({
        controller: "cpu" as const,
        file: "cpu.max",
        text: `${quota} ${CPU_PERIOD}`,
        isOptional: false,
      });
    } else {
      const period = { file: "cpu.cfs_period_us", text: String(CPU_PERIOD) };
      writes.push({ controller: "cpu" as const, ...period, isOptional: false });
      writes.push({ controller: "cpu" as const, file: "cpu.cfs_quota_us", text: quota, isOptional: false });
    }
  }
  if (processes !== undefined) {
    writes.push({
      controller: "pids" as const,
      file: "pids.max",
      text: String(processes),
      isOptional: false,
    });
  }
  return writes;
}

/** Makes a group of a family, with limits. Answers those controllers that could not be limited. */
export function makeGroup(
  family: ControlGroup,
  name: string,
  limits: GroupLimits,
): { readonly group: ControlGroup; readonly unlimited: readonly Controller[] } {
  const directories: Partial<Record<Controller, string>> = {};
  for (const [controller, path] of entries(family)) {
    if (attempt(() => mkdirSync(join(path, name), { recursive: true })))
      directories[controller] = join(path, name);
  }
  const unlimited = new Set<Controller>();
  for (const { controller, file, text, isOptional } of limitWrites(family.version, limits)) {
    const directory = directories[controller];
    const isDone = directory !== undefined && attempt(() => writeFileSync(join(directory, file), text));
    if (!isDone && !isOptional) unlimited.add(controller);
  }
  return { group: { version: family.version, directories }, unlimited: [...unlimited] };
}

/** Puts a process into the group; its children are born there. Answers those controllers that don't take it. */
export function addProcess(group: ControlGroup, pid: number): Controller[] {
  return entries(group).flatMap(([controller, path]) =>
    attempt(() => writeFileSync(join(path, "cgroup.procs"), String(pid))) ? [] : [controller],
  );
}

/** What the limits did so far. */
export function groupEvents({ version, directories: { memory, pids } }: ControlGroup): GroupEvents {
  const field = (path: string, name: string) =>
    Number(new RegExp(`^${name} (\\d+)$`, "m").exec(readSmallFile(path) ?? "")?.[1] ?? 0);
  const oomFile = version === 2 ? "memory.events" : "memory.oom_control";
  return {
    killedForMemory: memory === undefined ? 0 : field(join(memory, oomFile), "oom_kill"),
    refusedProcesses: pids === undefined ? 0 : field(join(pids, "pids.events"), "max"),
  };
}

/** Removes the group. False while processes are in it. */
export function removeGroup({ directories }: ControlGroup): boolean {
  let isGone = true;
  for (const path of new Set(Object.values(directories))) {
    if (existsSync(path) && !attempt(() => rmdirSync(path))) isGone = false;
  }
  return isGone;
}

/** The group of that name, whether there is one or not. */
export function groupNamed({ version, directories }: ControlGroup, name: string): ControlGroup {
  const paths = Object.entries(directories).map(([controller, path]) => [controller, join(path, name)]);
  return { version, directories: Object.fromEntries(paths) as ControlGroup["directories"] };
}

function entries({ directories }: ControlGroup): [Controller, string][] {
  return CONTROLLERS.flatMap((controller): [Controller, string][] => {
    const path = directories[controller];
    return path === undefined ? [] : [[controller, path]];
  });
}
