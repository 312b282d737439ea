/** What can be wrong with a release, or with putting it in place. */
import { RoburError } from "../lib/errors.ts";

export type ReleaseErrorCode =
  /** It isn't known where releases come from, or whose they are. */
  | "no-origin"
  | "bad-key"
  | "unreachable"
  /** There is no such version, or no executable for this machine; or nothing to go back to. */
  | "missing"
  /** The signature or a hash is wrong. */
  | "not-genuine"
  /** What was downloaded doesn't run here. */
  | "does-not-run"
  /** It is older than what is there, and nobody asked for it. */
  | "older"
  /** This robur runs from its sources. */
  | "not-installed"
  | "not-permitted"
  | "disk-full"
  | "failed";

export class ReleaseError extends RoburError<ReleaseErrorCode> {}

/** Says that nothing was changed, which is so until the very last step. */
export const UNCHANGED = "nothing was changed";

/** An error of node:fs as a ReleaseError about `path`; every other error as it is. */
export function explainPlacing(error: unknown, path: string): unknown {
  if (error instanceof RoburError || !(error instanceof Error) || !("code" in error)) return error;
  const more = { why: error.message, cause: error };
  switch (error.code) {
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new ReleaseError("not-permitted", `${path} can't be written to; ${UNCHANGED}`, {
        ...more,
        hint: "the same command with sudo",
      });
    case "ENOSPC":
    case "EDQUOT":
      return new ReleaseError("disk-full", `the disk is full; ${UNCHANGED}`, {
        ...more,
        hint: `df -h ${path}`,
      });
    default:
      return new ReleaseError("failed", `can't replace ${path}; ${UNCHANGED}`, more);
  }
}
