/** Jobs: what is to be built, and when. */
import { Elysia, t } from "elysia";
import type { JobSettings, Platform } from "../../builds/api.ts";
import { DEFAULT_SETTINGS, checkSettings } from "../../builds/schedule/settings.ts";
import { visitOf } from "../access/visit.ts";
import type { ServerContext } from "../context.ts";
import { notFound } from "../http/http-error.ts";
import { readJobName } from "../../builds/schedule/settings.ts";
import { given, jobJson, jobNameIn, platformIn, runJson } from "./build-answers.ts";

const tags = ["jobs"];
const OneJob = t.Object({ job: t.String({ maxLength: 128 }) });
const PlatformName = t.String({ maxLength: 128 });
const orNull = <T extends Parameters<typeof t.Union>[0][number]>(schema: T) => t.Union([schema, t.Null()]);
const Limit = t.Optional(orNull(t.Number({ exclusiveMinimum: 0 })));

const Work = t.Union([
  t.Object({ kind: t.Literal("script"), script: t.String({ maxLength: 8 * 1024 * 1024 }) }),
  t.Object({
    kind: t.Literal("orb"),
    opamPackage: t.String({ maxLength: 255 }),
    repositories: t.Optional(
      t.Array(t.String({ maxLength: 1000 }), {
        maxItems: 16,
        description: "NAME:URL each, the most important first; without them the server's own",
      }),
    ),
  }),
]);

const Recurrence = t.Union([
  t.Object({
    kind: t.Union([t.Literal("hourly"), t.Literal("daily"), t.Literal("weekly"), t.Literal("never")]),
  }),
  t.Object({ kind: t.Literal("cron"), line: t.String({ maxLength: 200 }) }),
]);

const Settings = t.Partial(
  t.Object({
    work: Work,
    platforms: t.Array(PlatformName, { maxItems: 64 }),
    recurrence: Recurrence,
    timeoutMs: t.Integer({ minimum: 1000 }),
    limits: t.Object({ memoryMb: Limit, cpus: Limit, processes: Limit, diskMb: Limit }),
    network: t.Union([
      t.Object({ kind: t.Union([t.Literal("none"), t.Literal("all")]) }),
      t.Object({ kind: t.Literal("hosts"), hosts: t.Array(t.String({ maxLength: 260 }), { maxItems: 256 }) }),
    ]),
    copies: t.Integer({ description: "builds each time, 1 to 16, which are compared" }),
    jitterMs: t.Integer({ minimum: 0 }),
    catchUp: t.Union([t.Literal("once"), t.Literal("skip")]),
    isEnabled: t.Boolean(),
  }),
);

type SentSettings = typeof Settings.static;

/** The settings that were sent on top of others. Throws HttpError 422. */
function settingsOf({ limits, platforms, ...sent }: SentSettings, base: JobSettings): JobSettings {
  const merged = {
    ...base,
    ...sent,
    ...(platforms === undefined ? {} : { platforms: platforms.map(platformIn) }),
    ...(limits === undefined ? {} : { limits: limitsOf(limits) }),
  };
  return given(checkSettings(merged));
}

function limitsOf(sent: NonNullable<SentSettings["limits"]>): JobSettings["limits"] {
  const { memoryMb, cpus, processes, diskMb } = sent;
  return {
    memoryMb: memoryMb ?? undefined,
    cpus: cpus ?? undefined,
    processes: processes ?? undefined,
    diskMb: diskMb ?? undefined,
  };
}

export function jobScheduleRoutes({ buildService: service }: ServerContext) {
  const existing = (text: string) => {
    const job = service.job(jobNameIn(text));
    if (job !== undefined) return job;
    throw notFound(`job ${text}`);
  };
  return new Elysia({ name: "jobs-schedule", prefix: "/api/v1" })
    .get("/schedule", () => ({ jobs: service.jobs().map(jobJson) }), {
      detail: { tags, summary: "All jobs that are defined, and when each is due" },
    })
    .post(
      "/schedule",
      ({ body: { name: text, work, ...sent }, set }) => {
        const name = given(readJobName(text));
        const own = work.kind === "script" ? service.ownPlatform() : undefined;
        const platforms: Platform[] = own === undefined ? [] : [own];
        const base: JobSettings = { ...DEFAULT_SETTINGS, work, platforms };
        const settings = settingsOf(sent, base);
        given(service.dispatch({ kind: "define", name, settings, isNew: true }));
        set.status = 201;
        return jobJson(existing(name));
      },
      {
        body: t.Composite([Settings, t.Object({ name: t.String({ maxLength: 128 }), work: Work })]),
        detail: { tags, summary: "Define a job" },
      },
    )
    .get("/schedule/:job", ({ params }) => jobJson(existing(params.job)), {
      params: OneJob,
      detail: { tags, summary: "One job's definition" },
    })
    .patch(
      "/schedule/:job",
      ({ params, body }) => {
        const { name, ...base } = existing(params.job);
        const settings = settingsOf(body, base);
        given(service.dispatch({ kind: "define", name, settings, isNew: false }));
        return jobJson(existing(name));
      },
      { params: OneJob, body: Settings, detail: { tags, summary: "Change a job" } },
    )
    .delete(
      "/schedule/:job",
      ({ params }) => {
        const { name } = existing(params.job);
        given(service.dispatch({ kind: "forget", name }));
        return { removed: name as string };
      },
      { params: OneJob, detail: { tags, summary: "Forget a job's definition; its builds stay" } },
    )
    .put(
      "/schedule/:job/enabled",
      ({ params, body }) => {
        const { name } = existing(params.job);
        given(service.dispatch({ kind: "enable", name, isEnabled: body.isEnabled }));
        return jobJson(existing(name));
      },
      {
        params: OneJob,
        body: t.Object({ isEnabled: t.Boolean() }),
        detail: { tags, summary: "Switch a job on or off" },
      },
    )
    .put(
      "/schedule/:job/next",
      ({ params, body }) => {
        const { name } = existing(params.job);
        given(service.dispatch({ kind: "set-next", name, next: body.at }));
        return jobJson(existing(name));
      },
      {
        params: OneJob,
        body: t.Object({ at: t.Integer({ minimum: 0, maximum: 8_640_000_000_000_000 }) }),
        detail: { tags, summary: "Set when a job is due next" },
      },
    )
    .post(
      "/schedule/:job/start",
      ({ request, params, body }) => {
        const { name } = existing(params.job);
        const { who } = visitOf(request).principal;
        const runs = given(
          service.dispatch({
            kind: "start",
            name,
            platform: body.platform === undefined ? undefined : platformIn(body.platform),
            reason: body.reason === undefined ? `by ${who}` : `by ${who}: ${body.reason}`,
            place: body.front === true ? "front" : "back",
            priority: body.front === true ? 10 : 0,
            copies: body.copies,
            mayMove: body.copies === undefined,
          }),
        );
        return { runs: runs.map(runJson) };
      },
      {
        params: OneJob,
        body: t.Object({
          platform: t.Optional(PlatformName),
          reason: t.Optional(t.String({ maxLength: 200 })),
          front: t.Optional(t.Boolean({ description: "before all that waits" })),
          copies: t.Optional(t.Integer({ minimum: 1, maximum: 16 })),
        }),
        detail: {
          tags,
          summary: "Queue a job now",
          description: "A job that waits already is not queued twice.",
        },
      },
    );
}
