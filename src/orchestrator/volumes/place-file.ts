/**
 * A file that is there whole or not at all: written under a name that nobody looks at, brought to the disk, and
 * only then given its name. What a killed process left behind is known by its name, and by nobody having it
 * locked.
 */
import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, linkSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { dirname, join, basename } from "node:path";
import { ERRNO } from "../../linux/errno.ts";
import { isNamed, lockFile, openLocked } from "../../linux/file-lock.ts";
import { renameToFree } from "../../linux/copy-file.ts";
import { O_CLOEXEC, O_RDWR, OsError, close } from "../../linux/libc.ts";
import { VolumeError } from "./volume-error.ts";

/** Whether a file of that name must not be there yet, or goes when the new one comes. */
export type PlaceMode = "new" | "replace";

const UNFINISHED = /^\..+\.new-[0-9a-f]{16}$/;

/**
 * Puts a file in its place, with what `write` writes to the descriptor that it gets (empty, readable and writable,
 * mode 0600, locked until the file has its name). Throws what `write` throws, OsError and node:fs's errors, and
 * VolumeError exists; nothing is changed then.
 */
export async function placeFile<T>(
  path: string,
  mode: PlaceMode,
  write: (fd: number) => Promise<T>,
): Promise<T> {
  const { fd, path: unfinished } = openUnfinished(path);
  try {
    const result = await write(fd);
    fsyncSync(fd);
    if (mode === "replace") renameSync(unfinished, path);
    else nameIfFree(unfinished, path);
    syncDirectory(dirname(path));
    return result;
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** Removes what killed processes left unfinished in a directory, of one file if it is named, else of all. */
export function removeUnfinished(directory: string, fileName?: string): void {
  for (const name of readdirSync(directory)) {
    if (!UNFINISHED.test(name)) continue;
    if (fileName !== undefined && !name.startsWith(`.${fileName}.new-`)) continue;
    const path = join(directory, name);
    const fd = openLocked(path, O_RDWR | O_CLOEXEC, "exclusive");
    if (fd < 0) continue;
    rmSync(path, { force: true });
    close(fd);
  }
}

/** Brings the names in a directory to the disk. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Between being made and being locked, a file can be taken for one that was left behind, and removed. */
function openUnfinished(path: string): { fd: number; path: string } {
  for (;;) {
    const unfinished = join(dirname(path), `.${basename(path)}.new-${randomBytes(8).toString("hex")}`);
    const fd = openSync(unfinished, "wx+", 0o600);
    if (lockFile(fd, "exclusive") === 0 && isNamed(fd, unfinished)) return { fd, path: unfinished };
    closeSync(fd);
  }
}

function nameIfFree(unfinished: string, path: string): void {
  const result = renameToFree(unfinished, path);
  if (result === 0) return;
  if (result === -ERRNO.EEXIST) throw new VolumeError("exists", `${path} exists already`);
  if (result !== -ERRNO.EINVAL && result !== -ERRNO.ENOSYS) throw new OsError(path, -result);
  // NFS can't rename in that way, but it can link, which never replaces either.
  linkSync(unfinished, path);
  rmSync(unfinished);
}
