/**
 * Pictures of builds, each a small page that stands alone and fits into a frame of our own pages.
 * Source: builder-web's routes viztreemap and vizdependencies.
 */
import { Elysia } from "elysia";
import type { VNode } from "preact";
import { DependencyGraph } from "../../../web/components/dependency-graph.tsx";
import { Treemap, pathIn } from "../../../web/components/treemap.tsx";
import { NoVisualisationPage, VisualisationPage } from "../../../web/pages/visualisation.tsx";
import { sha256Of } from "../../lib/sha256-of.ts";
import { type Build, parseBuildId } from "../../store/api.ts";
import { type Visualisations, openVisualisations } from "../../store/visualisations/visualisations.ts";
import { visitOf } from "../access/visit.ts";
import { buildPath } from "../builds/paths.ts";
import { isKnown } from "../builds/serve-content.ts";
import type { ServerContext } from "../context.ts";
import { FRAMED_BY_US } from "../http/headers.ts";
import { html, pageContext } from "../pages/render.tsx";

const opened = new WeakMap<ServerContext["builds"], Visualisations>();

/** The server's own: one thread draws for all routes. It ends when the server does. */
export function visualisationsOf({
  db,
  builds,
  contents,
  now,
  stopping,
}: Pick<ServerContext, "db" | "builds" | "contents" | "now" | "stopping">): Visualisations {
  const known = opened.get(builds);
  if (known !== undefined) return known;
  const visualisations = openVisualisations(db, builds, contents, { now });
  opened.set(builds, visualisations);
  stopping.addEventListener("abort", () => void visualisations[Symbol.asyncDispose](), { once: true });
  return visualisations;
}

export function visualisationRoutes(context: ServerContext) {
  const hidden = { detail: { hide: true } };
  return new Elysia({ name: "visualisations" })
    .get(
      "/job/:job/build/:build/viztreemap",
      ({ request, params }) => answer(context, request, params, treemapPage),
      hidden,
    )
    .get(
      "/job/:job/build/:build/vizdependencies",
      ({ request, params }) => answer(context, request, params, dependenciesPage),
      hidden,
    );
}

interface Drawn {
  readonly title: string;
  readonly picture: VNode;
}

type Draw = (
  context: ServerContext,
  request: Request,
  build: Build,
) => Promise<Drawn | { readonly missing: string }>;

async function answer(
  context: ServerContext,
  request: Request,
  params: { readonly job: string; readonly build: string },
  draw: Draw,
): Promise<Response> {
  const page = pageContext(request, visitOf(request), context.now());
  const id = parseBuildId(params.build);
  const build = id === undefined ? undefined : context.builds.build(id);
  const drawn =
    build === undefined ? { missing: "there is no such build" } : await draw(context, request, build);
  const back =
    build === undefined
      ? undefined
      : { href: buildPath(build), name: `${build.job}, build ${build.id.slice(0, 8)}` };
  if (back === undefined || "missing" in drawn) {
    const message = "missing" in drawn ? drawn.missing : "";
    const where = back === undefined ? {} : { back };
    return html(<NoVisualisationPage page={page} message={message} {...where} />, 404, FRAMED_BY_US);
  }
  const whole = html(
    <VisualisationPage page={page} title={drawn.title} back={back}>
      {drawn.picture}
    </VisualisationPage>,
  );
  const body = await whole.text();
  const tag = sha256Of(body).slice(0, 32);
  const headers = {
    ...FRAMED_BY_US,
    etag: `"${tag}"`,
    // It changes with this program, with the theme that the visitor chose, and not otherwise.
    "cache-control": "private, no-cache",
  };
  if (isKnown(request.headers.get("if-none-match"), tag)) return new Response(null, { status: 304, headers });
  return new Response(body, { headers: { ...headers, "content-type": "text/html; charset=utf-8" } });
}

async function treemapPage(context: ServerContext, request: Request, build: Build) {
  const outcome = await visualisationsOf(context).treemap(build);
  if (!outcome.ok) return { missing: outcome.message };
  const { search, searchParams } = new URL(request.url);
  const picture = (
    <Treemap
      picture={outcome.picture}
      source={`${buildPath(build)}/viztreemap`}
      at={pathIn(search)}
      isFine={searchParams.has("fine")}
      {...(build.main === undefined ? {} : { binarySize: build.main.size })}
    />
  );
  return { title: `Where the bytes of ${build.job} go`, picture };
}

async function dependenciesPage(context: ServerContext, request: Request, build: Build) {
  const outcome = await visualisationsOf(context).dependencies(build);
  if (!outcome.ok) return { missing: outcome.message };
  const at = new URL(request.url).searchParams.get("at");
  const picture = (
    <DependencyGraph
      picture={outcome.picture}
      source={`${buildPath(build)}/vizdependencies`}
      {...(at === null ? {} : { at })}
    />
  );
  return { title: `What ${build.job} depends on`, picture };
}
