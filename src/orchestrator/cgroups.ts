/**
 * A control group for each tender, where this process may make some: the kernel then ends a tender that takes more
 * memory than its guest was given, and not something else on the machine. In version 2 groups are made below this
 * process's own, which systemd hands over with Delegate=yes; a group that has children may hold no processes then, so
 * this process moves into a child itself. Where none of it is allowed, unikernels run without.
 */
import { existsSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MIB } from "../lib/units.ts";
import { attempt } from "../linux/attempt.ts";
import { readSmallFile } from "../linux/libc.ts";
import type { UnikernelConfig, UnikernelId } from "./api.ts";

const MOUNT = "/sys/fs/cgroup";
/** What a tender takes besides its guest's memory at most, in MiB. */
const HEADROOM_MB = { hvt: 96, spt: 16 } as const;

interface Tree {
  readonly version: 1 | 2;
  /** The directory that holds one directory a unikernel. */
  readonly path: string;
}

/** The own group in /proc/self/cgroup: of version 2, or of version 1's memory controller. */
export function ownGroup(text: string, controller: "" | "memory"): string | undefined {
  for (const line of text.split("\n")) {
    const [, controllers = "-", path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (path !== undefined && controllers.split(",").includes(controller)) return path;
  }
  return undefined;
}

export class CgroupTree {
  readonly #tree: Tree | undefined;

  /** Makes what it needs, if it may. */
  constructor(instance: string, isWanted: boolean) {
    this.#tree = isWanted ? makeTree(`robur-${instance}`) : undefined;
    // What a former server left is empty by now, or belongs to a tender that lives.
    if (this.#tree !== undefined) for (const name of directoriesIn(this.#tree.path)) this.#removeGroup(name);
  }

  /** Whether limits are enforced. */
  get isActive(): boolean {
    return this.#tree !== undefined;
  }

  /** Puts a tender's process into its group. One that is there already stays. */
  limit(id: UnikernelId, pid: number, { memoryMb }: UnikernelConfig, target: "hvt" | "spt"): void {
    if (this.#tree === undefined) return;
    const { version, path } = this.#tree;
    const group = join(path, id);
    const most = (memoryMb + HEADROOM_MB[target]) * MIB;
    attempt(() => {
      mkdirSync(group, { recursive: true });
      writeFileSync(join(group, version === 2 ? "memory.max" : "memory.limit_in_bytes"), String(most));
      writeFileSync(join(group, "cgroup.procs"), String(pid));
    });
  }

  /** The process has ended. */
  remove(id: UnikernelId): void {
    this.#removeGroup(id);
  }

  #removeGroup(name: string): void {
    if (this.#tree !== undefined) attempt(() => rmdirSync(join(this.#tree!.path, name)));
  }
}

function makeTree(name: string): Tree | undefined {
  const own = readSmallFile("/proc/self/cgroup") ?? "";
  if (existsSync(join(MOUNT, "cgroup.controllers"))) {
    const group = ownGroup(own, "");
    return group === undefined ? undefined : makeUnified(join(MOUNT, group), group === "/", name);
  }
  const group = ownGroup(own, "memory");
  const memory = join(MOUNT, "memory");
  if (group === undefined || !existsSync(memory)) return undefined;
  const path = join(memory, group, name);
  return attempt(() => mkdirSync(path, { recursive: true })) ? { version: 1, path } : undefined;
}

function makeUnified(own: string, isRoot: boolean, name: string): Tree | undefined {
  const path = join(own, name);
  const isMade = attempt(() => {
    if (!isRoot) {
      mkdirSync(join(own, "server"), { recursive: true });
      writeFileSync(join(own, "server", "cgroup.procs"), String(process.pid));
    }
    writeFileSync(join(own, "cgroup.subtree_control"), "+memory");
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, "cgroup.subtree_control"), "+memory");
  });
  return isMade ? { version: 2, path } : undefined;
}

function directoriesIn(path: string): string[] {
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? [entry.name] : [],
  );
}
