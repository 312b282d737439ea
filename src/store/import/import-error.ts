/** Why an import can't begin, or can't go on. */
import { RoburError } from "../../lib/errors.ts";
import { lookUpUser } from "../../linux/users.ts";

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

/**
 * What the process that imports may not read: the server's, where one runs, which is seldom root's. `directory`: all
 * that it has to read.
 */
export function notPermitted(path: string, directory: string, cause: unknown): ImportError {
  const uid = String(process.getuid?.() ?? "");
  const user = lookUpUser(uid)?.name ?? uid;
  return new ImportError("not-permitted", `${path} can't be read by the user ${user}`, {
    why: cause instanceof Error ? cause.message : String(cause),
    hint: `sudo setfacl -R -m u:${user}:rX ${directory}, or import a copy that ${user} may read`,
    cause,
  });
}

export function isNotPermitted(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "EACCES" || error.code === "EPERM");
}
