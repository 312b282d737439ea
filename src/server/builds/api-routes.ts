/** Jobs and builds for programs: everything that the original's addresses leave out. */
import { Elysia, t } from "elysia";
import type { Build, BuildSummary } from "../../store/api.ts";
import { parsePlatform } from "../../store/api.ts";
import { searchText } from "../../store/builds/search.ts";
import { visitOf } from "../access/visit.ts";
import type { ServerContext } from "../context.ts";
import { statementsAboutBuild } from "../../trust/listing.ts";
import { reproductionsOf, summaryOf } from "../../trust/reproductions.ts";
import { HttpError, notFound } from "../http/http-error.ts";
import { buildByPrefix, existingBuild, existingJob, jobIn } from "./find.ts";
import { pushBuild } from "./push-build.ts";

const tags = ["builds"];
const OneJob = t.Object({ job: t.String({ maxLength: 128 }) });
const OneBuild = t.Object({
  build: t.String({ maxLength: 36, description: "a UUID, or any unique beginning of four digits or more" }),
});
const Paging = {
  limit: t.Optional(t.Integer({ minimum: 1, maximum: 1000 })),
  start: t.Optional(t.Integer({ minimum: 0, maximum: 1_000_000 })),
  platform: t.Optional(t.String({ maxLength: 128 })),
};
const Kind = t.Union([t.Literal("all"), t.Literal("successful"), t.Literal("failed")]);

const DAY_MS = 86_400_000;
/** The overview's `active`: what was built within this many days. */
export const ACTIVE_DAYS = 30;

export function activeSince(now: number): number {
  return now - ACTIVE_DAYS * DAY_MS;
}

/** A build as it is shown to whoever asks: users are not named to strangers. */
function seenBy(request: Request, build: Build): Build {
  return visitOf(request).principal.kind === "anonymous"
    ? { ...build, uploadedBy: "", worker: undefined }
    : build;
}

/** Throws HttpError 422. */
function platformOf(text: string | undefined) {
  if (text === undefined || text === "") return {};
  const platform = parsePlatform(text);
  if (platform !== undefined) return { platform };
  throw new HttpError(422, "invalid", `${JSON.stringify(text)} can't be a platform's name`);
}

/** Where the next page begins; undefined behind the last. */
function nextStart(builds: readonly BuildSummary[], limit: number, start: number): number | undefined {
  return builds.length === limit ? start + limit : undefined;
}

export function buildApiRoutes(context: ServerContext) {
  const { builds } = context;
  return new Elysia({ name: "build-api", prefix: "/api/v1" })
    .get(
      "/jobs",
      ({ query }) => ({
        jobs: builds.overview(query.active ? { activeSince: activeSince(context.now()) } : {}),
      }),
      {
        query: t.Object({
          active: t.Optional(
            t.BooleanString({ description: `only what was built within ${ACTIVE_DAYS} days` }),
          ),
        }),
        detail: { tags, summary: "Jobs, with their newest builds and last runs" },
      },
    )
    .get(
      "/jobs/:job",
      ({ params, query }) => {
        const job = existingJob(context, params.job);
        const { limit = 50, start = 0 } = query;
        const outputs = builds.outputsOf(job.name, { limit, start, ...platformOf(query.platform) });
        const latest = job.platforms.flatMap((platform) => builds.latest(job.name, platform) ?? []);
        return { job, latest, outputs };
      },
      {
        params: OneJob,
        query: t.Object(Paging),
        detail: {
          tags,
          summary: "A job, and what came of it: one group for each distinct output, newest first",
        },
      },
    )
    .delete(
      "/jobs/:job",
      ({ params }) => {
        if (!builds.removeJob(jobIn(params.job))) throw notFound(`job ${params.job}`);
        return { ok: true };
      },
      { params: OneJob, detail: { tags, summary: "Remove a job with all its builds" } },
    )
    .get(
      "/jobs/:job/builds",
      ({ params, query }) => {
        const { limit = 50, start = 0, kind = "all" } = query;
        const { name } = existingJob(context, params.job);
        const found = builds.buildsOf(name, { limit, start, kind, ...platformOf(query.platform) });
        return { builds: found, next: nextStart(found, limit, start) };
      },
      {
        params: OneJob,
        query: t.Object({ ...Paging, kind: t.Optional(Kind) }),
        detail: { tags, summary: "A job's builds, newest first" },
      },
    )
    .post(
      "/jobs/:job/builds",
      async ({ params, request, set }) => {
        const build = await pushBuild(context, request, jobIn(params.job));
        set.status = 201;
        return { build };
      },
      {
        parse: "none",
        params: OneJob,
        detail: {
          tags,
          summary: "Add a build that was made elsewhere",
          description:
            "multipart/form-data: the part `build` is JSON with the platform and what else is known " +
            "(id, startedAt, finishedAt, result, worker, script); a part `console` may follow; all others are files, " +
            "each with its path as the part's name: " +
            `curl -F 'build={"platform":"debian-12"}' -F bin/hello.hvt=@hello.hvt`,
        },
      },
    )
    .get(
      "/builds",
      ({ query }) => {
        const { limit = 50, start = 0 } = query;
        const found = builds.failed({ limit, start, ...platformOf(query.platform) });
        return { builds: found, next: nextStart(found, limit, start) };
      },
      { query: t.Object(Paging), detail: { tags, summary: "Failed builds of all jobs, newest first" } },
    )
    .get(
      "/builds/:build",
      ({ params, request }) => {
        const build = buildByPrefix(context, params.build);
        return {
          build: seenBy(request, build),
          neighbours: builds.neighbours(build),
          reproductions: builds.reproductions(build),
          rebuilds: reproductionsOf(context.db, build.id).map((one) => {
            const { verdict, startedAt, finishedAt, source } = one;
            return { verdict, startedAt, finishedAt, source, summary: summaryOf(one) };
          }),
          statements: statementsAboutBuild(
            context.db,
            build.id,
            build.main?.sha256,
            visitOf(request).principal.kind === "anonymous",
          ),
        };
      },
      {
        params: OneBuild,
        detail: {
          tags,
          summary: "A build, its neighbours, who reproduced it, and who has signed what about it",
        },
      },
    )
    .get(
      "/search",
      ({ query }) => {
        const { limit = 50, start = 0 } = query;
        const found = searchText(context.db, query.q, { limit, start });
        if (found.ok) return found.value;
        throw new HttpError(422, "invalid", "this can't be searched for", { why: found.message });
      },
      {
        query: t.Object({
          q: t.String({ maxLength: 500, description: "words, hashes, platform:…, since:…, x509 < 0.11.0" }),
          ...Paging,
        }),
        detail: { tags, summary: "Find jobs and builds" },
      },
    )
    .delete(
      "/builds/:build",
      ({ params }) => {
        // The whole id: nothing is removed by a slip of the hand.
        builds.remove(existingBuild(context, params.build).id);
        return { ok: true };
      },
      { params: OneBuild, detail: { tags, summary: "Remove a build, named by its whole id" } },
    )
    .put(
      "/builds/:build/pin",
      ({ params, body }) => {
        const { id } = buildByPrefix(context, params.build);
        builds.pin(id, body.isPinned);
        return { id, isPinned: body.isPinned };
      },
      {
        params: OneBuild,
        body: t.Object({ isPinned: t.Boolean() }),
        detail: { tags, summary: "Keep a build whatever the retention says, or no longer" },
      },
    );
}
