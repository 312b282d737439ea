/**
 * The tree that lies over a platform's root: this very executable as /usr/bin/orb. It is made once for each version of
 * the executable, and shared by all sandboxes. Its directories are what jobs see of /usr and /usr/bin, so they are the
 * jobs' own, as the root's are: a package manager writes there.
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
  statSync,
} from "node:fs";
import { join } from "node:path";
import type { Identities } from "./identities.ts";
import { sandboxesDirectory } from "./layout.ts";
import { run } from "./programs.ts";
import { removeTree } from "./root-file-systems.ts";

/** The tree's path; undefined where robur is not one executable, but runs from its sources. Throws SandboxError. */
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
  const unfinished = join(sandboxesDirectory(dataDirectory), `old-${crypto.randomUUID().slice(0, 8)}`);
  const directories = ["", "usr", "usr/bin"].map((path) => join(unfinished, path));
  try {
    for (const path of directories) {
      mkdirSync(path);
      chmodSync(path, 0o755);
    }
    linkOrCopy(executable, join(unfinished, "usr/bin/orb"));
    const { isRoot, base, under } = who;
    if (isRoot) for (const path of directories) chownSync(path, base, base);
    else await run([...under, "/bin/chown", `${base}:${base}`, ...directories]);
    renameSync(unfinished, directory);
  } catch (error) {
    await removeTree(unfinished, who);
    // Another worker was faster.
    if (!existsSync(directory)) throw error;
  }
  return directory;
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

/** Takes the names from trees that no sandbox uses. Answers what is to be removed. */
export function putAsideTools(dataDirectory: string, used: ReadonlySet<string>): string[] {
  const directory = sandboxesDirectory(dataDirectory);
  if (!existsSync(directory)) return [];
  return readdirSync(directory).flatMap((name) => {
    const path = join(directory, name);
    if (name.startsWith("old-")) return [path];
    if (!/^tools-[0-9a-f]+$/.test(name) || used.has(path)) return [];
    const aside = join(directory, name.replace(/^tools-/, "old-"));
    renameSync(path, aside);
    return [aside];
  });
}
