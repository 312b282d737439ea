/** Runs: what waits, runs and ran; and their consoles as they grow. */
import { Elysia, t } from "elysia";
import type { ConsoleLine, Run, RunState } from "../../builds/api.ts";
import { visitOf } from "../access/visit.ts";
import type { ServerContext } from "../context.ts";
import { type StreamEvent, eventStream, formatEvent, resumePoint } from "../http/event-stream.ts";
import { shownLine } from "../../lib/shown-line.ts";
import { given, jobNameIn, runIn, runJson, runSeenBy } from "./build-answers.ts";
import { linesOf, storedLines } from "./run-console.ts";

const tags = ["runs"];
const OneRun = t.Object({
  run: t.String({ maxLength: 160, description: "JOB:NUMBER, a job (its newest), or a UUID" }),
});
const ConsoleQuery = t.Object({
  from: t.Optional(t.String({ pattern: "^[0-9]{1,15}$", description: "the first line, from 0" })),
  raw: t.Optional(t.Boolean({ description: "with the job's bytes, as base64" })),
});
const State = t.Union([
  t.Literal("queued"),
  t.Literal("running"),
  t.Literal("finished"),
  t.Literal("aborted"),
]);
const WAIT_MAX_MS = 60_000;

/** Of a page of lines: bytes, beyond which no further ones are put on it. */
const PAGE_BYTES = 1024 * 1024;
/** Texts that are kept for others who watch the same, and the characters of one. */
const EVENTS_KEPT = 64;
const EVENTS_MAX = 128 * 1024;
/** What a line takes beside its text. */
const LINE_BYTES = 64;

/** `text` is safe to show: only colours are left of control sequences. The job's bytes come where they are asked for. */
function lineJson({ index, delta, text }: ConsoleLine, isRaw = false) {
  const line = { index, seconds: Number(delta) / 1e9, text: shownLine(text) };
  return isRaw ? { ...line, base64: text.toBase64() } : line;
}

export function runRoutes(context: ServerContext) {
  const { buildService: service, stopping } = context;
  const events = new LineEvents();
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
        const lines = await pageOf(context, run, from);
        return {
          lines: lines.map((line) => lineJson(line, query.raw)),
          next: lines.length === 0 ? from : lines.at(-1)!.index + 1,
          run: runSeenBy(request, run),
        };
      },
      {
        params: OneRun,
        query: ConsoleQuery,
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
          watch(context, events, request, { id: run.id, from, isRaw: query.raw === true }, abort.signal),
          (event) => event,
          { abort, stopping },
        );
      },
      {
        params: OneRun,
        query: ConsoleQuery,
        detail: {
          tags,
          summary: "A run's console as it grows (server-sent events: line, end)",
          description:
            "Goes on behind Last-Event-ID. `end` carries the run as it ended; nothing comes after it.",
        },
      },
    );
}

/** Lines from `from` on, at least one where there is one. */
async function pageOf(context: ServerContext, run: Run, from: number): Promise<readonly ConsoleLine[]> {
  const page: ConsoleLine[] = [];
  let bytes = 0;
  for await (const lines of linesOf(context, run, from)) {
    page.push(...lines);
    bytes += lines.reduce((sum, { text }) => sum + text.length + LINE_BYTES, 0);
    if (bytes > PAGE_BYTES) break;
  }
  return page;
}

interface Watched {
  readonly id: Run["id"];
  readonly from: number;
  readonly isRaw: boolean;
}

/** Lines as events. What a hundred people watch is made once: they are at about the same place. */
class LineEvents {
  readonly #made = new Map<string, string>();

  text(id: Run["id"], lines: readonly ConsoleLine[], isRaw: boolean): string {
    const key = `${id} ${lines[0]?.index} ${lines.length} ${isRaw}`;
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const text = lines
      .map((line) => formatEvent({ id: line.index, event: "line", data: lineJson(line, isRaw) }))
      .join("");
    if (text.length > EVENTS_MAX) return text;
    const [oldest] = this.#made.keys();
    if (this.#made.size >= EVENTS_KEPT && oldest !== undefined) this.#made.delete(oldest);
    this.#made.set(key, text);
    return text;
  }
}

async function* watch(
  context: ServerContext,
  events: LineEvents,
  request: Request,
  { id, from, isRaw }: Watched,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent | string, void> {
  const { buildService: service } = context;
  let next = from;
  for await (const lines of service.follow(id, from, signal)) {
    next += lines.length;
    yield events.text(id, lines, isRaw);
  }
  if (signal.aborted) return;
  const run = service.run(id);
  if (run === undefined || (run.state !== "finished" && run.state !== "aborted")) return;
  // The build has the console of a run that ended long ago.
  if (next < run.lines) {
    for await (const lines of storedLines(context, run, next)) yield events.text(id, lines, isRaw);
  }
  yield { event: "end", data: runSeenBy(request, run) };
}
