/** Where the build that is to be made again comes from: the server, another server's page of it, or a file. */
import { statSync } from "node:fs";
import { type OriginalBuild, readOriginal } from "../builds/reproduce/original-build.ts";
import { type RecordedSettings, recordedSettings } from "../builds/reproduce/recorded-settings.ts";
import type { SpooledFiles } from "../builds/reproduce/spooled-files.ts";
import { RoburError, UsageError } from "../lib/errors.ts";
import { DerError } from "../protocols/der/der-error.ts";
import { resolveBuild } from "./client/builds.ts";
import type { Client } from "./client/connect.ts";

class OriginalRecordError extends RoburError<"missing" | "unreachable" | "bad-record" | "interrupted"> {}

export interface FoundOriginal {
  readonly original: OriginalBuild;
  /** Where it is from, unless it is this server's. */
  readonly source: string | undefined;
  /** What this server says that the build was allowed; undefined for others' builds. */
  readonly settings: RecordedSettings | undefined;
}

interface OpenRecord extends Omit<FoundOriginal, "original"> {
  readonly stream: ReadableStream<Uint8Array>;
}

/** Finds and reads it. Throws UsageError, ClientError, OriginalRecordError, OriginalError. */
export async function findOriginal(
  client: Client,
  target: string,
  spool: SpooledFiles,
  signal: AbortSignal,
): Promise<FoundOriginal> {
  try {
    const { stream, source, settings } = await openRecord(client, target, signal);
    return { original: await readOriginal(stream, spool), source, settings };
  } catch (error) {
    if (signal.aborted) {
      throw new OriginalRecordError("interrupted", "interrupted: nothing was concluded", { cause: error });
    }
    if (!(error instanceof DerError)) throw error;
    throw new OriginalRecordError("bad-record", `${target} is no record of a build`, {
      why: error.message,
      hint: "what builder-server stores as full, or robur build export --format exec gives",
      cause: error,
    });
  }
}

async function openRecord(client: Client, target: string, signal: AbortSignal): Promise<OpenRecord> {
  if (/^https?:\/\//.test(target)) return remoteRecord(target, signal);
  // A directory may well be called like a job.
  if (statSync(target, { throwIfNoEntry: false })?.isFile() === true) {
    return { stream: Bun.file(target).stream(), source: `file ${target}`, settings: undefined };
  }
  const { build } = await resolveBuild(client, target);
  const page = `/job/${build.job}/build/${build.id}`;
  const statements = await client.request(`${page}/attestations`, { signal });
  const settings = recordedSettings(await statements.text());
  const response = await client.request(`${page}/exec`, { signal });
  return { stream: response.body!, source: undefined, settings };
}

/** The record that belongs to a build's page, or to the newest build of a job's. */
async function remoteRecord(text: string, signal: AbortSignal): Promise<OpenRecord> {
  const url = new URL(text);
  const [, job, build = "latest"] =
    /^(.*\/job\/[^/]+)(?:\/(?:build\/(?:([^/]+).*)?)?)?$/.exec(url.pathname) ?? [];
  if (job === undefined) {
    throw new UsageError(`${text} is no build's page`, {
      hint: "https://builds.robur.coop/job/NAME/build/latest",
    });
  }
  const address = `${url.origin}${job}/build/${build}/exec${build === "latest" ? url.search : ""}`;
  let response: Response;
  try {
    response = await fetch(address, { signal });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new OriginalRecordError("unreachable", `can't reach ${url.origin}`, { why, cause: error });
  }
  if (response.ok && response.body !== null) {
    return { stream: response.body, source: `${url.origin}${job}`, settings: undefined };
  }
  await response.body?.cancel();
  throw new OriginalRecordError("missing", `${url.origin} doesn't have this build`, {
    why: `it answers ${response.status} to ${address}`,
  });
}
