/** What sandboxes leave when their worker dies, and what is kept too long. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { groupFamily, groupsOf, removeGroup } from "../../linux/control-groups.ts";
import { isAlive } from "../../linux/processes.ts";
import type { Identities } from "./identities.ts";
import { GROUP_FAMILY, type SandboxPaths, sandboxPaths, sandboxesDirectory } from "./layout.ts";
import { removeOldRoots } from "./root-file-systems.ts";
import { endSandbox, readIdentity, removeSandbox, treesOf } from "./remains.ts";
import { removeOldTools } from "./tools.ts";

interface KeptRecord {
  readonly build: string;
  /** Milliseconds since 1970. */
  readonly keptAt: number;
}

function readKept({ kept }: SandboxPaths): KeptRecord | undefined {
  try {
    return JSON.parse(readFileSync(kept, "utf8")) as KeptRecord;
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return undefined;
    throw error;
  }
}

function allSandboxes(dataDirectory: string): SandboxPaths[] {
  const directory = sandboxesDirectory(dataDirectory);
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => /^[0-9a-f]{8}-[0-9a-f]{4}$/.test(name))
    .map((name) => sandboxPaths(dataDirectory, name));
}

/** The kept sandbox of a build. */
export function findKept(dataDirectory: string, build: string): SandboxPaths | undefined {
  return allSandboxes(dataDirectory).find((paths) => readKept(paths)?.build === build);
}

const isRunning = (path: string) => {
  const found = readIdentity(path);
  return found !== undefined && isAlive(found);
};

/**
 * Removes sandboxes whose worker has died, kept ones older than `keptMs`, control groups without a sandbox, and trees
 * that nobody uses. Sandboxes of workers that live, and shells that are open, stay.
 */
export async function sweepSandboxes(
  dataDirectory: string,
  who: Identities,
  keptMs: number,
  now: number,
): Promise<void> {
  const used = new Set<string>();
  const living = new Set<string>();
  for (const paths of allSandboxes(dataDirectory)) {
    const kept = readKept(paths);
    const isStale =
      kept === undefined ? !isRunning(paths.owner) : now - kept.keptAt > keptMs && !isRunning(paths.launcher);
    if (isStale) {
      await endSandbox(paths);
      await removeSandbox(paths, who);
      continue;
    }
    living.add(paths.id);
    for (const tree of treesOf(paths)) used.add(tree);
  }
  const family = groupFamily(GROUP_FAMILY);
  // One that isn't empty belongs to another data directory's job.
  if (family !== undefined) {
    for (const [name, group] of groupsOf(family)) if (!living.has(name)) removeGroup(group);
  }
  if (existsSync(sandboxesDirectory(dataDirectory))) removeOldTools(dataDirectory, used);
  await removeOldRoots(dataDirectory, used);
}
