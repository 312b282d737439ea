/** The files of a builder-web's data directory: every one is read, and its SHA-256 compared. */
import { type Stats, statSync } from "node:fs";
import { join, resolve, sep } from "node:path";
import { sha256Text } from "../../lib/sha256.ts";
import type { BuildId, Content, ContentSession, Sha256 } from "../api.ts";
import type { BuildFile } from "../builds/insert-build.ts";
import { StoreError } from "../store-error.ts";
import type { ArtifactRow } from "./builder-web-rows.ts";
import { isNotPermitted, notPermitted } from "./import-error.ts";
import { artifactPathFor } from "./names.ts";
import type { Tally } from "./report.ts";

/** Scripts are small; consoles of long builds are not. */
const LARGEST_TEXT = 1024 ** 3;

export interface FilesWork {
  /** The data directory, absolute. */
  readonly directory: string;
  readonly tally: Tally;
}

/** The files of a build, verified; those that can't be had are reported, and have no content. */
export async function importArtifacts(
  work: FilesWork,
  session: ContentSession,
  id: BuildId,
  rows: readonly ArtifactRow[],
): Promise<BuildFile[]> {
  const { tally } = work;
  const byPath = new Map<string, BuildFile>();
  for (const row of rows) {
    const path = artifactPathFor(row.filepath);
    if (path === undefined || row.sha256.length !== 32 || row.size < 0) {
      const what = path === undefined ? "its path leads out of the build" : "its hash or size can't be one";
      tally.damage(`build ${id}: file ${JSON.stringify(row.filepath)} is left out: ${what}`);
      continue;
    }
    const sha256 = sha256Text(row.sha256);
    const known = byPath.get(path);
    if (known !== undefined) {
      if (known.sha256 !== sha256)
        tally.damage(`build ${id}: there are two files ${path}, the second is left out`);
      continue;
    }
    const where = row.localpath ?? join("_artifacts", sha256.slice(0, 2), sha256);
    const content = await importFile(work, session, `build ${id}: ${path}`, where, sha256, row.size);
    byPath.set(path, { path, sha256, size: row.size, content });
  }
  return [...byPath.values()];
}

/** The bytes of a file, verified; undefined where they can't be had, which is reported. */
async function importFile(
  { directory, tally }: FilesWork,
  session: ContentSession,
  what: string,
  where: string,
  sha256: Sha256,
  size: number,
): Promise<Content | undefined> {
  const there = session.find(sha256);
  if (there !== undefined) {
    if (there.size === size) return there;
    tally.damage(`${what} is said to have ${size} bytes, and has ${there.size}`);
    return undefined;
  }
  const path = within(directory, where);
  const stat = path === undefined ? undefined : fileAt(path, directory);
  if (path === undefined || stat === undefined) {
    tally.damage(`${what} (${sha256}) is missing`);
    return undefined;
  }
  if (stat.size !== size) {
    tally.damage(`${what} (${sha256}) has ${stat.size} bytes instead of ${size}`);
    return undefined;
  }
  try {
    const content = await session.put(Bun.file(path).stream(), { sha256, size });
    tally.bytes += size;
    return content;
  } catch (error) {
    if (isNotPermitted(error)) throw notPermitted(path, directory, error);
    if (!isDamage(error)) throw error;
    tally.damage(`${what} (${sha256}) is damaged: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

/** The file's own trouble, not ours: wrong bytes, or a disk that doesn't give them. */
function isDamage(error: unknown): boolean {
  if (error instanceof StoreError) return error.code === "wrong-hash" || error.code === "wrong-size";
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "EIO" || code === "ENOENT" || code === "EISDIR";
}

/** A build's script or console; undefined where it can't be had, which is reported. */
export async function importText(
  { directory, tally }: FilesWork,
  session: ContentSession,
  id: BuildId,
  where: string,
  name: string,
): Promise<Content | undefined> {
  const path = within(directory, where);
  const stat = path === undefined ? undefined : fileAt(path, directory);
  if (path === undefined || stat === undefined || stat.size > LARGEST_TEXT) {
    tally.damage(`build ${id}: ${name} is ${stat === undefined ? "missing" : "too large"}`);
    return undefined;
  }
  try {
    const content = await session.put(Bun.file(path).stream());
    tally.bytes += content.size;
    return content;
  } catch (error) {
    if (isNotPermitted(error)) throw notPermitted(path, directory, error);
    if (!isDamage(error)) throw error;
    tally.damage(
      `build ${id}: ${name} can't be read: ${error instanceof Error ? error.message : String(error)}`,
    );
    return undefined;
  }
}

/** A path within the data directory; undefined for one that leads out of it. */
function within(directory: string, relative: string): string | undefined {
  const path = resolve(directory, relative);
  return path.startsWith(directory + sep) ? path : undefined;
}

/** Undefined for what isn't there, or is no file. Throws ImportError. */
function fileAt(path: string, directory: string): Stats | undefined {
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat?.isFile() === true ? stat : undefined;
  } catch (error) {
    if (isNotPermitted(error)) throw notPermitted(path, directory, error);
    // A file where a directory should be, a loop of links, a disk that doesn't answer.
    if (error instanceof Error && "code" in error) return undefined;
    throw error;
  }
}
