import { RoburError } from "../../lib/errors.ts";

/** What keeps a job from getting a sandbox. */
export type SandboxErrorCode =
  /** This machine or this user can't make any: a program or a right is missing. */
  | "no-sandbox"
  /** Nothing says what such a platform is made of. */
  | "unknown-platform"
  /** The platform's root file system isn't there and could not be made. */
  | "no-root-file-system"
  | "disk-full"
  /** A host that the job may reach has no address. */
  | "unknown-host"
  /** Somebody has a shell in it. */
  | "in-use"
  | "failed";

export class SandboxError extends RoburError<SandboxErrorCode> {}
