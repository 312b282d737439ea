/** Runs: what waits, runs and ran; and their consoles as they grow. */
import { Elysia, t } from "elysia";
import type { ConsoleLine, RunState } from "../../builds/api.ts";
import { visitOf } from "../access/visit.ts";
import type { ServerContext } from "../context.ts";
import { eventStream, resumePoint } from "../http/event-stream.ts";
import { given, jobNameIn, runIn, runJson, runSeenBy } from "./build-answers.ts";
import { storedLines } from "./run-console.ts";

const tags = ["runs"];
const OneRun = t.Object({
  run: t.String({ maxLength: 160, description: "JOB:NUMBER, a job (its newest), or a UUID" }),
});
const Cursor = t.Optional(t.String({ pattern: "^[0-9]{1,15}$" }));
const State = t.Union([
  t.Literal("queued"),
  t.Literal("running"),
  t.Literal("finished"),
  t.Literal("aborted"),
]);
const WAIT_MAX_MS = 60_000;

function lineJson({ index, delta, text }: ConsoleLine) {
  return { index, seconds: Number(delta) / 1e9, text: new TextDecoder().decode(text) };
}

export function runRoutes(context: ServerContext) {
  const { buildService: service, stopping } = context;
  return new Elysia({ name: "runs", prefix: "/api/v1" })
    .get(
      "/runs",
      ({ request, query: { job, state, limit = 100 } }) => {
        const states: readonly RunState[] | undefined = state === undefined ? undefined : [state];
        const wanted = { limit, states, job: job === undefined ? undefined : jobNameIn(job) };
        return { runs: service.runs(wanted).map((run) => runSeenBy(request, run)) };
      },
      {
        query: t.Object({
          job: t.Optional(t.String({ maxLength: 128 })),
          state: t.Optional(State),
          limit: t.Optional(t.Integer({ minimum: 1, maximum: 10_000 })),
        }),
        detail: { tags, summary: "What runs, what waits, and what ended, newest first" },
      },
    )
    .get("/runs/:run", ({ request, params }) => runSeenBy(request, runIn(service, params.run)), {
      params: OneRun,
      detail: { tags, summary: "One run" },
    })
    .get(
      "/runs/:run/wait",
      async ({ request, params, query }) => {
        visitOf(request).peer.keepOpen();
        const run = runIn(service, params.run);
        const states: RunState[] =
          query.for === "start" ? ["running", "finished", "aborted"] : ["finished", "aborted"];
        const signal = AbortSignal.any([request.signal, stopping, AbortSignal.timeout(WAIT_MAX_MS)]);
        return runJson((await service.untilState(run.id, states, signal)) ?? run);
      },
      {
        params: OneRun,
        query: t.Object({ for: t.Optional(t.Union([t.Literal("start"), t.Literal("end")])) }),
        detail: { tags, summary: "One run, once it has begun or ended, or after a minute" },
      },
    )
    .post(
      "/runs/:run/abort",
      ({ request, params }) =>
        runJson(given(service.abort(runIn(service, params.run), visitOf(request).principal.who))),
      { params: OneRun, detail: { tags, summary: "End a run, or take it from the queue" } },
    )
    .post(
      "/runs/:run/move",
      ({ params, body }) => runJson(given(service.move(runIn(service, params.run), body.place))),
      {
        params: OneRun,
        body: t.Object({ place: t.Union([t.Literal("front"), t.Literal("back")]) }),
        detail: { tags, summary: "Move a waiting run to the front or the back" },
      },
    )
    .get(
      "/runs/:run/console",
      async ({ request, params, query }) => {
        const run = runIn(service, params.run);
        const from = Number(query.from ?? 0);
        const live = service.lines(run.id, from);
        const lines = live.length > 0 || from >= run.lines ? live : await storedLines(context, run, from);
        return {
          lines: lines.map(lineJson),
          next: lines.length === 0 ? from : lines.at(-1)!.index + 1,
          run: runSeenBy(request, run),
        };
      },
      {
        params: OneRun,
        query: t.Object({ from: Cursor }),
        detail: { tags, summary: "Lines of a run's console" },
      },
    )
    .get(
      "/runs/:run/console/stream",
      ({ request, params, query }) => {
        const run = runIn(service, params.run);
        const last = resumePoint(request, undefined);
        const from = last === undefined ? Number(query.from ?? 0) : last + 1;
        const abort = new AbortController();
        return eventStream(
          visitOf(request),
          watch(context, request, run.id, from, abort.signal),
          (event) => event,
          {
            abort,
            stopping,
          },
        );
      },
      {
        params: OneRun,
        query: t.Object({ from: Cursor }),
        detail: {
          tags,
          summary: "A run's console as it grows (server-sent events: line, end)",
          description:
            "Goes on behind Last-Event-ID. `end` carries the run as it ended; nothing comes after it.",
        },
      },
    );
}

async function* watch(
  context: ServerContext,
  request: Request,
  id: ReturnType<typeof runIn>["id"],
  from: number,
  signal: AbortSignal,
) {
  const { buildService: service } = context;
  let next = from;
  const asEvent = (line: ConsoleLine) => ({ id: line.index, event: "line", data: lineJson(line) });
  for await (const line of service.follow(id, from, signal)) {
    next = line.index + 1;
    yield asEvent(line);
  }
  if (signal.aborted) return;
  const run = service.run(id);
  if (run === undefined || (run.state !== "finished" && run.state !== "aborted")) return;
  // The build has the console of a run that ended long ago.
  if (next < run.lines) for (const line of await storedLines(context, run, next)) yield asEvent(line);
  yield { event: "end", data: runSeenBy(request, run) };
}
