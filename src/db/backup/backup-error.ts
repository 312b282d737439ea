/** What can be wrong with a backup, and the words for what the file system says meanwhile. */
import { RoburError } from "../../lib/errors.ts";

export type BackupErrorCode =
  /** The file is there already, and nobody said that it may be replaced. */
  | "exists"
  | "missing"
  /** Neither a database of robur's nor an archive of `robur backup --with-volumes`. */
  | "not-a-backup"
  /** It isn't what it was when it was made. */
  | "damaged"
  | "disk-full"
  | "not-permitted"
  /** A unikernel has a volume that would be replaced, or a process the database. */
  | "in-use"
  | "bad-setting"
  /** Somebody ended it; nothing was changed. */
  | "interrupted"
  | "failed";

export class BackupError extends RoburError<BackupErrorCode> {}

/** An error of node:fs as a BackupError that begins with `what`; every other error as it is. */
export function explainBackupIo(error: unknown, what: string, path: string): unknown {
  if (error instanceof RoburError && !isErrno(error.code)) return error;
  if (!(error instanceof Error) || !("code" in error)) return error;
  const more = { why: error.message, cause: error };
  switch (error.code) {
    case "ENOSPC":
    case "EDQUOT":
      return new BackupError("disk-full", `${what}: the disk is full`, { ...more, hint: `df -h ${path}` });
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new BackupError("not-permitted", `${what}: permission denied`, {
        ...more,
        hint: `ls -ld ${path}, or the same command with sudo`,
      });
    case "ENOENT":
      return new BackupError("missing", `${what}: no such file or directory`, more);
    case "EEXIST":
      return new BackupError("exists", `${what}: it exists already`, more);
    default:
      return isErrno(error.code) ? new BackupError("failed", what, more) : error;
  }
}

function isErrno(code: unknown): boolean {
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code);
}
