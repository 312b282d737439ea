/** What can go wrong with another server. */
import { RoburError } from "../../lib/errors.ts";

export type RemoteErrorCode =
  | "bad-address"
  /** No connection, or one that broke or fell silent. */
  | "unreachable"
  /** The server says that there is no such thing. */
  | "missing"
  /** It wants to know who asks, or doesn't let them. */
  | "not-permitted"
  /** It has what was sent already. */
  | "exists"
  /** It refuses for another reason. */
  | "refused"
  /** It answers what no builder-web would. */
  | "bad-answer"
  | "redirects"
  | "too-large"
  | "wrong-hash"
  /** Fewer bytes came than were announced. */
  | "truncated"
  /** The file can't be written where it was asked for. */
  | "no-place"
  | "interrupted";

export class RemoteError extends RoburError<RemoteErrorCode> {}
