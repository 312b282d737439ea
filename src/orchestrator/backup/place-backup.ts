/**
 * A backup's file is there whole or not at all. SQLite locks what it writes, so that the unfinished file can't be
 * locked by us as volumes' are: it is known by the number of the process that writes it.
 */
import { existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { BackupError, explainBackupIo } from "../../db/backup/backup-error.ts";
import { sync } from "../../db/backup/copy-database.ts";
import { renameToFree } from "../../linux/copy-file.ts";
import { ERRNO } from "../../linux/errno.ts";
import { OsError } from "../../linux/libc.ts";

/**
 * Lets `write` make a file at the path that it gets, in the same directory, and then gives it its name. `write` may
 * use paths that begin with it for more files; those go when it ends. Throws what `write` throws, and BackupError
 * exists, disk-full, not-permitted; what is at `target` is unchanged then.
 */
export async function placeBackup<T>(
  target: string,
  replace: boolean,
  write: (unfinished: string) => Promise<T>,
): Promise<T> {
  const unfinished = join(dirname(target), `.${basename(target)}.new-${process.pid}`);
  try {
    if (!existsSync(dirname(target))) {
      throw new BackupError("missing", `${dirname(target)}: there is no such directory`, {
        hint: `mkdir -p ${dirname(target)}`,
      });
    }
    if (!replace && existsSync(target)) throw exists(target);
    removeLeftOvers(target);
    const result = await write(unfinished);
    sync(unfinished);
    if (replace) renameSync(unfinished, target);
    else nameIfFree(unfinished, target);
    sync(dirname(target));
    return result;
  } catch (error) {
    throw explainBackupIo(error, `can't write ${target}`, dirname(target));
  } finally {
    removeAll(unfinished);
  }
}

/** What processes that were killed left behind. */
function removeLeftOvers(target: string): void {
  const prefix = `.${basename(target)}.new-`;
  for (const name of readdirSync(dirname(target))) {
    const pid = name.startsWith(prefix) ? /^\d+/.exec(name.slice(prefix.length))?.[0] : undefined;
    if (pid === undefined || (existsSync(`/proc/${pid}`) && Number(pid) !== process.pid)) continue;
    rmSync(join(dirname(target), name), { force: true });
  }
}

function removeAll(unfinished: string): void {
  const directory = dirname(unfinished);
  if (!existsSync(directory)) return;
  for (const name of readdirSync(directory)) {
    if (name.startsWith(basename(unfinished))) rmSync(join(directory, name), { force: true });
  }
}

function nameIfFree(unfinished: string, target: string): void {
  const result = renameToFree(unfinished, target);
  if (result === 0) return;
  if (result === -ERRNO.EEXIST) throw exists(target);
  if (result !== -ERRNO.EINVAL && result !== -ERRNO.ENOSYS) throw new OsError(target, -result);
  // The file system can't do both in one step.
  if (existsSync(target)) throw exists(target);
  renameSync(unfinished, target);
}

function exists(target: string): BackupError {
  return new BackupError("exists", `${target} exists already`, {
    hint: "another name, or --force to replace it",
  });
}
