/**
 * What is asked of another server of builds, by the addresses that every builder-web has, old or new, and robur as
 * well. Only what the answers are checked for is taken from them.
 */
import { parseSha256 } from "../../lib/sha256.ts";
import {
  type BuildId,
  type JobName,
  type Platform,
  type Sha256,
  parseBuildId,
  parseJobName,
} from "../api.ts";
import type { RemoteAddress } from "./remote-address.ts";
import { RemoteError } from "./remote-error.ts";
import { askRemote, jsonFrom } from "./remote-request.ts";

const JSON_ACCEPT = { accept: "application/json" };
/** A list of all jobs or of a job's builds for some decades. */
const LIST_LIMIT = 64 * 1024 ** 2;
const BUILD_LIMIT = 1024 ** 2;

export interface RemoteMain {
  readonly filename: string;
  readonly sha256: Sha256;
  readonly size: number;
}

export interface RemoteBuild {
  readonly id: BuildId;
  readonly main: RemoteMain | undefined;
}

export interface RemoteJobs {
  readonly jobs: readonly JobName[];
  /** What is listed as one, and can't be one here. */
  readonly others: readonly unknown[];
}

/** All jobs, also those that rest. The original's list was one of names once, and is one of objects today. */
export async function remoteJobs(remote: RemoteAddress, signal?: AbortSignal): Promise<RemoteJobs> {
  const json = await list(remote, "/all-builds", signal);
  const listed = (json as { jobs?: unknown }).jobs;
  if (!Array.isArray(listed)) throw strange(remote, "/all-builds", "it lists no jobs");
  const jobs = new Set<JobName>();
  const others: unknown[] = [];
  for (const job of listed as readonly unknown[]) {
    const name = typeof job === "string" ? job : (job as { name?: unknown } | null)?.name;
    const good = typeof name === "string" ? parseJobName(name) : undefined;
    if (good === undefined) others.push(name);
    else jobs.add(good);
  }
  return { jobs: [...jobs], others };
}

/** One build for each output, newest first, and the failed ones among them where they are wanted. */
export async function remoteBuilds(
  remote: RemoteAddress,
  job: JobName,
  { failed, signal }: { readonly failed: boolean; readonly signal?: AbortSignal | undefined },
): Promise<RemoteBuild[]> {
  const path = `/job/${encodeURIComponent(job)}${failed ? "/failed" : ""}`;
  const { builds } = (await list(remote, path, signal)) as { builds?: unknown };
  if (!Array.isArray(builds)) throw strange(remote, path, "it lists no builds");
  return builds.flatMap((build: unknown) => readBuild(build) ?? []);
}

function readBuild(value: unknown): RemoteBuild | undefined {
  const { uuid, main_binary: main } = (value ?? {}) as { uuid?: unknown; main_binary?: unknown };
  const id = typeof uuid === "string" ? parseBuildId(uuid) : undefined;
  if (id === undefined) return undefined;
  const { filename, sha256, size } = (main ?? {}) as Record<string, unknown>;
  const hash = typeof sha256 === "string" ? parseSha256(sha256) : undefined;
  const isWhole =
    hash !== undefined && typeof filename === "string" && Number.isSafeInteger(size) && Number(size) >= 0;
  return { id, main: isWhole ? { filename, sha256: hash, size: Number(size) } : undefined };
}

export interface LatestBuild {
  readonly id: BuildId;
  readonly platform: string | undefined;
}

/** The newest good build. Throws RemoteError missing. */
export async function latestBuild(
  remote: RemoteAddress,
  job: JobName,
  platform: Platform | undefined,
): Promise<LatestBuild> {
  const query = platform === undefined ? "" : `?${new URLSearchParams({ platform })}`;
  const path = `/job/${encodeURIComponent(job)}/build/latest${query}`;
  const response = await askRemote(remote, path, { headers: JSON_ACCEPT });
  // The first builder-webs had no JSON here; the address says it as well.
  const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
  const [, inPath = ""] = /\/build\/([0-9a-f-]{36})\/?$/i.exec(new URL(response.url).pathname) ?? [];
  if (!isJson) await response.body?.cancel();
  const json = isJson ? ((await jsonFrom(response, BUILD_LIMIT)) as Record<string, unknown> | null) : {};
  const uuid = json?.["uuid"];
  const id = parseBuildId(typeof uuid === "string" ? uuid : inPath);
  if (id === undefined) throw strange(remote, path, "it doesn't say which build that is");
  const on = json?.["platform"];
  return { id, platform: typeof on === "string" ? on : undefined };
}

/**
 * What the server says of a build's main binary: in the job's list, or, for a build whose output came again and is in
 * it once, by the file's own headers. Undefined where it has none. Throws RemoteError where nothing is announced.
 */
export async function announcedMain(
  remote: RemoteAddress,
  job: JobName,
  id: BuildId,
  signal?: AbortSignal,
): Promise<AnnouncedMain | undefined> {
  const builds = await remoteBuilds(remote, job, { failed: true, signal });
  const listed = builds.find((build) => build.id === id);
  if (listed !== undefined) return listed.main;
  try {
    return await mainAsServed(remote, mainBinaryPath(job, id), signal);
  } catch (error) {
    if (error instanceof RemoteError && error.code === "missing") return undefined;
    throw error;
  }
}

export interface AnnouncedMain extends Omit<RemoteMain, "size"> {
  readonly size: number | undefined;
}

async function mainAsServed(
  remote: RemoteAddress,
  path: string,
  signal: AbortSignal | undefined,
): Promise<AnnouncedMain> {
  const response = await askRemote(remote, path, { signal });
  const sha256 = sha256InEtag(response.headers.get("etag"));
  const length = Number(response.headers.get("content-length") ?? Number.NaN);
  await response.body?.cancel();
  if (sha256 === undefined) {
    throw new RemoteError("bad-answer", `${remote.origin} announces no SHA-256 of this file`, {
      why: "what can't be verified isn't fetched",
    });
  }
  const filename = new URL(response.url).pathname.split("/").at(-1) ?? "";
  return {
    ...{ filename: decoded(filename), sha256 },
    size: Number.isSafeInteger(length) ? length : undefined,
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Whoever asks for the name sees that it is none.
    return text;
  }
}

/** The build that an id's beginning means, of those that the job's list has. Throws RemoteError. */
export async function remoteBuildBy(remote: RemoteAddress, job: JobName, prefix: string): Promise<BuildId> {
  const whole = parseBuildId(prefix);
  if (whole !== undefined) return whole;
  const builds = await remoteBuilds(remote, job, { failed: true });
  const found = builds.filter(({ id }) => id.startsWith(prefix));
  if (found.length === 1) return found[0]!.id;
  throw new RemoteError(
    "missing",
    `${remote.origin} lists ${found.length} builds of ${job} that begin with ${prefix}`,
    {
      hint: "the whole id",
    },
  );
}

/** Where a build's main binary is asked for; redirects lead to the file. */
export const mainBinaryPath = (job: JobName, id: BuildId) =>
  `/job/${encodeURIComponent(job)}/build/${id}/main-binary`;

/** Where a whole build is, as a record. */
export const recordPath = (job: JobName, id: BuildId) => `/job/${encodeURIComponent(job)}/build/${id}/exec`;

/** The SHA-256 in an ETag of the original: Base64 of it, or hexadecimal digits, with or without quotes. Pure. */
export function sha256InEtag(etag: string | null): Sha256 | undefined {
  const text = (etag ?? "").replace(/^W\//, "").replace(/^"(.*)"$/, "$1");
  const hex = parseSha256(text);
  if (hex !== undefined) return hex;
  if (!/^[A-Za-z0-9+/]{43}=$/.test(text)) return undefined;
  return parseSha256(Buffer.from(text, "base64").toString("hex"));
}

async function list(remote: RemoteAddress, path: string, signal: AbortSignal | undefined): Promise<object> {
  const response = await askRemote(remote, path, { headers: JSON_ACCEPT, signal });
  const json = await jsonFrom(response, LIST_LIMIT);
  if (typeof json === "object" && json !== null) return json;
  throw strange(remote, path, "it isn't a list");
}

function strange({ origin }: RemoteAddress, path: string, why: string): RemoteError {
  return new RemoteError("bad-answer", `${origin} answers strangely to ${path}`, { why });
}
