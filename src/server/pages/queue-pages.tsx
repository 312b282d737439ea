/** Jobs at work: the queue, runs with their consoles, and what people do with them. */
import { Elysia, t } from "elysia";
import { QueuePage } from "../../../web/pages/queue.tsx";
import { RunConsolePage, RunPage } from "../../../web/pages/run.tsx";
import type { TailLine } from "../../../web/pages/console-text.tsx";
import type { ConsoleLine, JobDefinition, Run } from "../../builds/api.ts";
import { visitOf } from "../access/visit.ts";
import { runPath } from "../builds/run-paths.ts";
import { shownLine } from "../../lib/shown-line.ts";
import type { ServerContext } from "../context.ts";
import { given, jobNameIn, runIn } from "../routes/build-answers.ts";
import { linesOf } from "../routes/run-console.ts";
import { mayDo } from "./may-do.ts";
import { html, ownPath, pageContext, readForm, seeOther } from "./render.tsx";

/** Of each run on the queue's page. */
const LAST_WORDS = 4;
/** On a run's page, where further ones are added to. */
const TAIL = 2000;
const PAGE_OF_LINES = 5000;
const ENDED = 10;
/** Of each queue; the page is looked at every few seconds. */
const WAITING_SHOWN = 50;
const RUNNING_MAX = 100;
/** Characters of a line that are shown. */
const LONGEST = 4000;

/** Who builds where, and who asked for it, is nothing for strangers. */
function seenBy(request: Request, run: Run): Run {
  if (visitOf(request).principal.kind !== "anonymous") return run;
  const outcome = run.state === "aborted" ? "aborted" : run.state === "queued" ? null : run.outcome;
  return { ...run, ...{ worker: null, reason: "", abortedBy: null, outcome } };
}

function shown({ index, delta, text }: ConsoleLine): TailLine {
  return {
    number: index + 1,
    time: `${(Number(delta / 1_000_000n) / 1000).toFixed(3)}s`,
    text: shownLine(text, LONGEST),
  };
}

/** Lines from `from` on, at most `count`, of a run that goes on or of its build. */
async function linesFrom(
  context: ServerContext,
  run: Run,
  from: number,
  count: number,
): Promise<readonly ConsoleLine[]> {
  const lines: ConsoleLine[] = [];
  for await (const more of linesOf(context, run, from)) {
    lines.push(...more);
    if (lines.length >= count) break;
  }
  return lines.slice(0, count);
}

/** Those that are due first at the top; then those that only start by hand, and those that are off. */
function byTime(a: JobDefinition, b: JobDefinition): number {
  const rank = ({ isEnabled, nextAt }: JobDefinition) => (isEnabled ? (nextAt ?? 1e16) : 2e16);
  return rank(a) - rank(b) || (a.name < b.name ? -1 : 1);
}

function queuePage(context: ServerContext, request: Request): Response {
  const { buildService: service, now } = context;
  const visit = visitOf(request);
  const mayRead = visit.principal.scopes.has("read");
  const workers = service.desk.workers();
  return html(
    <QueuePage
      page={pageContext(request, visit, now())}
      running={service.runs({ limit: RUNNING_MAX, states: ["running"] }).map((run) => ({
        run: seenBy(request, run),
        lines: [...service.lines(run.id, Math.max(0, run.lines - LAST_WORDS))]
          .flat()
          .slice(-LAST_WORDS)
          .map(shown),
      }))}
      queues={service.platforms().map((platform) => ({
        platform,
        runs: service.queue(platform, WAITING_SHOWN).map((run) => seenBy(request, run)),
        waiting: service.waiting(platform),
      }))}
      dropped={service.droppedPlatforms()}
      jobs={mayRead ? service.jobs().toSorted(byTime) : undefined}
      workers={mayRead ? workers : undefined}
      trouble={mayRead ? service.trouble() : undefined}
      manned={service.desk.mannedPlatforms()}
      ended={service
        .runs({ limit: ENDED, states: ["finished", "aborted"] })
        .map((run) => seenBy(request, run))}
      may={mayDo(request)}
    />,
  );
}

async function runPage(context: ServerContext, request: Request, text: string): Promise<Response> {
  const { buildService: service, builds, now } = context;
  const run = runIn(service, text);
  const first = Math.max(0, run.lines - TAIL);
  const lines = await linesFrom(context, run, first, TAIL);
  return html(
    <RunPage
      page={{ ...pageContext(request, visitOf(request), now()), path: runPath(run) }}
      run={seenBy(request, run)}
      build={run.uuid === null ? undefined : builds.build(run.uuid)}
      lines={lines.map(shown)}
      next={lines.at(-1) === undefined ? first : lines.at(-1)!.index + 1}
      before={service.before(run)}
      may={mayDo(request)}
    />,
  );
}

async function runConsolePage(context: ServerContext, request: Request, text: string): Promise<Response> {
  const run = runIn(context.buildService, text);
  const asked = /^\d{1,9}$/.exec(new URL(request.url).searchParams.get("from") ?? "0")?.[0] ?? "0";
  const lines = await linesFrom(context, run, Number(asked), PAGE_OF_LINES);
  const next = (lines.at(-1)?.index ?? Number(asked) - 1) + 1;
  return html(
    <RunConsolePage
      page={{ ...pageContext(request, visitOf(request), context.now()), path: runPath(run) }}
      run={seenBy(request, run)}
      lines={lines.map(shown)}
      further={lines.length > 0 && next < run.lines ? next : undefined}
    />,
  );
}

interface Asked {
  readonly request: Request;
  readonly params: { readonly run: string };
}

async function abort(
  { buildService: service }: ServerContext,
  { request, params }: Asked,
): Promise<Response> {
  const fields = await readForm(request);
  const run = given(service.abort(runIn(service, params.run), visitOf(request).principal.who));
  return seeOther(ownPath(fields.get("back"), runPath(run)));
}

async function move({ buildService: service }: ServerContext, { request, params }: Asked): Promise<Response> {
  const fields = await readForm(request);
  const place = fields.get("place") === "back" ? "back" : "front";
  const run = given(service.move(runIn(service, params.run), place));
  return seeOther(ownPath(fields.get("back"), runPath(run)));
}

/** Queues a job on all of its platforms, and leads to the first run. */
async function start(
  { buildService: service }: ServerContext,
  request: Request,
  text: string,
): Promise<Response> {
  const fields = await readForm(request);
  const runs = given(
    service.dispatch({
      kind: "start",
      name: jobNameIn(text),
      ...{ platform: undefined, copies: undefined, mayMove: true },
      ...{ reason: `by ${visitOf(request).principal.who}`, place: "back", priority: 0 },
    }),
  );
  const first = runs[0] === undefined ? "/queue" : runPath(runs[0]);
  return seeOther(ownPath(fields.get("back"), first));
}

async function enable(
  { buildService: service }: ServerContext,
  request: Request,
  text: string,
): Promise<Response> {
  const fields = await readForm(request);
  const isEnabled = fields.get("enabled") === "yes";
  given(service.dispatch({ kind: "enable", name: jobNameIn(text), isEnabled }));
  return seeOther(ownPath(fields.get("back"), "/queue"));
}

export function queuePages(context: ServerContext) {
  const hide = { detail: { hide: true } };
  const form = { ...hide, parse: "none" } as const;
  const OneRun = { params: t.Object({ run: t.String({ maxLength: 160 }) }) };
  const OneJob = { params: t.Object({ job: t.String({ maxLength: 128 }) }) };
  return new Elysia({ name: "queue-pages" })
    .get("/queue", ({ request }) => queuePage(context, request), hide)
    .get("/runs/:run", ({ request, params }) => runPage(context, request, params.run), { ...hide, ...OneRun })
    .get("/runs/:run/console", ({ request, params }) => runConsolePage(context, request, params.run), {
      ...hide,
      ...OneRun,
    })
    .post("/runs/:run/abort", (asked) => abort(context, asked), { ...form, ...OneRun })
    .post("/runs/:run/move", (asked) => move(context, asked), { ...form, ...OneRun })
    .post("/jobs/:job/start", ({ request, params }) => start(context, request, params.job), {
      ...form,
      ...OneJob,
    })
    .post("/jobs/:job/enabled", ({ request, params }) => enable(context, request, params.job), {
      ...form,
      ...OneJob,
    });
}
