/** The images that unikernels are made of. */
import { Elysia, t } from "elysia";
import type { ImageView, Sha256 as Sha256Type } from "../../orchestrator/api.ts";
import { type PolicyPath, ROOT_PATH, isNameWithin } from "../../orchestrator/names.ts";
import { visitOf } from "../access/visit.ts";
import type { ServerContext } from "../context.ts";
import type { BuildId } from "../../store/api.ts";
import { HttpError, notFound } from "../http/http-error.ts";
import { actorFor, granted } from "./ask.ts";
import { Sha256 } from "./schemas.ts";

const tags = ["images"];
const UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";
const Params = t.Object({ sha256: Sha256 });

/** An image as somebody of that path may see it: without the names of other people's unikernels. */
function seenFrom(path: PolicyPath, image: ImageView): ImageView {
  return { ...image, usedBy: image.usedBy.filter((name) => isNameWithin(name, path)) };
}

export function imageRoutes({ orchestrator, builds, contents }: ServerContext) {
  return new Elysia({ name: "images", prefix: "/api/v1" })
    .get(
      "/images",
      ({ request }) => {
        const { path } = visitOf(request).principal;
        const seen = orchestrator.images.list().map((image) => seenFrom(path, image));
        return { images: seen.filter(({ usedBy }) => path === ROOT_PATH || usedBy.length > 0) };
      },
      { detail: { tags, summary: "Images that are kept" } },
    )
    .post(
      "/images",
      async ({ request, set }) => {
        const actor = actorFor(request);
        if (request.body === null)
          throw new HttpError(400, "empty", "there is no image in the request's body");
        const image = granted(await orchestrator.images.put(actor, request.body));
        set.status = 201;
        return seenFrom(actor.path, image);
      },
      {
        parse: "none",
        detail: {
          tags,
          summary: "Upload an image",
          description:
            "The body is the file itself, of any size; it is kept once it is whole and a unikernel.",
        },
      },
    )
    .post(
      "/images/from-build",
      async ({ request, body, set }) => {
        const actor = actorFor(request);
        const build = builds.build(body.build as BuildId);
        if (build?.main === undefined) throw notFound(`build ${body.build} with a main binary`);
        const { path } = build.main;
        const content = builds.artifact(build.id, path)?.content;
        if (content === undefined) throw notFound(`${path} any more: only its SHA-256 is known`);
        const image = granted(await orchestrator.images.put(actor, contents.read(content)));
        set.status = 201;
        return seenFrom(actor.path, image);
      },
      {
        body: t.Object({ build: t.String({ pattern: UUID }) }),
        detail: { tags, summary: "Make an image of a build's main binary" },
      },
    )
    .get(
      "/images/:sha256",
      ({ request, params }) =>
        seenFrom(
          visitOf(request).principal.path,
          granted(orchestrator.images.inspect(params.sha256 as Sha256Type)),
        ),
      { params: Params, detail: { tags, summary: "One image" } },
    )
    .get(
      "/images/:sha256/content",
      ({ params }) => {
        const sha256 = params.sha256 as Sha256Type;
        const { size, target } = granted(orchestrator.images.inspect(sha256));
        const name = `${sha256.slice(0, 12)}.${target}`;
        return new Response(granted(orchestrator.images.read(sha256)), {
          headers: {
            "content-type": "application/octet-stream",
            "content-length": String(size),
            "content-disposition": `attachment; filename="${name}"`,
            "cache-control": "private, max-age=31536000, immutable",
            etag: `"${sha256}"`,
          },
        });
      },
      { params: Params, detail: { tags, summary: "The image's bytes" } },
    );
}
