import { RoburError } from "../../lib/errors.ts";

export type AccountErrorCode =
  | "exists"
  | "missing"
  | "invalid-name"
  | "invalid-path"
  | "weak-password"
  /** The change would leave nobody who may change anything. */
  | "last-admin"
  /** The set-up link was used, is too old, or never was one. */
  | "invalid-link"
  /** There is an administrator already. */
  | "set-up"
  | "invalid-scope"
  | "wrong-password";

/** Something about users, tokens or sessions that can't be. */
export class AccountError extends RoburError<AccountErrorCode> {}
