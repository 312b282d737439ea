/** A build's page and its console's, its JSON, and what administrators do on it. */
import { LogPage } from "../../../web/pages/console-text.tsx";
import { BuildPage, type BuildPageProps } from "../../../web/pages/build.tsx";
import { BuildShellPage } from "../../../web/pages/build-shell.tsx";
import { keptOf } from "../../builds/sandbox/kept.ts";
import { parseBuildId } from "../../store/api.ts";
import type { Build, BuildSummary } from "../../store/api.ts";
import type { Section } from "../../store/comparison/sections.ts";
import { BUNDLE } from "../assets.ts";
import { formatPublicKey } from "../../trust/keys.ts";
import { ownKey } from "../../trust/records.ts";
import { statementsAboutBuild } from "../../trust/listing.ts";
import { rebuildCounts, reproductionsOf } from "../../trust/reproductions.ts";
import { visitOf } from "../access/visit.ts";
import { consolePart, consoleTail } from "../builds/console-lines.ts";
import { buildByPrefix, existingBuild, isOfJob } from "../builds/find.ts";
import { json, redirect, wantsJson } from "../builds/negotiate.ts";
import { originOf } from "../builds/origin.ts";
import { buildJson } from "../builds/original-json.ts";
import { buildPath, jobPath, restOf } from "../builds/paths.ts";
import { runCommands } from "../builds/run-commands.ts";
import type { ServerContext } from "../context.ts";
import { changesSince } from "./compare-page.tsx";
import { FRAMES_OURS, HAS_TERMINAL } from "../http/headers.ts";
import { mayDo } from "./may-do.ts";
import { html, pageContext, readForm, seeOther } from "./render.tsx";

interface Asked {
  readonly request: Request;
  readonly params: { readonly job: string; readonly build: string };
}

const TAIL_LINES = 20;
/** Rebuilds that are listed; all of them are in the API. */
const REBUILDS = 10;
const LOG_LINES = 2000;
/** Bytes of a script that are shown on the page. */
const SCRIPT_LIMIT = 64 * 1024;

/** The build; or, for another job's name or a part of the id, where it is. Throws HttpError 404, 409. */
function ofAddress(context: ServerContext, { request, params }: Asked): Build | Response {
  const isWhole = parseBuildId(params.build) !== undefined;
  const build = isWhole ? existingBuild(context, params.build) : buildByPrefix(context, params.build);
  if (isWhole && isOfJob(build, params.job)) return build;
  const rest = restOf(request, 4);
  return redirect(302, rest === "" ? buildPath(build) : `${buildPath(build)}/${rest}`);
}

/** Throws HttpError 404. */
export async function buildPage(context: ServerContext, asked: Asked): Promise<Response> {
  const build = ofAddress(context, asked);
  if (build instanceof Response) return build;
  const { request } = asked;
  if (wantsJson(request)) return json(buildJson(build));
  const { builds, contents } = context;
  const visit = visitOf(request);
  const mayAdminister = visit.principal.scopes.has("admin");
  const isStranger = visit.principal.kind === "anonymous";
  const neighbours = builds.neighbours(build);
  const lastGood = build.main === undefined ? goodBefore(context, build) : undefined;
  const script =
    build.script.size > SCRIPT_LIMIT
      ? undefined
      : new TextDecoder().decode(await contents.bytes(build.script, SCRIPT_LIMIT));
  return html(
    <BuildPage
      page={{ ...pageContext(request, visit, context.now()), path: buildPath(build) }}
      {...{ build, script }}
      neighbours={neighbours}
      changes={await changesOf(context, neighbours.previous ?? lastGood, build)}
      reproductions={builds.reproductions(build)}
      rebuilds={reproductionsOf(context.db, build.id, REBUILDS)}
      counts={rebuildCounts(context.db, build.id)}
      statements={statementsAboutBuild(context.db, build.id, build.main?.sha256, isStranger)}
      origin={originOf(request)}
      ownKey={formatPublicKey(ownKey(context.db, context.now()).public)}
      tail={await consoleTail(contents, build.console, TAIL_LINES)}
      commands={runCommands(build, originOf(request))}
      {...{ lastGood, mayAdminister }}
      hasSandbox={mayAdminister && keptOf(context.dataDirectory, build.id) !== undefined}
      mayStart={mayDo(request).operate && context.buildService.job(build.job) !== undefined}
    />,
    200,
    { vary: "Accept", ...FRAMES_OURS },
  );
}

/** What changed since an earlier build; of a failed one its inputs, which may tell why. */
async function changesOf(
  context: ServerContext,
  since: BuildSummary | undefined,
  build: Build,
): Promise<BuildPageProps["changes"]> {
  const before = since === undefined ? undefined : context.builds.build(since.id);
  if (before === undefined) return undefined;
  const sections = await changesSince(context, before, build);
  const isKnown = ({ anchor }: Section) => anchor === "result" || anchor === "files";
  return {
    since: before,
    sections: build.main === undefined ? sections.filter((section) => !isKnown(section)) : sections,
  };
}

/** The newest good build before a failed one, on its platform, as far as it is among the last ones. */
function goodBefore(
  { builds }: ServerContext,
  { job, platform, startedAt }: Build,
): BuildSummary | undefined {
  return builds
    .buildsOf(job, { platform, kind: "successful", limit: 200 })
    .find((other) => other.startedAt < startedAt);
}

export async function logPage(context: ServerContext, asked: Asked): Promise<Response> {
  const build = ofAddress(context, asked);
  if (build instanceof Response) return build;
  const { request } = asked;
  const { searchParams } = new URL(request.url);
  const query = (searchParams.get("q") ?? "").slice(0, 200);
  const part = Math.max(Number(/^\d{1,6}$/.exec(searchParams.get("part") ?? "")?.[0] ?? 1), 1);
  const wanted = { first: (part - 1) * LOG_LINES, count: LOG_LINES, query };
  const { lines, total } = await consolePart(context.contents, build.console, wanted);
  const page = { ...pageContext(request, visitOf(request), context.now()), path: buildPath(build) };
  return html(<LogPage {...{ page, build, lines, total, part, query }} perPage={LOG_LINES} />);
}

/** The shell in the sandbox that it left. */
export function shellPage(context: ServerContext, asked: Asked): Response {
  const build = ofAddress(context, asked);
  if (build instanceof Response) return build;
  const { request } = asked;
  const page = {
    ...pageContext(request, visitOf(request), context.now()),
    path: `${buildPath(build)}/shell`,
  };
  const kept = keptOf(context.dataDirectory, build.id);
  return html(
    <BuildShellPage {...{ page, build, kept }} style={BUNDLE.terminalStyle} />,
    kept === undefined ? 404 : 200,
    HAS_TERMINAL,
  );
}

export async function pinFromForm(context: ServerContext, { request, params }: Asked): Promise<Response> {
  const build = existingBuild(context, params.build);
  const fields = await readForm(request);
  context.builds.pin(build.id, fields.get("pinned") === "yes");
  return seeOther(buildPath(build));
}

export async function removeFromForm(context: ServerContext, { request, params }: Asked): Promise<Response> {
  const build = existingBuild(context, params.build);
  await readForm(request);
  context.builds.remove(build.id);
  return seeOther(context.builds.job(build.job) === undefined ? "/all-builds" : jobPath(build.job));
}
