/** A job's page, and its JSON. */
import type { TailLine } from "../../../web/pages/console-text.tsx";
import { JobPage, type Shown } from "../../../web/pages/job.tsx";
import type { JobDefinition } from "../../builds/api.ts";
import type { Job } from "../../store/api.ts";
import { visitOf } from "../access/visit.ts";
import { consoleTail } from "../builds/console-lines.ts";
import { existingJob, jobIn } from "../builds/find.ts";
import { json, wantsJson } from "../builds/negotiate.ts";
import { originOf } from "../builds/origin.ts";
import { jobBuildsJson } from "../builds/original-json.ts";
import { type PlatformFilter, jobPath, platformFilter } from "../builds/paths.ts";
import { reproducibility } from "../builds/reproducibility.ts";
import { readmeHtml } from "../builds/readme.ts";
import { groupRuns } from "../builds/run-groups.ts";
import type { ServerContext } from "../context.ts";
import { notFound } from "../http/http-error.ts";
import { mayDo } from "./may-do.ts";
import { html, pageContext } from "./render.tsx";

/** Runs on one page; in the strip; in the charts; and what JSON lists at most, which in the original has no bound. */
const RUNS = 100;
const STRIP = 20;
const COURSE = 200;
const JSON_RUNS = 10_000;
/** How many failures show the end of their console, and how much of it. */
const EXCERPTS = 3;
const EXCERPT_LINES = 12;
/** Runs and what waits. */
const ACTIVE = 20;

/** `withFailed`: the address ends in /failed. Throws HttpError 404. */
export async function jobPage(
  context: ServerContext,
  request: Request,
  name: string,
  withFailed: boolean,
): Promise<Response> {
  const filter = platformFilter(request);
  if (wantsJson(request)) return json(listJson(context, existingJob(context, name), filter, withFailed));
  const { builds, buildService } = context;
  const definition = visitOf(request).principal.scopes.has("read")
    ? buildService.job(jobIn(name))
    : undefined;
  const job = builds.job(jobIn(name)) ?? onlyDefined(definition);
  if (job === undefined) throw notFound(`job ${name}`);
  const { searchParams, pathname } = new URL(request.url);
  const platform = filter.kind === "one" ? filter.platform : undefined;
  const shown = readShown(searchParams.get("show"), withFailed);
  const start = Number(/^\d{1,7}$/.exec(searchParams.get("start") ?? "")?.[0] ?? 0);
  const one = platform === undefined ? {} : { platform };
  const runs =
    filter.kind === "unknown"
      ? []
      : builds.buildsOf(job.name, { start, limit: RUNS + 1, kind: shown, ...one });
  const groups = groupRuns(runs.slice(0, RUNS));
  const coursePlatform = platform ?? builds.latest(job.name)?.platform ?? job.platforms[0];
  const course =
    coursePlatform === undefined
      ? []
      : builds
          .buildsOf(job.name, { limit: COURSE, kind: "successful", platform: coursePlatform })
          .toReversed();
  const excerpts = new Map<string, readonly TailLine[]>();
  for (const { runs: failed } of groups.filter(({ kind }) => kind === "failed").slice(0, EXCERPTS)) {
    const build = builds.build(failed[0]!.id);
    if (build !== undefined)
      excerpts.set(build.id, await consoleTail(context.contents, build.console, EXCERPT_LINES));
  }
  const more = new URLSearchParams({
    ...(platform === undefined ? {} : { platform }),
    ...(shown === "all" ? {} : { show: shown }),
    start: String(start + RUNS),
  });
  return html(
    <JobPage
      page={{ ...pageContext(request, visitOf(request), context.now()), path: jobPath(job.name) }}
      {...{ job, definition, groups, course, coursePlatform, excerpts, shown, platform }}
      origin={originOf(request)}
      may={mayDo(request)}
      active={buildService.runs({ job: job.name, states: ["running", "queued"], limit: ACTIVE })}
      readme={job.readme === undefined ? undefined : readmeHtml(job.readme)}
      platforms={platformsOf(context, job, filter)}
      next={runs.length > RUNS ? `${pathname}?${more}#builds` : undefined}
    />,
    200,
    { vary: "Accept" },
  );
}

/** A job that was never built, which is known to those who may know how it is. */
function onlyDefined(definition: JobDefinition | undefined): Job | undefined {
  if (definition === undefined) return undefined;
  const nothing = { section: undefined, synopsis: undefined, description: undefined, readme: undefined };
  return { name: definition.name, ...nothing, platforms: [] };
}

function readShown(text: string | null, withFailed: boolean): Shown {
  if (text === "successful" || text === "failed") return text;
  return withFailed && text === null ? "failed" : "all";
}

function platformsOf(context: ServerContext, job: Job, filter: PlatformFilter) {
  const { builds } = context;
  const chosen = job.platforms.filter((name) => filter.kind !== "one" || name === filter.platform);
  return chosen.map((platform) => {
    const latest = builds.latest(job.name, platform);
    return {
      platform,
      latest,
      recent: builds.buildsOf(job.name, { platform, limit: STRIP, kind: "all" }),
      reproduced: latest === undefined ? undefined : reproducibility(context, latest),
    };
  });
}

function listJson({ builds }: ServerContext, { name }: Job, filter: PlatformFilter, withFailed: boolean) {
  if (filter.kind === "unknown") return jobBuildsJson([], []);
  const one = filter.kind === "one" ? { platform: filter.platform } : {};
  const failed = withFailed ? builds.buildsOf(name, { limit: JSON_RUNS, kind: "failed", ...one }) : [];
  return jobBuildsJson(builds.outputsOf(name, { limit: JSON_RUNS, ...one }), failed);
}
