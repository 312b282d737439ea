/** From an address to a job and a build. */
import { type Build, type BuildSummary, type JobName, parseBuildId, parseJobName } from "../../store/api.ts";
import type { ServerContext } from "../context.ts";
import { HttpError, notFound } from "../http/http-error.ts";

type Context = Pick<ServerContext, "builds">;

/** Throws HttpError 404: what can't be a job's name is no job's. */
export function jobIn(text: unknown): JobName {
  const name = typeof text === "string" ? parseJobName(text) : undefined;
  if (name === undefined) throw notFound("such job");
  return name;
}

/** Throws HttpError 404. */
export function existingJob({ builds }: Context, text: unknown) {
  const job = builds.job(jobIn(text));
  if (job === undefined) throw notFound(`job ${String(text)}`);
  return job;
}

/** By the whole UUID, in either case. Throws HttpError 404. */
export function existingBuild({ builds }: Context, text: unknown): Build {
  const id = typeof text === "string" ? parseBuildId(text) : undefined;
  const build = id === undefined ? undefined : builds.build(id);
  if (build === undefined) throw notFound("such build");
  return build;
}

/** By the UUID or any beginning of it that only one build has. Throws HttpError 404, 409. */
export function buildByPrefix({ builds }: Context, text: string): Build {
  if (parseBuildId(text) !== undefined) return existingBuild({ builds }, text);
  const found = /^[0-9a-fA-F-]{4,36}$/.test(text) ? builds.resolve(text.toLowerCase()) : [];
  const [only, ...more] = found;
  if (only === undefined) throw notFound(`build ${text}`);
  if (more.length > 0) {
    throw new HttpError(409, "ambiguous", `${found.length} builds begin with ${text}`, {
      why: found
        .slice(0, 5)
        .map(({ id, job }) => `${id} of ${job}`)
        .join(", "),
      hint: "more digits of the one that is meant",
    });
  }
  return existingBuild({ builds }, only.id);
}

/** Whether the address names the build's own job. The original takes any; here others are sent to the right one. */
export function isOfJob(build: BuildSummary, job: unknown): boolean {
  return build.job === job;
}
