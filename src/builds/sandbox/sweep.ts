/** What sandboxes leave when their worker dies, and what is kept too long. */
import { isAlive } from "../../linux/processes.ts";
import type { Identities } from "./identities.ts";
import { allSandboxes, readKept, removeKept } from "./kept.ts";
import { type SandboxPaths, treesLock } from "./layout.ts";
import { waitForLock } from "./lock.ts";
import { putAsideRoots, removeTree } from "./root-file-systems.ts";
import { endSandbox, readIdentity, removeSandbox, treesOf } from "./remains.ts";
import { putAsideTools } from "./tools.ts";

const isRunning = (path: string) => {
  const found = readIdentity(path);
  return found !== undefined && isAlive(found);
};

/**
 * Removes sandboxes whose worker has died, kept ones older than `keptMs`, and trees that nobody uses. Sandboxes of
 * workers that live, and shells that are open, stay. What goes is decided while nobody is about to use it, and removed
 * afterwards, which takes its time.
 */
export async function sweepSandboxes(
  dataDirectory: string,
  who: Identities,
  keptMs: number,
  now: number,
): Promise<void> {
  const { dead, old } = await decide(dataDirectory, () => {
    const all = allSandboxes(dataDirectory).map((paths) => ({ paths, kept: readKept(paths) }));
    return {
      dead: all.filter(({ paths, kept }) => kept === undefined && !isRunning(paths.owner)),
      old: all.filter(({ kept }) => kept !== undefined && now - kept.keptAt > keptMs),
    };
  });
  for (const { paths } of dead) await removeDead(paths, who);
  // One that is used is left until the next time.
  for (const { paths } of old) await removeKept(paths, who);
  const aside = await decide(dataDirectory, () => {
    const used = new Set(allSandboxes(dataDirectory).flatMap(treesOf));
    return [...putAsideTools(dataDirectory, used), ...putAsideRoots(dataDirectory, used)];
  });
  for (const path of aside) await removeTree(path, who);
}

async function decide<T>(dataDirectory: string, look: () => T): Promise<T> {
  using _lock = await waitForLock(treesLock(dataDirectory), "exclusive");
  return look();
}

async function removeDead(paths: SandboxPaths, who: Identities): Promise<void> {
  await endSandbox(paths);
  await removeSandbox(paths, who);
}
