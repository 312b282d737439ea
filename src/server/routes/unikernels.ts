/** The life of unikernels. */
import { Elysia, t } from "elysia";
import type { Sha256 as Sha256Type } from "../../orchestrator/api.ts";
import type { ServerContext } from "../context.ts";
import { actorFor, granted, nameIn, newName, pathIn } from "./ask.ts";
import { deployUpload } from "./deploy-upload.ts";
import { startedJson } from "./console-json.ts";
import { Create, Name, Update, Wait } from "./schemas.ts";

const tags = ["unikernels"];

export function unikernelRoutes(context: ServerContext) {
  const { orchestrator } = context;
  return new Elysia({ name: "unikernels", prefix: "/api/v1" })
    .get(
      "/unikernels",
      ({ request, query }) => ({
        unikernels: orchestrator.list(
          actorFor(request),
          query.path === undefined ? {} : { path: pathIn(query.path) },
        ),
      }),
      { query: t.Object({ path: t.Optional(t.String()) }), detail: { tags, summary: "List unikernels" } },
    )
    .post(
      "/unikernels",
      async ({ request, body, set }) => {
        const { name, image, config = {}, ...options } = body;
        const wanted = { ...options, name: newName(name), image: image as Sha256Type, config };
        const started = granted(await orchestrator.create(actorFor(request), wanted));
        set.status = 201;
        return startedJson(started);
      },
      { body: Create, detail: { tags, summary: "Create a unikernel from an image that was uploaded" } },
    )
    .post("/deploy", ({ request }) => deployUpload(context, request), {
      parse: "none",
      detail: {
        tags,
        summary: "Upload an image and create a unikernel of it",
        description:
          "multipart/form-data with the parts `name`, `image` (the file) and, in any order, `config` (JSON), `replace` and `start` (true or false).",
      },
    })
    .get(
      "/unikernels/:name",
      ({ request, params }) => granted(orchestrator.inspect(actorFor(request), nameIn(params.name))),
      {
        params: Name,
        detail: { tags, summary: "One unikernel" },
      },
    )
    .patch(
      "/unikernels/:name",
      async ({ request, params, body }) => {
        const { image, ...update } = body;
        const wanted = image === undefined ? update : { ...update, image: image as Sha256Type };
        return startedJson(
          granted(await orchestrator.updateConfig(actorFor(request), nameIn(params.name), wanted)),
        );
      },
      {
        params: Name,
        body: Update,
        detail: { tags, summary: "Change memory, arguments, networks, volumes … without another upload" },
      },
    )
    .delete(
      "/unikernels/:name",
      async ({ request, params, query }) =>
        granted(
          await orchestrator.remove(actorFor(request), nameIn(params.name), { force: query.force === true }),
        ),
      {
        params: Name,
        query: t.Object({ force: t.Optional(t.Boolean({ description: "stop it first" })) }),
        detail: { tags, summary: "Remove a unikernel; volumes stay" },
      },
    )
    .post(
      "/unikernels/:name/start",
      async ({ request, params, query }) =>
        startedJson(granted(await orchestrator.start(actorFor(request), nameIn(params.name), query))),
      { params: Name, query: t.Object({ wait: Wait }), detail: { tags, summary: "Start it" } },
    )
    .post(
      "/unikernels/:name/stop",
      async ({ request, params, query }) =>
        granted(await orchestrator.stop(actorFor(request), nameIn(params.name), query)),
      {
        params: Name,
        query: t.Object({ graceMs: t.Optional(t.Integer({ minimum: 0, maximum: 600_000 })) }),
        detail: { tags, summary: "Stop it, by force after the grace" },
      },
    )
    .post(
      "/unikernels/:name/restart",
      async ({ request, params, query }) =>
        startedJson(granted(await orchestrator.restart(actorFor(request), nameIn(params.name), query))),
      { params: Name, query: t.Object({ wait: Wait }), detail: { tags, summary: "Stop it and start it" } },
    )
    .post(
      "/unikernels/:name/rename",
      async ({ request, params, body }) =>
        granted(await orchestrator.rename(actorFor(request), nameIn(params.name), newName(body.to))),
      {
        params: Name,
        body: t.Object({ to: t.String({ maxLength: 500 }) }),
        detail: { tags, summary: "Give it another name, or another path" },
      },
    );
}
