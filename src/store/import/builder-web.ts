/**
 * A builder-web's data directory becomes jobs, builds and users here. Every file is read and its SHA-256 compared; one
 * that is missing or damaged is reported, and its row kept. Each build comes in one transaction and is known by its
 * UUID, so an import that was interrupted is begun again and goes on: nothing comes twice.
 */
import type { Database } from "bun:sqlite";
import { type Stats, statSync } from "node:fs";
import { join, resolve, sep } from "node:path";
import { sha256Text } from "../../lib/sha256.ts";
import { fromDatabaseResult } from "../../protocols/builder/results.ts";
import {
  type BuildId,
  type BuildResult,
  type Content,
  type ContentSession,
  type ContentStore,
  type JobName,
  type Sha256,
  parseBuildId,
} from "../api.ts";
import { StoreError } from "../store-error.ts";
import {
  type ArtifactRow,
  type BuildRow,
  type BuilderWebDatabase,
  openBuilderWeb,
} from "./builder-web-rows.ts";
import { ImportError } from "./import-error.ts";
import { readNotes } from "../builds/build-notes.ts";
import { type BuildFile, inputId, insertBuild, mainBinary } from "../builds/insert-build.ts";
import { hasBuild, insertJob, lostArtifacts, mendArtifact } from "./insert-job.ts";
import { describeFiles } from "../builds/job-tags.ts";
import { artifactPathFor, jobNameFor, platformFor } from "./names.ts";
import { type ImportOptions, type ImportSummary, Tally } from "./report.ts";
import { importAccess, importUsers } from "./users.ts";

/** What an import works on. */
export interface ImportRoom {
  readonly db: Database;
  readonly contents: ContentStore;
  /** Where the copy of the other's database is made. */
  readonly dataDirectory: string;
}

/** Scripts are small; consoles of long builds are not. */
const LARGEST_TEXT = 1024 ** 3;

interface Work {
  readonly room: ImportRoom;
  readonly options: ImportOptions;
  readonly source: BuilderWebDatabase;
  /** Its real path. */
  readonly directory: string;
  readonly tally: Tally;
}

/** Throws ImportError (interrupted too), and DatabaseError for a full disk of ours. */
export async function importBuilderWeb(
  room: ImportRoom,
  directory: string,
  options: ImportOptions,
): Promise<ImportSummary> {
  using source = openBuilderWeb(directory, room.dataDirectory);
  const tally = new Tally(options.report);
  const work: Work = { room, options, source, directory: resolve(directory), tally };
  const users = importUsers(room.db, source.users(), tally, options.now());
  const jobs = importJobs(work);
  importAccess(room.db, source.access(), users, jobs);
  const ids = source.buildIds();
  for (const [i, id] of ids.entries()) {
    if (options.signal?.aborted === true) {
      throw new ImportError("interrupted", `the import was interrupted after ${i} of ${ids.length} builds`, {
        hint: "the same command goes on from there",
      });
    }
    tally.progress(i, ids.length, "builds");
    const row = source.build(id);
    if (row !== undefined) await importBuild(work, row, jobs);
  }
  tally.progress(ids.length, ids.length, "builds");
  return tally.summary();
}

function importJobs({ room, source, tally, options }: Work): ReadonlyMap<number, JobName> {
  const names = new Map<number, JobName>();
  for (const { id, name, ...tags } of source.jobs()) {
    const ours = jobNameFor(name);
    if (ours !== name) tally.note(`job ${JSON.stringify(name)} is now ${ours}: its name can't be one here`);
    if (insertJob(room.db, { name: ours, ...tags }, options.now())) tally.jobs += 1;
    names.set(id, ours);
  }
  return names;
}

async function importBuild(work: Work, row: BuildRow, jobs: ReadonlyMap<number, JobName>): Promise<void> {
  const { room, source, tally, options } = work;
  const id = parseBuildId(row.uuid);
  const job = jobs.get(row.job);
  if (id === undefined || job === undefined) {
    return tally.damage(
      id === undefined
        ? `build ${JSON.stringify(row.uuid)} is left out: this is no UUID`
        : `build ${id} is left out: its job is missing`,
    );
  }
  if (hasBuild(room.db, id)) {
    tally.alreadyThere += 1;
    return mendBuild(work, id, row);
  }
  const platform = platformFor(row.platform);
  if (platform !== row.platform) {
    tally.note(`build ${id}: platform ${JSON.stringify(row.platform)} is now ${platform}`);
  }
  await using session = room.contents.session();
  const rows = source.artifacts(row.id);
  const artifacts = await importArtifacts(work, session, id, rows);
  checkMain(work, id, row, rows, artifacts);
  checkInputs(work, id, row, artifacts);
  const main = mainBinary(artifacts)?.content;
  insertBuild(room.db, {
    ...{ id, job, platform, artifacts, record: undefined, worker: undefined, tags: {} },
    startedAt: row.startedAt,
    finishedAt: Math.max(row.startedAt, row.finishedAt),
    result: resultOf(work, id, row),
    solo5: main === undefined ? undefined : await readNotes(room.contents, main),
    packages: (await describeFiles(room.contents, artifacts.flatMap(kept))).packages,
    script: await importText(work, session, id, row.script, "script.txt"),
    console: await importText(work, session, id, row.console, "console.txt"),
    uploadedBy: row.username,
    receivedAt: options.now(),
  });
  tally.builds += 1;
}

/** Looks once more for the files of a build that an earlier import didn't find: they may have been brought back. */
async function mendBuild(work: Work, id: BuildId, row: BuildRow): Promise<void> {
  const { room, source, tally } = work;
  const lost = lostArtifacts(room.db, id);
  if (lost.length === 0) return;
  await using session = room.contents.session();
  const artifacts = await importArtifacts(work, session, id, source.artifacts(row.id));
  for (const { path, content } of artifacts) {
    if (content === undefined || !lost.includes(path)) continue;
    mendArtifact(room.db, id, path, content);
    tally.note(`build ${id}: ${path} is there now`);
  }
}

function resultOf({ tally }: Work, id: BuildId, { resultCode, resultMessage }: BuildRow): BuildResult {
  const result = fromDatabaseResult({ code: resultCode, message: resultMessage });
  if (result !== undefined) return result;
  tally.damage(`build ${id}: nobody knows what the result ${resultCode} means`);
  return { kind: "message", text: `unknown result ${resultCode}` };
}

async function importArtifacts(
  work: Work,
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
  { directory, tally }: Work,
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
  const stat = path === undefined ? undefined : fileAt(path);
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
    if (!isDamage(error)) throw error;
    tally.damage(`${what} (${sha256}) is damaged: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

/** The file's own trouble, not ours: wrong bytes, or a disk that doesn't give them. */
function isDamage(error: unknown): boolean {
  if (error instanceof StoreError) return error.code === "wrong-hash" || error.code === "wrong-size";
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "EIO" || code === "EACCES" || code === "ENOENT" || code === "EISDIR";
}

async function importText(
  { directory, tally }: Work,
  session: ContentSession,
  id: BuildId,
  where: string,
  name: string,
): Promise<Content> {
  const path = within(directory, where);
  const stat = path === undefined ? undefined : fileAt(path);
  if (path === undefined || stat === undefined || stat.size > LARGEST_TEXT) {
    tally.damage(`build ${id}: ${name} is ${stat === undefined ? "missing" : "too large"}`);
    return session.put(new Uint8Array(0));
  }
  try {
    const content = await session.put(Bun.file(path).stream());
    tally.bytes += content.size;
    return content;
  } catch (error) {
    if (!isDamage(error)) throw error;
    tally.damage(
      `build ${id}: ${name} can't be read: ${error instanceof Error ? error.message : String(error)}`,
    );
    return session.put(new Uint8Array(0));
  }
}

/** Which file is the main binary is decided as for an upload; where that was another one, it is said. */
function checkMain(
  { tally }: Work,
  id: BuildId,
  { mainBinary: mainId }: BuildRow,
  rows: readonly ArtifactRow[],
  artifacts: readonly BuildFile[],
): void {
  const row = rows.find((artifact) => artifact.id === mainId);
  const was = row === undefined ? undefined : artifactPathFor(row.filepath);
  const is = mainBinary(artifacts)?.path;
  if (mainId !== null && row === undefined) tally.damage(`build ${id}: its main binary was no file of it`);
  else if (was !== is)
    tally.note(`build ${id}: its main binary was ${was ?? "none"} and is ${is ?? "none"} now`);
}

/** Says where the recorded input id isn't that of the recorded inputs, which is the one that is kept. */
function checkInputs(
  { tally }: Work,
  id: BuildId,
  { inputId: recorded }: BuildRow,
  artifacts: readonly BuildFile[],
): void {
  const was = recorded === null ? undefined : sha256Text(recorded);
  const is = inputId(artifacts);
  if (was === is) return;
  tally.damage(`build ${id}: its input id was ${was ?? "none"}, that of its inputs is ${is ?? "none"}`);
}

const kept = ({ path, content }: BuildFile) => (content === undefined ? [] : [{ path, content }]);

/** A path within the data directory; undefined for one that leads out of it. */
function within(directory: string, relative: string): string | undefined {
  const path = resolve(directory, relative);
  return path.startsWith(directory + sep) ? path : undefined;
}

function fileAt(path: string): Stats | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat?.isFile() === true ? stat : undefined;
}
