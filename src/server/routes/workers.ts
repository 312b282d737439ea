/** The workers: who they are; and what they say: give me work, here are lines, this is the end. */
import { Elysia, t } from "elysia";
import type { BuildResult } from "../../builds/api.ts";
import type { SandboxOrigin } from "../../builds/sandbox/api.ts";
import { decodeLines } from "../../builds/runs/console.ts";
import type { CollectedFile } from "../../builds/runs/keep.ts";
import { HERE } from "../../builds/runs/worker-list.ts";
import { sha256Of } from "../../lib/sha256-of.ts";
import { type BuildId, type ContentSession, parseBuildId } from "../../store/api.ts";
import { visitOf } from "../access/visit.ts";
import type { ServerContext } from "../context.ts";
import { HttpError } from "../http/http-error.ts";
import { given, platformIn } from "./build-answers.ts";
import { BodyReader } from "./body-reader.ts";

const tags = ["workers"];
/** How long a request for work is left unanswered. */
const TAKE_WAIT_MS = 25_000;
/** A request's lines: one of the longest, and as many as a worker puts together. */
const LINES_MAX = 4 * 1024 * 1024;
/** The names of a build's files. */
const HEADER_MAX = 16 * 1024 * 1024;
/** Of the list of a root file system\'s packages, which has some hundred lines. */
const PACKAGES_MAX = 1024 * 1024;
const FILES_MAX = 20_000;
const Uuid = t.String({ pattern: "^[0-9a-f-]{36}$" });

export function workerRoutes({ buildService: service, stopping }: ServerContext) {
  return new Elysia({ name: "workers", prefix: "/api/v1" })
    .get("/workers", () => ({ workers: service.desk.workers() }), {
      detail: { tags, summary: "Workers that were heard of lately" },
    })
    .post(
      "/worker/take",
      async ({ request, body: { name, instance, platforms, ticket } }) => {
        const visit = visitOf(request);
        visit.peer.keepOpen();
        const assignment = await service.desk.take(
          {
            ...{ name, instance },
            platforms: platforms.map(platformIn),
            link: "http",
            address: visit.peer.via === "socket" ? HERE : visit.address,
          },
          { ticket, waitMs: TAKE_WAIT_MS, signal: AbortSignal.any([request.signal, stopping]) },
        );
        return { assignment: assignment ?? null };
      },
      {
        body: t.Object({
          name: t.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$" }),
          instance: t.Optional(
            t.String({ pattern: "^[0-9a-f-]{36}$", description: "tells processes of one name apart" }),
          ),
          platforms: t.Array(t.String({ maxLength: 128 }), { minItems: 1, maxItems: 64 }),
          ticket: t.String({ pattern: "^[0-9a-f-]{36}$", description: "the same when the answer was lost" }),
        }),
        detail: { tags, summary: "Work for a worker; null after a while" },
      },
    )
    .post(
      "/worker/lines",
      async ({ request, query: { uuid, from } }) => {
        const reader = new BodyReader(request.body);
        const lines = decodeLines(await reader.rest(LINES_MAX));
        if (lines === undefined) throw new HttpError(400, "unreadable", "the body is no console lines");
        return given(service.desk.append(buildIn(uuid), from, lines));
      },
      {
        parse: "none",
        query: t.Object({ uuid: Uuid, from: t.Integer({ minimum: 0 }) }),
        detail: { tags, summary: "Console lines, and a sign of life without any" },
      },
    )
    .post(
      "/worker/finish",
      async ({ request, query: { uuid } }) => {
        visitOf(request).peer.keepOpen();
        const build = buildIn(uuid);
        const known = given(service.desk.ended(build));
        if (known !== undefined) return known;
        await using session = service.session();
        const { result, files, sandbox } = await readFinish(new BodyReader(request.body), session);
        return given(await service.desk.finish(build, result, files, sandbox));
      },
      {
        parse: "none",
        query: t.Object({ uuid: Uuid }),
        detail: { tags, summary: "A run's end: a line of JSON, and its files' bytes behind it" },
      },
    );
}

/** Throws HttpError 422. */
function buildIn(text: string): BuildId {
  const id = parseBuildId(text);
  if (id !== undefined) return id;
  throw new HttpError(422, "invalid", `${JSON.stringify(text)} is no UUID`);
}

const bad = (why: string) => new HttpError(400, "unreadable", "this is not the end of a run", { why });

async function readFinish(
  reader: BodyReader,
  session: ContentSession,
): Promise<{ result: BuildResult; files: CollectedFile[]; sandbox?: SandboxOrigin }> {
  const { result, files, sandbox } = readHeader(await reader.line(HEADER_MAX));
  const collected: CollectedFile[] = [];
  for (const { path, size } of files) {
    await using writer = session.writer();
    for await (const piece of reader.take(size)) await writer.write(piece);
    collected.push({ path, content: await writer.finish({ size }) });
  }
  return { result, files: collected, ...(sandbox === undefined ? {} : { sandbox }) };
}

interface FinishHeader {
  readonly result: BuildResult;
  readonly files: readonly { readonly path: string; readonly size: number }[];
  readonly sandbox: SandboxOrigin | undefined;
}

function readHeader(line: Uint8Array): FinishHeader {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder().decode(line));
  } catch {
    throw bad("its first line is no JSON");
  }
  const { result, files, sandbox } = (header ?? {}) as Readonly<Record<string, unknown>>;
  if (!isResult(result)) throw bad("it has no result");
  if (!Array.isArray(files) || files.length > FILES_MAX || !files.every(isFile))
    throw bad("its files are no list");
  if (sandbox !== undefined && !isOrigin(sandbox)) throw bad("its sandbox is none");
  return { result, files, sandbox };
}

function isOrigin(sandbox: unknown): sandbox is SandboxOrigin {
  const { kind, packagesSha256, packages, description } = (sandbox ?? {}) as Readonly<
    Record<string, unknown>
  >;
  if (!["bwrap", "docker", "podman", "unsafe"].includes(String(kind))) return false;
  if (typeof description !== "string" || description.length > 1000) return false;
  if (packages !== undefined && !(typeof packages === "string" && packages.length <= PACKAGES_MAX))
    return false;
  if (packagesSha256 === undefined) return packages === undefined;
  if (typeof packagesSha256 !== "string" || !/^[0-9a-f]{64}$/.test(packagesSha256)) return false;
  return packages === undefined || sha256Of(packages) === packagesSha256;
}

function isFile(file: unknown): file is { path: string; size: number } {
  const { path, size } = (file ?? {}) as { path?: unknown; size?: unknown };
  if (typeof path !== "string" || path === "" || path.length > 4096 || path.includes("\0")) return false;
  if (path.split("/").some((part) => part === "" || part === "." || part === "..")) return false;
  return typeof size === "number" && Number.isSafeInteger(size) && size >= 0;
}

function isResult(result: unknown): result is BuildResult {
  const { kind, code, signal, text } = (result ?? {}) as Readonly<Record<string, unknown>>;
  if (kind === "exited") return Number.isSafeInteger(code);
  if (kind === "signalled" || kind === "stopped") return Number.isSafeInteger(signal);
  return kind === "message" && typeof text === "string" && text.length <= 10_000;
}
