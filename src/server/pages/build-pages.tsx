/** The original's addresses as pages for people, and as JSON for programs. */
import { Elysia } from "elysia";
import { FailedBuildsPage } from "../../../web/pages/failed-builds.tsx";
import { type JobEntry, JobsPage } from "../../../web/pages/jobs.tsx";
import type { JobOverview } from "../../store/api.ts";
import { hashesBeginning, otherHash } from "../../store/builds/search.ts";
import { areBuildsPublic, notSetUp, notSignedIn } from "../access/authorise.ts";
import { visitOf } from "../access/visit.ts";
import { isSetUp } from "../accounts/users.ts";
import { badgeOf, badgeSvg } from "../builds/badge.ts";
import { ACTIVE_DAYS, activeSince } from "../builds/api-routes.ts";
import { atomFeed } from "../builds/feed.ts";
import { existingJob, jobIn } from "../builds/find.ts";
import { chooseJobs, choicesOf, readJobsQuery } from "../builds/job-list.ts";
import { json, redirect, wantsJson } from "../builds/negotiate.ts";
import { originOf } from "../builds/origin.ts";
import { failedJson, indexJson } from "../builds/original-json.ts";
import { buildPath, jobPath, platformFilter, restOf } from "../builds/paths.ts";
import { reproducibility } from "../builds/reproducibility.ts";
import type { ServerContext } from "../context.ts";
import { HttpError, notFound } from "../http/http-error.ts";
import { buildPage, logPage, pinFromForm, removeFromForm, shellPage } from "./build-page.tsx";
import { choosePage, comparePage } from "./compare-page.tsx";
import { jobPage } from "./job-page.tsx";
import { html, pageContext } from "./render.tsx";
import { searchPage } from "./search-page.tsx";

const VARY = { vary: "Accept" };
const FAILED_COUNT = 20;
const FAILED_LIMIT = 1000;
const FEED_COUNT = 50;

function withReproductions(context: ServerContext, job: JobOverview): JobEntry {
  return { job, reproduced: job.newest === undefined ? undefined : reproducibility(context, job.newest) };
}

/** `/` and `/all-builds`. */
export function indexPage(context: ServerContext, request: Request, isActive: boolean): Response {
  const options = isActive ? { activeSince: activeSince(context.now()) } : {};
  const jobs = context.builds.overview(options);
  if (wantsJson(request)) return json(indexJson(jobs));
  const query = readJobsQuery(new URL(request.url).searchParams);
  // A job that never had a good build is seen by people too: it is the one that needs them.
  const entries = chooseJobs(jobs, query).map((job) => withReproductions(context, job));
  return html(
    <JobsPage
      page={pageContext(request, visitOf(request), context.now())}
      {...{ entries, query, total: jobs.length, choices: choicesOf(jobs) }}
      activeDays={isActive ? ACTIVE_DAYS : undefined}
    />,
    200,
    VARY,
  );
}

/** `/` for strangers: the builds where there are any, else the way in. */
export function publicStart(context: ServerContext, request: Request): Response {
  if (wantsJson(request) || (areBuildsPublic(context.db) && context.builds.jobs().length > 0)) {
    return indexPage(context, request, true);
  }
  throw isSetUp(context.db) ? notSignedIn() : notSetUp();
}

function failedPage(context: ServerContext, request: Request): Response {
  const { searchParams } = new URL(request.url);
  const number = (name: string, otherwise: number) => {
    const text = searchParams.get(name) ?? "";
    return /^-?\d{1,9}$/.test(text) ? Number(text) : otherwise;
  };
  const start = Math.max(number("start", 0), 0);
  const asked = number("count", FAILED_COUNT);
  const limit = asked < 0 ? FAILED_LIMIT : Math.min(Math.max(asked, 1), FAILED_LIMIT);
  const filter = platformFilter(request);
  const platform = filter.kind === "one" ? filter.platform : undefined;
  // One more tells whether there is a next page.
  const found =
    filter.kind === "unknown"
      ? []
      : context.builds.failed({ start, limit: limit + 1, ...(platform === undefined ? {} : { platform }) });
  const more = new URLSearchParams({
    start: String(start + limit),
    count: String(limit),
    ...(platform === undefined ? {} : { platform }),
  });
  const next = found.length > limit ? `/failed-builds?${more}` : undefined;
  const builds = found.slice(0, limit);
  if (wantsJson(request)) return json(failedJson(builds, next));
  const page = pageContext(request, visitOf(request), context.now());
  return html(<FailedBuildsPage {...{ page, builds, platform, next }} />, 200, VARY);
}

interface Asked {
  readonly request: Request;
  readonly params: { readonly job: string };
}

/** The newest good build, with whatever stood behind `latest`, as it came. */
function toLatest({ builds }: ServerContext, { request, params }: Asked): Response {
  const job = jobIn(params.job);
  const filter = platformFilter(request);
  const platform = filter.kind === "one" ? filter.platform : undefined;
  const latest = filter.kind === "unknown" ? undefined : builds.latest(job, platform);
  if (latest === undefined) throw notFound(`good build of ${job}`);
  const rest = restOf(request, 4);
  return redirect(307, rest === "" ? buildPath(latest) : `${buildPath(latest)}/${rest}`);
}

/** By the whole SHA-256 or what only one begins with. Main binaries first, so that a file that many builds have leads to one that is about it. */
function byHash({ db, builds }: ServerContext, request: Request): Response {
  const text = new URL(request.url).searchParams.get("sha256") ?? "";
  const complaint = otherHash(text);
  if (complaint !== undefined) throw new HttpError(404, "missing", complaint);
  const [sha256, another] = hashesBeginning(db, text);
  if (another !== undefined)
    throw new HttpError(404, "ambiguous", `several files have a SHA-256 that begins with ${text}`);
  const [build] = sha256 === undefined ? [] : builds.containing(sha256, 1);
  if (build === undefined) throw notFound(`build that has a file with the SHA-256 ${text.slice(0, 64)}`);
  return redirect(302, buildPath(build));
}

function feed(context: ServerContext, { request, params }: Asked): Response {
  const job = existingJob(context, params.job);
  const builds = context.builds.buildsOf(job.name, { limit: FEED_COUNT, kind: "all" });
  return new Response(atomFeed(job, builds, originOf(request)), {
    headers: { "content-type": "application/atom+xml; charset=utf-8", "cache-control": "no-cache" },
  });
}

/** Of the newest run, on one platform or any. It is asked for again each time: pages elsewhere must not show an old one. */
function badge(context: ServerContext, { request, params }: Asked): Response {
  const { builds } = context;
  const name = jobIn(params.job);
  const filter = platformFilter(request);
  const one = filter.kind === "one" ? { platform: filter.platform } : {};
  const newest =
    filter.kind === "unknown" ? undefined : builds.buildsOf(name, { limit: 1, kind: "all", ...one })[0];
  const reproduced = newest === undefined ? undefined : reproducibility(context, newest);
  const svg = badgeSvg(badgeOf(filter.kind === "one" ? filter.platform : "build", newest, reproduced));
  return new Response(svg, {
    status: builds.job(name) === undefined ? 404 : 200,
    headers: {
      "content-type": "image/svg+xml; charset=utf-8",
      "cache-control": "no-cache",
      "cross-origin-resource-policy": "cross-origin",
    },
  });
}

/** What crawlers may read: pages, but no files, and nothing of the rest. */
function robots({ db }: ServerContext): Response {
  const files = [
    "f/",
    "main-binary",
    "script",
    "console",
    "log",
    "all.tar",
    "all.tar.gz",
    "exec",
    "viztreemap",
    "vizdependencies",
  ];
  const others = ["/compare/", "/search", "/hash", "/api/", "/unikernels", "/deploy", "/sign-in", "/setup"];
  const closed = areBuildsPublic(db) ? [...files.map((file) => `/job/*/build/*/${file}`), ...others] : ["/"];
  const text = ["User-agent: *", ...closed.map((path) => `Disallow: ${path}`), ""].join("\n");
  return new Response(text, { headers: { "content-type": "text/plain; charset=utf-8" } });
}

export function buildPages(context: ServerContext) {
  const hide = { detail: { hide: true } };
  const form = { parse: "none", detail: { hide: true } } as const;
  return new Elysia({ name: "build-pages" })
    .get("/robots.txt", () => robots(context), hide)
    .get("/all-builds", ({ request }) => indexPage(context, request, false), hide)
    .get("/failed-builds", ({ request }) => failedPage(context, request), hide)
    .get("/hash", ({ request }) => byHash(context, request), hide)
    .get("/search", ({ request }) => searchPage(context, request), hide)
    .get("/compare", ({ request }) => choosePage(context, request), hide)
    .get("/compare/:left/:right", (asked) => comparePage(context, asked), hide)
    .get("/job", () => redirect(302, "/"), hide)
    .get("/job/:job", (asked) => jobPage(context, asked.request, asked.params.job, false), hide)
    .get("/job/:job/failed", (asked) => jobPage(context, asked.request, asked.params.job, true), hide)
    .get("/job/:job/feed", (asked) => feed(context, asked), hide)
    .get("/job/:job/badge.svg", (asked) => badge(context, asked), hide)
    .get("/job/:job/build", ({ params }) => redirect(302, jobPath(jobIn(params.job))), hide)
    .get("/job/:job/build/latest", (asked) => toLatest(context, asked), hide)
    .get("/job/:job/build/latest/*", (asked) => toLatest(context, asked), hide)
    .get("/job/:job/build/:build", (asked) => buildPage(context, asked), hide)
    .get("/job/:job/build/:build/log", (asked) => logPage(context, asked), hide)
    .get("/job/:job/build/:build/shell", (asked) => shellPage(context, asked), hide)
    .post("/job/:job/build/:build/pin", (asked) => pinFromForm(context, asked), form)
    .post("/job/:job/build/:build/remove", (asked) => removeFromForm(context, asked), form);
}
