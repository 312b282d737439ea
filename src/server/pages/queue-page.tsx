/** /builds/queue: what is being built, what waits, and what is due next. */
import { Elysia } from "elysia";
import { QueuePage } from "../../../web/pages/queue.tsx";
import { visitOf } from "../access/visit.ts";
import type { ServerContext } from "../context.ts";
import { html, pageContext } from "./render.tsx";

const RUNNING_MAX = 200;

export function queuePages({ buildService: service, now }: ServerContext) {
  return new Elysia({ name: "queue-pages" }).get("/builds/queue", ({ request }) => {
    const visit = visitOf(request);
    // Who builds where is nothing for strangers, as on the builds' own pages.
    const isKnown = visit.principal.kind !== "anonymous";
    const seen = <T extends { readonly worker: string | null }>(run: T): T =>
      isKnown ? run : { ...run, worker: null, reason: "" };
    const queues = service
      .platforms()
      .map((platform) => ({ platform, runs: service.queue(platform).map(seen) }));
    const due = isKnown
      ? service
          .jobs()
          .filter(({ isEnabled, nextAt }) => isEnabled && nextAt !== null)
          .toSorted((a, b) => (a.nextAt ?? 0) - (b.nextAt ?? 0))
      : [];
    const running = service.runs({ limit: RUNNING_MAX, states: ["running"] }).map(seen);
    return html(
      <QueuePage page={pageContext(request, visit, now())} {...{ running, queues, due }} now={now()} />,
      200,
      {},
    );
  });
}
