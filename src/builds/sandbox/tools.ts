/**
 * The tree that lies over a platform's root: this very executable as /usr/bin/orb. It is made once for each version of
 * the executable, and shared by all sandboxes. Its directories are the job's, who sees their owner as that of what they
 * lie over: root must be able to install programs beside.
 */
import {
  chmodSync,
  chownSync,
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
} from "node:fs";
import { statSync } from "node:fs";
import { join } from "node:path";
import type { Identities } from "./identities.ts";
import { sandboxesDirectory } from "./layout.ts";
import { run } from "./programs.ts";
import { removeTree } from "./root-file-systems.ts";

const DIRECTORIES = ["usr", "usr/bin"] as const;

/** The tree's path; undefined where robur is not one executable, but runs from its sources. */
export async function toolsTree(
  dataDirectory: string,
  executable: string | undefined,
  who: Identities,
): Promise<string | undefined> {
  if (executable === undefined) return undefined;
  const { dev, ino, size, mtimeMs } = statSync(executable);
  const version = Bun.hash(`${dev} ${ino} ${size} ${mtimeMs} ${who.base}`).toString(16);
  const directory = join(sandboxesDirectory(dataDirectory), `tools-${version}`);
  if (existsSync(directory)) return directory;
  const unfinished = `${directory}.${crypto.randomUUID().slice(0, 8)}`;
  mkdirSync(join(unfinished, "usr/bin"), { recursive: true, mode: 0o755 });
  const orb = join(unfinished, "usr/bin/orb");
  linkOrCopy(executable, orb);
  await giveToJobs(unfinished, who);
  try {
    renameSync(unfinished, directory);
  } catch (error) {
    await removeTree(unfinished, who);
    // Another worker was faster.
    if (!existsSync(directory)) throw error;
  }
  return directory;
}

async function giveToJobs(tree: string, { isRoot, base, under }: Identities): Promise<void> {
  const paths = DIRECTORIES.map((name) => join(tree, name));
  if (isRoot) for (const path of paths) chownSync(path, base, base);
  else await run([...under, "/bin/chown", `${base}:${base}`, ...paths]);
}

function linkOrCopy(from: string, to: string): void {
  // A link would share its mode and owner, which a user's own file may have unfit for others.
  if ((statSync(from).mode & 0o555) === 0o555) {
    try {
      linkSync(from, to);
      return;
    } catch (error) {
      const code = (error as { code?: string }).code ?? "";
      if (!["EXDEV", "EPERM", "EMLINK", "ENOTSUP"].includes(code)) throw error;
    }
  }
  copyFileSync(from, to, constants.COPYFILE_FICLONE);
  chmodSync(to, 0o755);
}

/** Trees of other versions that no sandbox uses. */
export async function removeOldTools(
  dataDirectory: string,
  used: ReadonlySet<string>,
  who: Identities,
): Promise<void> {
  const directory = sandboxesDirectory(dataDirectory);
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (name.startsWith("tools-") && !used.has(path)) await removeTree(path, who);
  }
}
