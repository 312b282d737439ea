/** All routes together. Each resource has a file of its own; who may use what is in access/route-table.ts. */
import { type AnyElysia, Elysia } from "elysia";
import { authorise, checkTable } from "./access/authorise.ts";
import type { Limits } from "./access/limits.ts";
import { visitOf } from "./access/visit.ts";
import { assetRoutes } from "./assets.ts";
import { buildApiRoutes } from "./builds/api-routes.ts";
import { fileRoutes } from "./builds/file-routes.ts";
import { uploadRoutes } from "./builds/upload-routes.ts";
import { releaseRoutes } from "./routes/releases.ts";
import type { ServerContext } from "./context.ts";
import { notFound } from "./http/http-error.ts";
import { buildPages } from "./pages/build-pages.tsx";
import { deployPages } from "./pages/deploy-pages.tsx";
import { gatePages } from "./pages/gate-pages.tsx";
import { jobSettingsPages } from "./pages/job-settings-pages.tsx";
import { queuePages } from "./pages/queue-pages.tsx";
import { unikernelPages } from "./pages/unikernel-pages.tsx";
import { refuse } from "./refuse.ts";
import { accountRoutes } from "./routes/account.ts";
import { compareRoutes } from "./routes/compare.ts";
import { debianRoutes } from "./routes/debian.ts";
import { hookRoutes } from "./routes/hooks.ts";
import { imageRoutes } from "./routes/images.ts";
import { importRoutes } from "./routes/imports.ts";
import { jobScheduleRoutes } from "./routes/jobs-schedule.ts";
import { liveRoutes } from "./routes/live.ts";
import { metricRoutes } from "./routes/metrics.ts";
import { queueRoutes } from "./routes/queue.ts";
import { type ApiDocument, describeApi, referenceRoutes } from "./routes/reference.ts";
import { runRoutes } from "./routes/runs.ts";
import { shellRoutes } from "./routes/shell.ts";
import { remoteRoutes } from "./routes/remotes.ts";
import { storeRoutes } from "./routes/store.ts";
import { healthRoutes, systemRoutes } from "./routes/system.ts";
import { paperRoutes, reproductionRoutes } from "./routes/reproductions.ts";
import { trustRoutes } from "./routes/trust.ts";
import { unikernelRoutes } from "./routes/unikernels.ts";
import { partialUploadRoutes } from "./routes/uploads.ts";
import { userRoutes } from "./routes/users.ts";
import { visualisationRoutes } from "./routes/visualisations.tsx";
import { workerRoutes } from "./routes/workers.ts";

/** The routes. They are reached through the front door only (front-door.ts). Throws when a route has no rule. */
export function createApp(context: ServerContext, limits: Limits): AnyElysia {
  let described: ApiDocument | undefined;
  const document = (): ApiDocument => (described ??= describeApi(app));
  // Without it the framework takes it for granted that a host's name has four letters or more.
  const app = new Elysia({ name: "robur", handler: { standardHostname: false } })
    .onError({ as: "global" }, ({ error, request }) => refuse(context, request, visitOf(request), error))
    // Before a request's content is checked, so that who may not ask learns nothing of what could be asked.
    .onTransform({ as: "global" }, ({ request, route, path, params }) =>
      authorise(context, { request, route, path, params: decoded(params) }),
    )
    .use(apiRoutes(context, limits))
    .use(otherRoutes(context, limits, document));
  checkTable(app.routes);
  return app;
}

/** The framework hands on null for a segment that can't be decoded, such as %zz. Throws HttpError 404: it names nothing. */
function decoded(params: unknown): Readonly<Record<string, unknown>> {
  const known = (params ?? {}) as Readonly<Record<string, unknown>>;
  if (Object.values(known).includes(null)) throw notFound("such page");
  return known;
}

/** Everything that isn't the client's: its type is left out, since all of them together are too much for the compiler. */
function otherRoutes(context: ServerContext, limits: Limits, document: () => ApiDocument): AnyElysia {
  return new Elysia({ name: "others" })
    .use(healthRoutes(context))
    .use(metricRoutes(context))
    .use(referenceRoutes(document))
    .use(assetRoutes())
    .use(releaseRoutes(context))
    .use(debianRoutes(context))
    .use(gatePages(context, limits))
    .use(unikernelPages(context, document))
    .use(deployPages(context))
    .use(buildPages(context))
    .use(queuePages(context))
    .use(jobSettingsPages(context))
    .use(fileRoutes(context))
    .use(visualisationRoutes(context))
    .use(uploadRoutes(context))
    .use(paperRoutes(context));
}

/** What programs use. */
function apiRoutes(context: ServerContext, limits: Limits) {
  return new Elysia({ name: "api" })
    .use(unikernelRoutes(context))
    .use(liveRoutes(context))
    .use(imageRoutes(context))
    .use(systemRoutes(context))
    .use(accountRoutes(context, limits))
    .use(userRoutes(context))
    .use(buildApiRoutes(context))
    .use(compareRoutes(context))
    .use(jobScheduleRoutes(context))
    .use(runRoutes(context))
    .use(queueRoutes(context))
    .use(workerRoutes(context))
    .use(shellRoutes(context))
    .use(hookRoutes(context))
    .use(importRoutes(context))
    .use(remoteRoutes(context))
    .use(new Elysia({ name: "kept" }).use(storeRoutes(context)).use(partialUploadRoutes(context)))
    .use(trustRoutes(context))
    .use(reproductionRoutes(context));
}

/** For Eden's `treaty<App>`. */
export type App = ReturnType<typeof apiRoutes>;
