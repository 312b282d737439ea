/** Why an import can't begin, or can't go on. */
import { RoburError } from "../../lib/errors.ts";

export type ImportErrorCode =
  /** There is nothing of the kind at that place. */
  | "missing"
  /** It is something else. */
  | "not-builder-web"
  /** Of a version that this importer doesn't read. */
  | "old-schema"
  | "unreadable"
  | "not-permitted"
  /** Another import runs. */
  | "busy"
  | "interrupted";

export class ImportError extends RoburError<ImportErrorCode> {}
