/** A job's page, and its JSON. */
import { reproducibilityOf } from "../../../web/components/builds.tsx";
import type { TailLine } from "../../../web/pages/console-text.tsx";
import { JobPage, type Shown } from "../../../web/pages/job.tsx";
import type { Job } from "../../store/api.ts";
import { rebuildCounts } from "../../trust/reproductions.ts";
import { visitOf } from "../access/visit.ts";
import { consoleTail } from "../builds/console-lines.ts";
import { existingJob } from "../builds/find.ts";
import { json, wantsJson } from "../builds/negotiate.ts";
import { jobBuildsJson } from "../builds/original-json.ts";
import { type PlatformFilter, jobPath, platformFilter } from "../builds/paths.ts";
import { readmeHtml } from "../builds/readme.ts";
import { groupRuns } from "../builds/run-groups.ts";
import type { ServerContext } from "../context.ts";
import { html, pageContext } from "./render.tsx";

/** Runs on one page; in the strip; in the charts; and what JSON lists at most, which in the original has no bound. */
const RUNS = 100;
const STRIP = 20;
const COURSE = 200;
const JSON_RUNS = 10_000;
/** How many failures show the end of their console, and how much of it. */
const EXCERPTS = 3;
const EXCERPT_LINES = 12;

/** `withFailed`: the address ends in /failed. Throws HttpError 404. */
export async function jobPage(
  context: ServerContext,
  request: Request,
  name: string,
  withFailed: boolean,
): Promise<Response> {
  const job = existingJob(context, name);
  const filter = platformFilter(request);
  if (wantsJson(request)) return json(listJson(context, job, filter, withFailed));
  const { searchParams, pathname } = new URL(request.url);
  const platform = filter.kind === "one" ? filter.platform : undefined;
  const shown = readShown(searchParams.get("show"), withFailed);
  const start = Number(/^\d{1,7}$/.exec(searchParams.get("start") ?? "")?.[0] ?? 0);
  const one = platform === undefined ? {} : { platform };
  const { builds } = context;
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
      {...{ job, groups, course, coursePlatform, excerpts, shown, platform }}
      readme={job.readme === undefined ? undefined : readmeHtml(job.readme)}
      platforms={platformsOf(context, job, filter)}
      next={runs.length > RUNS ? `${pathname}?${more}#builds` : undefined}
    />,
    200,
    { vary: "Accept" },
  );
}

function readShown(text: string | null, withFailed: boolean): Shown {
  if (text === "successful" || text === "failed") return text;
  return withFailed && text === null ? "failed" : "all";
}

function platformsOf({ builds, db }: ServerContext, job: Job, filter: PlatformFilter) {
  const chosen = job.platforms.filter((name) => filter.kind !== "one" || name === filter.platform);
  return chosen.map((platform) => {
    const latest = builds.latest(job.name, platform);
    return {
      platform,
      latest,
      recent: builds.buildsOf(job.name, { platform, limit: STRIP, kind: "all" }),
      reproduced:
        latest === undefined
          ? undefined
          : reproducibilityOf(latest, builds.reproductions(latest), rebuildCounts(db, latest.id)),
    };
  });
}

function listJson({ builds }: ServerContext, { name }: Job, filter: PlatformFilter, withFailed: boolean) {
  if (filter.kind === "unknown") return jobBuildsJson([], []);
  const one = filter.kind === "one" ? { platform: filter.platform } : {};
  const failed = withFailed ? builds.buildsOf(name, { limit: JSON_RUNS, kind: "failed", ...one }) : [];
  return jobBuildsJson(builds.outputsOf(name, { limit: JSON_RUNS, ...one }), failed);
}
