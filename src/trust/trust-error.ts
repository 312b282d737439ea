/** What goes wrong with keys and statements. */
import { RoburError } from "../lib/errors.ts";

export type TrustErrorCode =
  | "bad-key"
  /** A name or a key that is there already, or one that isn't. */
  | "exists"
  | "missing"
  | "bad-statement";

export class TrustError extends RoburError<TrustErrorCode> {}
