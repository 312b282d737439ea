/** Queues, one a platform. */
import { Elysia, t } from "elysia";
import { visitOf } from "../access/visit.ts";
import type { ServerContext } from "../context.ts";
import { given, platformIn, runSeenBy } from "./build-answers.ts";

const tags = ["runs"];
const OnePlatform = t.Object({ platform: t.String({ maxLength: 128 }) });

export function queueRoutes({ buildService: service }: ServerContext) {
  const queues = (request: Request) => {
    const manned = service.desk.mannedPlatforms();
    return {
      running: service.runs({ limit: 1000, states: ["running"] }).map((run) => runSeenBy(request, run)),
      queues: service.platforms().map((platform) => ({
        platform: platform as string,
        /** Somebody builds for it. */
        hasWorker: manned.has(platform),
        runs: service.queue(platform).map((run) => runSeenBy(request, run)),
      })),
      dropped: service.droppedPlatforms() as readonly string[],
      /** Why this machine's own workers can't work; not for strangers. */
      trouble: visitOf(request).principal.kind === "anonymous" ? null : (service.trouble() ?? null),
    };
  };
  return new Elysia({ name: "queue", prefix: "/api/v1" })
    .get("/queue", ({ request }) => queues(request), {
      detail: { tags, summary: "What runs, and what waits on each platform, in order" },
    })
    .post(
      "/queue/:platform/drop",
      ({ request, params }) => {
        given(service.dispatch({ kind: "drop", platform: platformIn(params.platform), mayBeNew: true }));
        return queues(request);
      },
      {
        params: OnePlatform,
        detail: {
          tags,
          summary: "Give up a platform",
          description: "Its queue goes, and script jobs that are for it alone. What runs goes on.",
        },
      },
    )
    .post(
      "/queue/:platform/undrop",
      ({ request, params }) => {
        given(service.dispatch({ kind: "undrop", platform: platformIn(params.platform) }));
        return queues(request);
      },
      { params: OnePlatform, detail: { tags, summary: "Take a platform up again" } },
    );
}
