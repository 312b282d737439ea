/** Two builds compared, as a page and in the original's JSON; and the choice of the two. */
import { ChoosePage, ComparePage, type Inside } from "../../../web/pages/compare.tsx";
import { type Build, parseBuildId, parseJobName } from "../../store/api.ts";
import { type Comparison, compareBuilds } from "../../store/comparison/comparison.ts";
import { comparableOf } from "../../store/comparison/load-comparable.ts";
import { originalJson } from "../../store/comparison/original-json.ts";
import { type Section, sectionsOf } from "../../store/comparison/sections.ts";
import { debugArtifact } from "../../store/visualisations/visualisations.ts";
import { visitOf } from "../access/visit.ts";
import { buildByPrefix, existingBuild } from "../builds/find.ts";
import { lookInside } from "../builds/look-inside.ts";
import { json, redirect, wantsJson } from "../builds/negotiate.ts";
import { comparePath } from "../builds/paths.ts";
import type { ServerContext } from "../context.ts";
import { html, pageContext } from "./render.tsx";

/** Builds that are offered to be chosen. */
const CHOICES = 100;

interface Asked {
  readonly request: Request;
  readonly params: { readonly left: string; readonly right: string };
}

/** `left` is by custom the older one. */
export async function compared({ builds, contents }: ServerContext, left: Build, right: Build) {
  const [l, r] = await Promise.all([
    comparableOf(builds, contents, left),
    comparableOf(builds, contents, right),
  ]);
  return compareBuilds(l, r);
}

/** Throws HttpError 404. */
export async function comparePage(context: ServerContext, { request, params }: Asked): Promise<Response> {
  if (parseBuildId(params.left) === undefined || parseBuildId(params.right) === undefined) {
    const ids = [params.left, params.right].map((text) => buildByPrefix(context, text).id);
    return redirect(302, comparePath(ids[0]!, ids[1]!));
  }
  const left = existingBuild(context, params.left);
  const right = existingBuild(context, params.right);
  const outside = await compared(context, left, right);
  if (wantsJson(request)) return json(originalJson(outside));
  const isAsked = new URL(request.url).searchParams.has("binary");
  const { comparison, complaint } = isAsked
    ? await lookInside(context, outside, left, right)
    : { comparison: outside, complaint: undefined };
  return html(
    <ComparePage
      page={{
        ...pageContext(request, visitOf(request), context.now()),
        path: comparePath(left.id, right.id),
      }}
      {...{ left, right }}
      sections={sectionsOf(comparison)}
      inside={insideOf(comparison, { left, right, isAsked, complaint })}
      others={context.builds.buildsOf(right.job, { limit: CHOICES, kind: "all" })}
    />,
    200,
    { vary: "Accept" },
  );
}

interface Asking {
  readonly left: Build;
  readonly right: Build;
  readonly isAsked: boolean;
  readonly complaint: string | undefined;
}

/** Packages of an operating system have nothing inside that is worth the look. */
function insideOf(
  { isSameOutput }: Comparison,
  { left, right, isAsked, complaint }: Asking,
): Inside | undefined {
  if (isSameOutput !== false) return undefined;
  if (isAsked) return { state: "shown", complaint };
  const isProgram = (build: Build) => build.solo5 !== undefined || debugArtifact(build) !== undefined;
  return isProgram(left) && isProgram(right) ? { state: "offered" } : undefined;
}

/** `/compare?left=…&right=…` leads to the two; without them a job and then its builds are chosen. */
export function choosePage(context: ServerContext, request: Request): Response {
  const { searchParams } = new URL(request.url);
  const left = searchParams.get("left");
  const right = searchParams.get("right");
  if (left !== null && right !== null) {
    return redirect(302, comparePath(buildByPrefix(context, left).id, buildByPrefix(context, right).id));
  }
  const { builds } = context;
  const job = known(context, searchParams.get("job"));
  return html(
    <ChoosePage
      page={pageContext(request, visitOf(request), context.now())}
      {...{ job, jobs: builds.jobs() }}
      builds={job === undefined ? [] : builds.buildsOf(job, { limit: CHOICES, kind: "all" })}
    />,
  );
}

/** The sections that say something, cut to their first lines: what changed since the build before. */
export async function changesSince(context: ServerContext, before: Build, build: Build): Promise<Section[]> {
  const sections = sectionsOf(await compared(context, before, build));
  return sections.filter(({ count, anchor }) => count > 0 && anchor !== "console");
}

function known({ builds }: ServerContext, text: string | null) {
  const name = parseJobName(text ?? "");
  return name === undefined ? undefined : builds.job(name)?.name;
}
