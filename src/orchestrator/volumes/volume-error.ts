/** What can go wrong with a volume, and the translation of the kernel's words for it. */
import { RoburError } from "../../lib/errors.ts";
import { OsError } from "../../linux/libc.ts";
import { describeHolders, lockHolders } from "../../linux/lock-holders.ts";

export type VolumeErrorCode =
  | "bad-name"
  | "bad-size"
  /** No such volume, or its file is gone. */
  | "missing"
  | "exists"
  /** A unikernel has it, or another command is at it. */
  | "in-use"
  /** The data doesn't fit the volume, or the volume the file system. */
  | "too-large"
  | "disk-full"
  | "not-permitted"
  /** The data can't be read, or isn't what it was said to be. */
  | "source"
  /** The place for an export can't be written to. */
  | "target"
  /** Making it smaller would cut data off, and nobody said that it may. */
  | "would-lose-data"
  /** The policy of its path doesn't allow that much. */
  | "over-policy"
  /** The user ended it; nothing was changed. */
  | "interrupted"
  | "failed";

export class VolumeError extends RoburError<VolumeErrorCode> {}

/**
 * An error of node:fs or of a system call (both have `code`) as a VolumeError that begins with `what`; errors of
 * robur's own pass. `path` is where it happened.
 */
export function explainIo(error: unknown, what: string, path: string): unknown {
  if (error instanceof RoburError && !(error instanceof OsError)) return error;
  if (!(error instanceof Error) || !("code" in error)) return error;
  const cause = { cause: error };
  switch (error.code) {
    case "ENOSPC":
    case "EDQUOT":
    case "errno 122":
      return new VolumeError("disk-full", `${what}: the disk is full; nothing was changed`, {
        hint: `df -h ${path}`,
        ...cause,
      });
    case "EFBIG":
      return new VolumeError("too-large", `${what}: larger than this file system's files can be`, {
        hint: `stat --file-system ${path}`,
        ...cause,
      });
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new VolumeError("not-permitted", `${what}: ${error.message}`, {
        hint: `ls -ld ${path}`,
        ...cause,
      });
    case "EEXIST":
      return new VolumeError("exists", `${what}: ${path} exists already`, cause);
    case "ENOENT":
      return new VolumeError("missing", `${what}: ${path}: no such file`, cause);
    default:
      return new VolumeError("failed", `${what}: ${error.message}`, cause);
  }
}

/** The error for a file that somebody has locked. `what`: "volume data". */
export function inUse(what: string, path: string): VolumeError {
  const known = describeHolders(lockHolders(path));
  return new VolumeError("in-use", `${what} is in use`, {
    ...(known === undefined ? {} : { why: `${known} has it` }),
    hint: known === undefined ? `sudo fuser -v ${path}` : "stop that one first",
  });
}
