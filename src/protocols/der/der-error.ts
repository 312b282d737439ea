import { RoburError } from "../../lib/errors.ts";

export type DerErrorCode =
  /** The bytes end within a value. */
  | "truncated"
  /** There are bytes behind the last value. */
  | "trailing-bytes"
  /** Another kind of value stands there, or one that the grammar doesn't know. */
  | "wrong-tag"
  /** A length that isn't written in the shortest way, or that reaches beyond what it lies in. */
  | "bad-length"
  /** The right kind of value, with contents that it can't have. */
  | "bad-value"
  | "too-deep"
  /** Larger than whoever reads it allows. */
  | "too-large";

/** Bytes that aren't the DER that was expected, or a value that can't be written as such. */
export class DerError extends RoburError<DerErrorCode> {
  /** What is wrong, without the place. */
  readonly reason: string;
  /** Bytes before the place; undefined where something was to be written. */
  readonly offset: number | undefined;

  constructor(code: DerErrorCode, message: string, offset?: number) {
    super(code, offset === undefined ? message : `${message} (at byte ${offset})`);
    this.reason = message;
    this.offset = offset;
  }
}
