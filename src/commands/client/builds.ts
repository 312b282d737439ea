/** What the server has of jobs and builds, and which of them a word on the command line means. */
import { UsageError } from "../../lib/errors.ts";
import {
  type Build,
  type BuildSummary,
  type Job,
  type JobOverview,
  type Neighbours,
  type OutputGroup,
  type Reproductions,
  parseBuildId,
  parseJobName,
} from "../../store/api.ts";
import type { StatementView } from "../../trust/listing.ts";
import type { Verdict } from "../../trust/reproductions.ts";
import { ClientError } from "./client-error.ts";
import type { Client } from "./connect.ts";

/** A build as the server shows one. */
export interface BuildAnswer {
  readonly build: Build;
  readonly neighbours: Neighbours;
  readonly reproductions: Reproductions;
  /** The newest first. */
  readonly rebuilds: readonly RebuildAnswer[];
  readonly statements: readonly StatementView[];
}

export interface RebuildAnswer {
  readonly verdict: Verdict;
  readonly finishedAt: number;
  readonly summary?: string;
}

export interface JobAnswer {
  readonly job: Job;
  readonly latest: readonly BuildSummary[];
  readonly outputs: readonly OutputGroup[];
}

export interface BuildsQuery {
  readonly platform?: string | undefined;
  readonly kind?: "all" | "successful" | "failed";
  readonly limit?: number;
}

async function get<T>(client: Client, path: string): Promise<T> {
  return (await (await client.request(path)).json()) as T;
}

/** All jobs, by section and name. */
export async function listJobs(client: Client): Promise<readonly JobOverview[]> {
  return (await get<{ jobs: JobOverview[] }>(client, "/api/v1/jobs")).jobs;
}

export function showJob(client: Client, job: string): Promise<JobAnswer> {
  return get(client, `/api/v1/jobs/${encodeURIComponent(job)}`);
}

/** Newest first. Throws ClientError for a job that isn't there. */
export async function listBuilds(
  client: Client,
  job: string,
  { platform, kind = "all", limit = 20 }: BuildsQuery = {},
): Promise<readonly BuildSummary[]> {
  const query = new URLSearchParams({
    kind,
    limit: String(limit),
    ...(platform === undefined ? {} : { platform }),
  });
  const path = `/api/v1/jobs/${encodeURIComponent(job)}/builds?${query}`;
  return (await get<{ builds: BuildSummary[] }>(client, path)).builds;
}

export function showBuild(client: Client, id: string): Promise<BuildAnswer> {
  return get(client, `/api/v1/builds/${encodeURIComponent(id)}`);
}

/** What names a build: its id or the beginning of one, or a job with or without one. Pure. */
export type BuildRef =
  | { readonly kind: "id"; readonly prefix: string }
  | { readonly kind: "job"; readonly job: string; readonly prefix: string | undefined };

/** `5a0c`, `hello`, `hello@latest`, `hello@5a0c`; `job:` before it is left out. Pure. Throws UsageError. */
export function parseBuildRef(text: string): BuildRef {
  const plain = text.startsWith("job:") ? text.slice("job:".length) : text;
  const at = plain.lastIndexOf("@");
  const job = at < 0 ? plain : plain.slice(0, at);
  const prefix = at < 0 ? "latest" : plain.slice(at + 1).toLowerCase();
  if (at < 0 && plain === text && parseBuildId(text) !== undefined)
    return { kind: "id", prefix: plain.toLowerCase() };
  if (parseJobName(job) === undefined) {
    throw new UsageError(`${text} is no job and no build`, {
      hint: "hello, hello@latest, or hello@5a0c31f2",
    });
  }
  if (prefix === "latest") return { kind: "job", job, prefix: undefined };
  if (/^[0-9a-f-]{4,36}$/.test(prefix)) return { kind: "job", job, prefix };
  throw new UsageError(`${text}: ${prefix} is no build's id`, {
    why: "behind @ stands latest, or four digits or more of a build's id",
  });
}

/** `hello:12`, as runs are called: the build that it became. Throws ClientError not-found. */
async function buildOfRun(client: Client, text: string): Promise<BuildAnswer | undefined> {
  const [, job, number] = /^(?:job:)?([^:]+):(\d{1,9})$/.exec(text) ?? [];
  if (job === undefined || parseJobName(job) === undefined) return undefined;
  const name = `${job}:${number}`;
  const run = await get<{ uuid: string | null; state: string }>(
    client,
    `/api/v1/runs/${encodeURIComponent(name)}`,
  );
  if (run.uuid !== null && (run.state === "finished" || run.state === "aborted")) {
    return showBuild(client, run.uuid);
  }
  throw new ClientError(3, "not-found", `${name} is no build`, {
    why: `it is ${run.state}`,
    hint: `robur build watch ${name}`,
  });
}

/** The build that is meant. Throws ClientError not-found, UsageError for an ambiguous one. */
export async function resolveBuild(client: Client, text: string, platform?: string): Promise<BuildAnswer> {
  const ofRun = await buildOfRun(client, text);
  if (ofRun !== undefined) return ofRun;
  const ref = parseBuildRef(text);
  if (ref.kind === "id") return showBuild(client, ref.prefix);
  if (ref.prefix !== undefined) return ofJob(await showBuild(client, ref.prefix), ref.job, text);
  try {
    const [newest] = await listBuilds(client, ref.job, { platform, kind: "successful", limit: 1 });
    if (newest !== undefined) return await showBuild(client, newest.id);
  } catch (error) {
    // A job's name wins over a beginning of an id that looks the same.
    const isId = /^[0-9a-f-]{4,36}$/i.test(text);
    if (!isId || !(error instanceof ClientError) || error.exitStatus !== 3) throw error;
    return showBuild(client, text);
  }
  throw new ClientError(
    3,
    "not-found",
    `job ${ref.job} has no good build${platform === undefined ? "" : ` on ${platform}`}`,
    {
      hint: `robur build ls ${ref.job}`,
    },
  );
}

function ofJob(answer: BuildAnswer, job: string, text: string): BuildAnswer {
  if (answer.build.job === job) return answer;
  throw new ClientError(3, "not-found", `there is no build ${text}`, {
    why: `${answer.build.id} is one of job ${answer.build.job}`,
  });
}
