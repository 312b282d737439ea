/**
 * A builder-web's data directory becomes jobs, builds and users here. Every file is read and its SHA-256 compared; one
 * that is missing or damaged is reported, and its row kept. Each build comes in one transaction and is known by its
 * UUID, so an import that was interrupted is begun again and goes on: nothing comes twice.
 */
import type { Database } from "bun:sqlite";
import { resolve } from "node:path";
import { sha256Text } from "../../lib/sha256.ts";
import { fromDatabaseResult } from "../../protocols/builder/results.ts";
import {
  type BuildId,
  type BuildResult,
  type ContentSession,
  type ContentStore,
  type JobName,
  parseBuildId,
} from "../api.ts";
import { readNotes } from "../builds/build-notes.ts";
import { type BuildFile, inputId, insertBuild, mainBinary } from "../builds/insert-build.ts";
import { describeFiles } from "../builds/job-tags.ts";
import { importArtifacts, importText } from "./builder-web-files.ts";
import {
  type ArtifactRow,
  type BuildRow,
  type BuilderWebDatabase,
  openBuilderWeb,
} from "./builder-web-rows.ts";
import { ImportError } from "./import-error.ts";
import { importedRecord } from "./imported-record.ts";
import { importedState, insertJob, mendBuild } from "./insert-job.ts";
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

interface Work {
  readonly room: ImportRoom;
  readonly options: ImportOptions;
  readonly source: BuilderWebDatabase;
  /** Absolute. */
  readonly directory: string;
  readonly tally: Tally;
}

/** A job as it is here. */
interface OurJob {
  readonly name: JobName;
  readonly readme: string | null;
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

function importJobs({ room, source, tally, options }: Work): ReadonlyMap<number, OurJob> {
  const jobs = new Map<number, OurJob>();
  for (const { id, name, ...tags } of source.jobs()) {
    const ours = jobNameFor(name);
    if (ours !== name) tally.note(`job ${JSON.stringify(name)} is now ${ours}: its name can't be one here`);
    if (insertJob(room.db, { name: ours, ...tags }, options.now())) tally.jobs += 1;
    jobs.set(id, { name: ours, readme: tags.readme });
  }
  return jobs;
}

async function importBuild(work: Work, row: BuildRow, jobs: ReadonlyMap<number, OurJob>): Promise<void> {
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
  const state = importedState(room.db, id);
  if (state !== undefined) tally.alreadyThere += 1;
  if (state?.isWhole === true) return;
  await using session = room.contents.session();
  const rows = source.artifacts(row.id);
  const found = await findParts(work, session, id, row, rows, job);
  if (state !== undefined) {
    const mended = mendBuild(room.db, id, found);
    for (const part of mended) tally.note(`build ${id}: ${part} is there now`);
    return;
  }
  const { platform, artifacts, script, console } = found;
  if (platform !== row.platform) {
    tally.note(`build ${id}: platform ${JSON.stringify(row.platform)} is now ${platform}`);
  }
  checkMain(work, id, row, rows, artifacts);
  checkInputs(work, id, row, artifacts);
  insertBuild(room.db, {
    ...found,
    ...{
      id,
      job: job.name,
      worker: undefined,
      tags: {},
      uploadedBy: row.username,
      receivedAt: options.now(),
    },
    script: script ?? (await session.put(new Uint8Array(0))),
    console: console ?? (await session.put(new Uint8Array(0))),
  });
  tally.builds += 1;
}

/** All that there is of a build, and what is said by it. What is lost is reported. */
async function findParts(
  work: Work,
  session: ContentSession,
  id: BuildId,
  row: BuildRow,
  rows: readonly ArtifactRow[],
  job: OurJob,
) {
  const { contents } = work.room;
  const artifacts = await importArtifacts(work, session, id, rows);
  const main = mainBinary(artifacts)?.content;
  const script = await importText(work, session, id, row.script, "script.txt");
  const console = await importText(work, session, id, row.console, "console.txt");
  const parts = {
    ...{ artifacts, script, console, ...timesOf(work, id, row), result: resultOf(work, id, row) },
    platform: platformFor(row.platform),
    solo5: main === undefined ? undefined : await readNotes(contents, main),
    packages: (await describeFiles(contents, artifacts.flatMap(kept))).packages,
  };
  const texts = script === undefined || console === undefined ? undefined : { script, console };
  const about = { ...parts, id, job: job.name, readme: job.readme };
  const record = texts && (await importedRecord(contents, session, { ...about, ...texts }));
  return { ...parts, record };
}

/** The last millisecond of the year 9999: beyond, no record can tell it. */
const LATEST = 253_402_300_799_999;

function timesOf({ tally }: Work, id: BuildId, { startedAt, finishedAt }: BuildRow) {
  const isTime = (time: number) => Number.isFinite(time) && time >= 0 && time <= LATEST;
  if (!isTime(startedAt)) {
    tally.damage(`build ${id}: nobody knows when it was, ${startedAt} is no time`);
    return { startedAt: 0, finishedAt: 0 };
  }
  return { startedAt, finishedAt: isTime(finishedAt) ? Math.max(startedAt, finishedAt) : startedAt };
}

function resultOf({ tally }: Work, id: BuildId, { resultCode, resultMessage }: BuildRow): BuildResult {
  const result = fromDatabaseResult({ code: resultCode, message: resultMessage });
  if (result !== undefined) return result;
  tally.damage(`build ${id}: nobody knows what the result ${resultCode} means`);
  return { kind: "message", text: `unknown result ${resultCode}` };
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
  if (was === undefined) return tally.note(`build ${id}: it had no input id, and has that of its inputs now`);
  tally.damage(`build ${id}: its input id was ${was}, that of its inputs is ${is ?? "none"}`);
}

const kept = ({ path, content }: BuildFile) => (content === undefined ? [] : [{ path, content }]);
