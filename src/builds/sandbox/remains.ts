/** Ending sandboxes and taking away what is left of them. */
import { existsSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { groupFamily, groupNamed, removeGroup } from "../../linux/control-groups.ts";
import { detachMount } from "../../linux/mounts.ts";
import { type ProcessIdentity, isAlive } from "../../linux/processes.ts";
import type { Identities } from "./identities.ts";
import { GROUP_FAMILY, type SandboxPaths } from "./layout.ts";
import { removeTree } from "./root-file-systems.ts";

/**
 * Ends a sandbox's launcher, and with it everything inside, and sees to it that none starts any more. When it is gone,
 * so are all of its namespace, and the control group, which is nobody else's, is empty.
 */
export async function endSandbox({ id, stop, launcher, home }: SandboxPaths): Promise<void> {
  if (!existsSync(home)) return;
  writeFileSync(stop, "");
  const found = readIdentity(launcher);
  if (found === undefined) return;
  while (isAlive(found)) {
    try {
      process.kill(found.pid, "SIGKILL");
    } catch (error) {
      if ((error as { code?: string }).code !== "ESRCH") throw error;
    }
    await Bun.sleep(2);
  }
  const family = groupFamily(GROUP_FAMILY);
  if (family !== undefined) removeGroup(groupNamed(family, id));
}

/** The process that a file names; undefined where the file isn't there or was not written to its end. */
export function readIdentity(path: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as ProcessIdentity;
  } catch (error) {
    if (error instanceof SyntaxError || (error as { code?: string }).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Removes all files and mounts of a sandbox whose processes have ended. */
export async function removeSandbox({ disk, home }: SandboxPaths, who: Identities): Promise<void> {
  if (who.isRoot) detachMount(disk);
  await removeTree(home, who);
}

/** Trees that a sandbox refers to. */
export function treesOf({ home }: SandboxPaths): string[] {
  return ["root", "tools"].flatMap((name) => {
    const path = join(home, name);
    try {
      return [readlinkSync(path)];
    } catch (error) {
      if (["ENOENT", "EINVAL"].includes((error as { code?: string }).code ?? "")) return [];
      throw error;
    }
  });
}
