/** All routes together. Each resource has a file of its own; who may use what is in access/route-table.ts. */
import { Elysia } from "elysia";
import { authorise, checkTable } from "./access/authorise.ts";
import type { Limits } from "./access/limits.ts";
import { visitOf } from "./access/visit.ts";
import { assetRoutes } from "./assets.ts";
import { releaseRoutes } from "./routes/releases.ts";
import type { ServerContext } from "./context.ts";
import { deployPages } from "./pages/deploy-pages.tsx";
import { gatePages } from "./pages/gate-pages.tsx";
import { unikernelPages } from "./pages/unikernel-pages.tsx";
import { refuse } from "./refuse.ts";
import { accountRoutes } from "./routes/account.ts";
import { hookRoutes } from "./routes/hooks.ts";
import { imageRoutes } from "./routes/images.ts";
import { liveRoutes } from "./routes/live.ts";
import { metricRoutes } from "./routes/metrics.ts";
import { type ApiDocument, describeApi, referenceRoutes } from "./routes/reference.ts";
import { healthRoutes, systemRoutes } from "./routes/system.ts";
import { unikernelRoutes } from "./routes/unikernels.ts";
import { userRoutes } from "./routes/users.ts";

/**
 * The routes. They are reached through the front door only (front-door.ts). Throws when a route has no rule.
 * The type is what the command line's client is made of.
 */
export function createApp(context: ServerContext, limits: Limits) {
  let described: ApiDocument | undefined;
  const document = (): ApiDocument => (described ??= describeApi(app));
  // Without it the framework takes it for granted that a host's name has four letters or more.
  const app = new Elysia({ name: "robur", handler: { standardHostname: false } })
    .onError({ as: "global" }, ({ error, request }) => refuse(context, request, visitOf(request), error))
    // Before a request's content is checked, so that who may not ask learns nothing of what could be asked.
    .onTransform({ as: "global" }, ({ request, route, path, params }) =>
      authorise(context, { request, route, path, params: (params ?? {}) as Record<string, unknown> }),
    )
    .use(apiRoutes(context, limits))
    .use(healthRoutes(context))
    .use(metricRoutes(context))
    .use(referenceRoutes(document))
    .use(assetRoutes())
    .use(releaseRoutes(context))
    .use(gatePages(context, limits))
    .use(unikernelPages(context, document))
    .use(deployPages(context));
  checkTable(app.routes);
  return app;
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
    .use(hookRoutes(context));
}

/** For Eden's `treaty<App>`. */
export type App = ReturnType<typeof apiRoutes>;
