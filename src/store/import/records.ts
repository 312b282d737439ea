/**
 * Records of builds: those that builder's server kept where it couldn't upload them (DIR/JOB/UUID/full), and those of
 * another server of builds. Each goes the way of every upload, which stores all of it or nothing, and knows a build
 * that is there already.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Announced, type BuildId, type BuildStore, type JobName, parseBuildId } from "../api.ts";
import { announcedMain, recordPath, remoteBuilds, remoteJobs } from "../remotes/builder-web-client.ts";
import type { RemoteAddress } from "../remotes/remote-address.ts";
import { RemoteError } from "../remotes/remote-error.ts";
import { askRemote, streamOf } from "../remotes/remote-request.ts";
import { ImportError, isNotPermitted, notPermitted } from "./import-error.ts";
import { type ImportOptions, type ImportSummary, Tally } from "./report.ts";

export interface RecordImport extends ImportOptions {
  readonly builds: BuildStore;
  /** Whose name the builds bear. */
  readonly uploadedBy: string;
}

/** The largest record of another server that is taken. */
const LARGEST_RECORD = 16 * 1024 ** 3;

/** A record file, or all of a builder's data directory. Throws ImportError. */
export async function importRecords(path: string, options: RecordImport): Promise<ImportSummary> {
  const tally = new Tally(options.report);
  try {
    const files = findRecords(path);
    for (const [i, file] of files.entries()) {
      refuseAborted(options, i, files.length);
      tally.progress(i, files.length, "records");
      await takeFile(file, options, tally);
    }
    tally.progress(files.length, files.length, "records");
  } catch (error) {
    if (!isNotPermitted(error)) throw error;
    throw notPermitted((error as NodeJS.ErrnoException).path ?? path, path, error);
  }
  return tally.summary();
}

function findRecords(path: string): string[] {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new ImportError("missing", `there is no ${path}`);
  if (stat.isFile()) return [path];
  const folders = (directory: string) =>
    readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const found = folders(path).flatMap((job) =>
    folders(join(path, job.name))
      .filter((build) => parseBuildId(build.name) !== undefined)
      .map((build) => join(path, job.name, build.name, "full"))
      .filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile() === true),
  );
  if (found.length > 0) return found.sort();
  throw new ImportError("missing", `${path} holds no records of builds`, {
    why: "builder's server keeps them as DIRECTORY/JOB/UUID/full",
    hint: "robur import builder /var/lib/builder",
  });
}

async function takeFile(file: string, options: RecordImport, tally: Tally): Promise<void> {
  const { builds, uploadedBy } = options;
  const outcome = await builds.upload(Bun.file(file).stream(), { mayUpload: () => true, uploadedBy });
  if (outcome.ok) {
    tally.builds += 1;
    tally.bytes += Bun.file(file).size;
  } else if (outcome.refusal.code === "exists") tally.alreadyThere += 1;
  else tally.damage(`${file}: ${outcome.refusal.message}`);
}

export interface RemoteImport extends RecordImport {
  readonly remote: RemoteAddress;
  /** Undefined: all. */
  readonly jobs: readonly JobName[] | undefined;
  /** At most so many builds of each job, the newest. */
  readonly limit: number | undefined;
}

/** One build for each output, and the failed ones. Throws RemoteError where the server itself can't be used. */
export async function importRemote(options: RemoteImport): Promise<ImportSummary> {
  const { remote, signal, limit } = options;
  const tally = new Tally(options.report);
  const jobs = options.jobs ?? (await allJobs(remote, tally, signal));
  for (const [i, job] of jobs.entries()) {
    const listed = await remoteBuilds(remote, job, { failed: true, signal });
    // Oldest first: what an upload says of its job is then that of the newest.
    const wanted = listed.slice(0, limit).toReversed();
    for (const [k, { id, main }] of wanted.entries()) {
      refuseAborted(options, i, jobs.length);
      tally.progress(k, wanted.length, `builds of ${job} (job ${i + 1} of ${jobs.length})`);
      if (options.builds.build(id) !== undefined) tally.alreadyThere += 1;
      else await takeRemote(options, job, { id, main: main?.sha256 }, tally);
    }
    tally.jobs += 1;
  }
  return tally.summary();
}

async function allJobs(
  remote: RemoteAddress,
  tally: Tally,
  signal: AbortSignal | undefined,
): Promise<readonly JobName[]> {
  const { jobs, others } = await remoteJobs(remote, signal);
  for (const name of others)
    tally.note(`job ${JSON.stringify(name ?? null)} is left out: its name can't be one here`);
  return jobs;
}

/** One build of another server, of which nothing is kept where it isn't what is announced. Throws RemoteError. */
export async function pullBuild(
  options: RecordImport & { readonly remote: RemoteAddress },
  job: JobName,
  id: BuildId,
): Promise<ImportSummary> {
  const { remote, builds, report, signal } = options;
  const tally = new Tally(report);
  if (builds.build(id) !== undefined) tally.alreadyThere += 1;
  else {
    const main = await announcedMain(remote, job, id, signal);
    await takeRemote(options, job, { id, main: main?.sha256 }, tally);
  }
  return tally.summary();
}

async function takeRemote(
  { remote, builds, uploadedBy, signal }: RecordImport & { readonly remote: RemoteAddress },
  job: JobName,
  announced: Announced,
  tally: Tally,
): Promise<void> {
  const what = `build ${announced.id} of ${job}`;
  try {
    const response = await askRemote(remote, recordPath(job, announced.id), { signal });
    let size = 0;
    const counted = streamOf(response, LARGEST_RECORD).pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform(piece, controller) {
          size += piece.length;
          controller.enqueue(piece);
        },
      }),
    );
    // Another server may say what it likes, but only of the job that was asked for.
    const mayUpload = (name: JobName) => name === job;
    const outcome = await builds.upload(counted, { mayUpload, uploadedBy, announced });
    if (outcome.ok) {
      tally.builds += 1;
      tally.bytes += size;
    } else if (outcome.refusal.code === "exists") tally.alreadyThere += 1;
    else tally.damage(`${what}: ${outcome.refusal.message}`);
  } catch (error) {
    // One build that is missing or broken there doesn't end it; a server that is gone does.
    if (
      !(error instanceof RemoteError) ||
      !["missing", "truncated", "too-large", "refused"].includes(error.code)
    )
      throw error;
    tally.damage(`${what}: ${error.message}${error.why === undefined ? "" : ` (${error.why})`}`);
  }
}

function refuseAborted({ signal }: ImportOptions, done: number, total: number): void {
  if (signal?.aborted !== true) return;
  throw new ImportError("interrupted", `the import was interrupted after ${done} of ${total}`, {
    hint: "the same command goes on from there",
  });
}
