/** Queues, one a platform. */
import { Elysia, t } from "elysia";
import type { ServerContext } from "../context.ts";
import { given, platformIn, runJson } from "./build-answers.ts";

const tags = ["runs"];
const OnePlatform = t.Object({ platform: t.String({ maxLength: 128 }) });

export function queueRoutes({ buildService: service }: ServerContext) {
  const queues = () => ({
    running: service.runs({ limit: 1000, states: ["running"] }).map(runJson),
    queues: service.platforms().map((platform) => ({
      platform: platform as string,
      runs: service.queue(platform).map(runJson),
    })),
    dropped: service.droppedPlatforms() as readonly string[],
  });
  return new Elysia({ name: "queue", prefix: "/api/v1" })
    .get("/queue", queues, {
      detail: { tags, summary: "What runs, and what waits on each platform, in order" },
    })
    .post(
      "/queue/:platform/drop",
      ({ params }) => {
        given(service.dispatch({ kind: "drop", platform: platformIn(params.platform), mayBeNew: true }));
        return queues();
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
      ({ params }) => {
        given(service.dispatch({ kind: "undrop", platform: platformIn(params.platform) }));
        return queues();
      },
      { params: OnePlatform, detail: { tags, summary: "Take a platform up again" } },
    );
}
