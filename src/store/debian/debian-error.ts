/** Why a package can't be offered. */
import { RoburError } from "../../lib/errors.ts";

export type DebianErrorCode =
  | "not-a-package"
  /** A version that wouldn't sort as it should once the build's time stands behind it. */
  | "version"
  | "too-large"
  | "program-missing";

export class DebianError extends RoburError<DebianErrorCode> {}
