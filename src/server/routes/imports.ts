/**
 * Imports: from directories of this machine, which only an administrator may name, and from other servers. The answer
 * comes line by line while the import runs, and whoever goes away ends it; the next time it goes on.
 */
import { Elysia, t } from "elysia";
import { isAbsolute } from "node:path";
import { fetchBuildStatements } from "../../builds/attestations/fetch-statements.ts";
import { RoburError } from "../../lib/errors.ts";
import { parseBuildId, parseJobName } from "../../store/api.ts";
import { type ImportLine, type ImportRequest, runImport } from "../../store/import/run-import.ts";
import { unreproducible } from "../../store/import/unreproducible.ts";
import { parseRemoteAddress } from "../../store/remotes/remote-address.ts";
import { visitOf } from "../access/visit.ts";
import type { ServerContext } from "../context.ts";
import { problemOf } from "../http/error-response.ts";
import { HttpError } from "../http/http-error.ts";

const tags = ["imports"];
/** A silent stream is cut by proxies. */
const STILL_HERE_MS = 10_000;
/** Progress is told at most so often; notes and damage always. */
const PROGRESS_MS = 100;
const LISTED = 1000;

const Path = t.String({ minLength: 1, maxLength: 4096, description: "absolute, of the server's machine" });
const Url = t.String({ maxLength: 500 });
const Job = t.String({ maxLength: 128 });
const Body = t.Union([
  t.Object({ kind: t.Literal("builder-web"), path: Path }),
  t.Object({ kind: t.Literal("records"), path: Path }),
  t.Object({
    kind: t.Literal("remote"),
    url: Url,
    jobs: t.Optional(t.Array(Job, { minItems: 1, maxItems: 10_000 })),
    limit: t.Optional(t.Integer({ minimum: 1, maximum: 1_000_000 })),
  }),
  t.Object({ kind: t.Literal("build"), url: Url, job: Job, id: t.String({ minLength: 36, maxLength: 36 }) }),
]);

export function importRoutes(context: ServerContext) {
  return new Elysia({ name: "imports", prefix: "/api/v1" })
    .post("/imports", ({ body, request }) => streamImport(context, request, readRequest(body)), {
      body: Body,
      detail: {
        tags,
        summary: "Import builds",
        description:
          "From a builder-web's data directory, from builder's records, or from another server. The answer is " +
          "a line of JSON for each event, the last one `done` or `failed`.",
      },
    })
    .get("/unreproducible", () => ({ found: unreproducible(context.db, LISTED) }), {
      detail: { tags: ["builds"], summary: "Builds with the same inputs and different outputs" },
    });
}

/** Throws HttpError 422, RemoteError. */
function readRequest(body: typeof Body.static): ImportRequest {
  if (body.kind === "builder-web" || body.kind === "records") {
    if (isAbsolute(body.path)) return body;
    throw new HttpError(422, "invalid", `${body.path} is no absolute path`);
  }
  const remote = parseRemoteAddress(body.url);
  if (body.kind === "remote") {
    return { kind: "remote", remote, jobs: body.jobs?.map(jobOf), limit: body.limit };
  }
  const id = parseBuildId(body.id);
  if (id === undefined) throw new HttpError(422, "invalid", `${body.id} is no build's id`);
  return { kind: "build", remote, job: jobOf(body.job), id };
}

function jobOf(text: string) {
  const job = parseJobName(text);
  if (job === undefined) throw new HttpError(422, "invalid", `${JSON.stringify(text)} can't be a job's name`);
  return job;
}

function streamImport(context: ServerContext, request: Request, wanted: ImportRequest): Response {
  const visit = visitOf(request);
  visit.peer.keepOpen();
  const called = new AbortController();
  const signal = AbortSignal.any([called.signal, context.stopping]);
  const encoder = new TextEncoder();
  let timer: Timer | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      let told = 0;
      const say = (line: ImportLine) => {
        const now = performance.now();
        if (line.kind === "progress" && now - told < PROGRESS_MS && line.done !== line.total) return;
        if (line.kind === "progress") told = now;
        if (!called.signal.aborted) controller.enqueue(encoder.encode(`${JSON.stringify(line)}\n`));
      };
      // An empty line says nothing, and keeps the stream alive.
      timer = setInterval(
        () => called.signal.aborted || controller.enqueue(encoder.encode("\n")),
        STILL_HERE_MS,
      );
      const uploadedBy = visit.principal.user?.name ?? visit.principal.who;
      void runImport(context, wanted, { report: say, signal, now: context.now, uploadedBy })
        .then(async (summary) => {
          if (wanted.kind === "build") {
            await fetchBuildStatements(context.db, wanted.remote, wanted, context.now());
          }
          context.log("info", "import ended", { kind: wanted.kind, ...summary });
          say({ kind: "done", summary });
        })
        .catch((error: unknown) => {
          const { code, message, why, hint } = problemOf(error);
          if (!(error instanceof RoburError)) context.log("error", "import failed", { why: String(error) });
          say({ kind: "failed", code, message, why, hint });
        })
        .finally(() => {
          clearInterval(timer);
          if (!called.signal.aborted) controller.close();
        });
    },
    cancel() {
      clearInterval(timer);
      called.abort();
    },
  });
  return new Response(body, {
    headers: { "content-type": "application/x-ndjson; charset=utf-8", "x-accel-buffering": "no" },
  });
}
