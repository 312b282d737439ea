import { RoburError } from "../lib/errors.ts";

/** Everything that can be wrong with what should be opam's. */
export type OpamErrorCode =
  /** Bytes that begin no token, or a number beyond 63 bits. */
  | "bad-token"
  | "bad-escape"
  | "unterminated-string"
  | "unterminated-comment"
  /** Sound tokens in an order that is no opam file. */
  | "bad-syntax"
  /** Brackets nested more deeply than any opam file has them. */
  | "too-deep"
  | "too-large"
  /** A sound opam file, but a field has not the form that it must have. */
  | "bad-field"
  /** A text that is no version constraint. */
  | "bad-constraint";

/** An opam file, a switch export or a constraint can't be read. `message` says where; the file's name is the caller's to add. */
export class OpamError extends RoburError<OpamErrorCode> {}
