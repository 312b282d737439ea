/** Console, statistics and events: what there is, and streams of what comes. */
import { Elysia, t } from "elysia";
import type { ConsoleCursor, ConsoleQuery, OrchestratorEvent } from "../../orchestrator/api.ts";
import { visitOf } from "../access/visit.ts";
import type { ServerContext } from "../context.ts";
import { eventStream, resumePoint } from "../http/event-stream.ts";
import { actorFor, granted, nameIn } from "./ask.ts";
import { itemJson } from "./console-json.ts";
import { Name, Resolution } from "./schemas.ts";

const tags = ["live"];
const Count = (maximum: number) => t.Optional(t.Integer({ minimum: 0, maximum }));
const Cursor = t.Optional(t.String({ pattern: "^[0-9]{1,15}$" }));

const ConsoleQuerySchema = t.Object({
  after: Cursor,
  since: t.Optional(t.Integer({ minimum: 0, description: "milliseconds since 1970" })),
  tail: Count(100_000),
  limit: Count(10_000),
  raw: t.Optional(t.Boolean({ description: "the guest's bytes as well, in base64" })),
});

interface Asked {
  readonly since?: number;
  readonly tail?: number;
  readonly limit?: number;
}

function consoleQuery(after: number | undefined, { since, tail, limit }: Asked): ConsoleQuery {
  return {
    ...(after === undefined ? {} : { after: after as ConsoleCursor }),
    ...(since === undefined ? {} : { since }),
    // Somebody who comes back wants what was missed, not the last lines again.
    ...(tail === undefined || after !== undefined ? {} : { tail }),
    ...(limit === undefined ? {} : { limit }),
  };
}

/** `{after}` and `{name}` as far as they are given. */
function eventOptions(after: number | undefined, name: string | undefined) {
  return { ...(after === undefined ? {} : { after }), ...(name === undefined ? {} : { name: nameIn(name) }) };
}

export function liveRoutes(context: ServerContext) {
  const { orchestrator, stopping } = context;
  return new Elysia({ name: "live", prefix: "/api/v1" })
    .get(
      "/unikernels/:name/console",
      ({ request, params, query }) => {
        const wanted = consoleQuery(resumePoint(request, query.after), query);
        const page = granted(orchestrator.console.read(actorFor(request), nameIn(params.name), wanted));
        return { items: page.items.map((item) => itemJson(item, query.raw)), next: page.next as number };
      },
      { params: Name, query: ConsoleQuerySchema, detail: { tags, summary: "Lines of a console" } },
    )
    .get(
      "/unikernels/:name/console/stream",
      ({ request, params, query }) => {
        const abort = new AbortController();
        const wanted = consoleQuery(resumePoint(request, query.after), query);
        const source = granted(
          orchestrator.console.follow(actorFor(request), nameIn(params.name), wanted, abort.signal),
        );
        return eventStream(
          visitOf(request),
          source,
          (item) => ({
            id: item.kind === "line" ? item.line.cursor : item.to,
            event: item.kind,
            data: itemJson(item, query.raw),
          }),
          { abort, stopping },
        );
      },
      {
        params: Name,
        query: ConsoleQuerySchema,
        detail: {
          tags,
          summary: "A console as it grows (server-sent events: line, gap)",
          description: "Goes on behind Last-Event-ID, or behind `after`.",
        },
      },
    )
    .get(
      "/unikernels/:name/stats",
      ({ request, params, query }) => {
        const { resolution = "raw", since } = query;
        const options = { resolution, ...(since === undefined ? {} : { since }) };
        return granted(orchestrator.stats.series(actorFor(request), nameIn(params.name), options));
      },
      {
        params: Name,
        query: t.Object({ resolution: t.Optional(Resolution), since: t.Optional(t.Integer({ minimum: 0 })) }),
        detail: { tags, summary: "Processor, memory, network and disk over time" },
      },
    )
    .get(
      "/stats",
      ({ request }) => ({ stats: Object.fromEntries(orchestrator.stats.latest(actorFor(request))) }),
      {
        detail: { tags, summary: "The newest figures of all running unikernels, by name" },
      },
    )
    .get(
      "/stats/stream",
      ({ request }) => {
        const abort = new AbortController();
        const source = orchestrator.stats.follow(actorFor(request), abort.signal);
        return eventStream(
          visitOf(request),
          source,
          (samples) => ({ event: "stats", data: Object.fromEntries(samples) }),
          { abort, stopping },
        );
      },
      { detail: { tags, summary: "Figures as they are taken (server-sent events: stats)" } },
    )
    .get(
      "/events",
      ({ request, query }) => {
        const { after, name, limit } = query;
        const options = {
          ...eventOptions(resumePoint(request, after), name),
          ...(limit === undefined ? {} : { limit }),
        };
        return { events: orchestrator.events.read(actorFor(request), options) };
      },
      {
        query: t.Object({ after: Cursor, name: t.Optional(t.String()), limit: Count(1000) }),
        detail: { tags, summary: "What happened, newest last" },
      },
    )
    .get(
      "/events/stream",
      ({ request, query }) => {
        const abort = new AbortController();
        const options = eventOptions(resumePoint(request, query.after), query.name);
        const source = orchestrator.events.follow(actorFor(request), options, abort.signal);
        const toEvent = (event: OrchestratorEvent) => ({ id: event.id, event: "event", data: event });
        return eventStream(visitOf(request), source, toEvent, { abort, stopping });
      },
      {
        query: t.Object({ after: Cursor, name: t.Optional(t.String()) }),
        detail: { tags, summary: "What happens (server-sent events: event)" },
      },
    );
}
