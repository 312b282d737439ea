/** What sandboxes leave when their worker dies, and what is kept too long. */
import { existsSync } from "node:fs";
import { isAlive } from "../../linux/processes.ts";
import type { Identities } from "./identities.ts";
import { allSandboxes, readKept, removeKept } from "./kept.ts";
import { sandboxesDirectory } from "./layout.ts";
import { removeOldRoots } from "./root-file-systems.ts";
import { endSandbox, readIdentity, removeSandbox, treesOf } from "./remains.ts";
import { removeOldTools } from "./tools.ts";

const isRunning = (path: string) => {
  const found = readIdentity(path);
  return found !== undefined && isAlive(found);
};

/**
 * Removes sandboxes whose worker has died, kept ones older than `keptMs`, and trees that nobody uses. Sandboxes of workers that live, and shells that are open, stay.
 */
export async function sweepSandboxes(
  dataDirectory: string,
  who: Identities,
  keptMs: number,
  now: number,
): Promise<void> {
  const used = new Set<string>();
  for (const paths of allSandboxes(dataDirectory)) {
    const kept = readKept(paths);
    if (kept === undefined && !isRunning(paths.owner)) {
      await endSandbox(paths);
      await removeSandbox(paths, who);
      continue;
    }
    // One that is used is left until the next time.
    if (kept !== undefined && now - kept.keptAt > keptMs && (await removeKept(paths, who))) continue;
    for (const tree of treesOf(paths)) used.add(tree);
  }
  if (existsSync(sandboxesDirectory(dataDirectory))) await removeOldTools(dataDirectory, used, who);
  await removeOldRoots(dataDirectory, used);
}
