/** The paths of artifacts: parts of addresses, names in archives, files on somebody's disk. */

const LONGEST = 1024;

/** A path as it is kept, or why it can't be one. */
export type ArtifactPath =
  { readonly ok: true; readonly path: string } | { readonly ok: false; readonly why: string };

/**
 * A relative path in its shortest form: neither `.` nor empty segments. Refuses what could lead out of a directory,
 * directories themselves, and what can't be shown.
 */
export function artifactPath(text: string): ArtifactPath {
  if (Buffer.byteLength(text) > LONGEST) return refused("it is longer than 1 KiB");
  // oxlint-disable-next-line no-control-regex
  if (/[\0-\x1f\x7f-\x9f]/.test(text)) return refused("it has control characters");
  if (text.startsWith("/")) return refused("it is absolute");
  if (text.endsWith("/")) return refused("it names a directory");
  const segments = text.split("/").filter((segment) => segment !== "" && segment !== ".");
  if (segments.includes("..")) return refused("it leads out of its directory");
  return segments.length === 0 ? refused("it is empty") : { ok: true, path: segments.join("/") };
}

function refused(why: string): ArtifactPath {
  return { ok: false, why };
}

/** The last segment. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Whether a file is kept only as a part of its record: the job's README, and orb's hashes of installed files. */
export function isOnlyOfRecord(path: string): boolean {
  return baseName(path) === "README.md" || path.endsWith(".build-hashes");
}
