/** What can go wrong with contents. What SQLite says of a full or damaged disk is a DatabaseError. */
import { RoburError } from "../lib/errors.ts";

export type StoreErrorCode =
  /** More bytes than whoever asked can take. */
  | "too-large"
  /** The bytes aren't those that were announced. */
  | "wrong-hash"
  | "wrong-size"
  /** A content's bytes aren't what they were when it was kept. */
  | "damaged"
  /** It was removed while it was read or written. */
  | "gone"
  /** Used after it was finished or disposed of. */
  | "closed"
  | "bad-range"
  | "bad-setting"
  /** A worker thread ended by itself. */
  | "worker-lost";

export class StoreError extends RoburError<StoreErrorCode> {}
