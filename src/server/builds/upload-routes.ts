/** The original's uploads: an exec document, or one binary. Bodies are raw, whatever their type is said to be. */
import { Elysia } from "elysia";
import type { Build, UploadOutcome, UploadRefusal } from "../../store/api.ts";
import { type BuildId, type JobName, parseJobName, parsePlatform } from "../../store/api.ts";
import { visitOf } from "../access/visit.ts";
import { mayUpload } from "../accounts/upload-access.ts";
import type { ServerContext } from "../context.ts";
import { runUploadScripts } from "../hooks/upload-scripts.ts";
import { HttpError } from "../http/http-error.ts";
import { noteBuild } from "./note-build.ts";
import { buildPath } from "./paths.ts";
import { uploadBody } from "./slow-body.ts";

const STATUS: Record<UploadRefusal["code"], number> = {
  "bad-record": 400,
  "wrong-hash": 400,
  "not-permitted": 403,
  exists: 409,
  "too-large": 413,
};

/** Whether whoever asks may upload builds of a job. */
export function uploadRight({ db }: Pick<ServerContext, "db">, request: Request): (job: JobName) => boolean {
  const { user } = visitOf(request).principal;
  return (job) => mayUpload(db, user, job);
}

/** Who it is said to be from: the user, also where a token or the socket was used. */
export function uploaderOf(request: Request): string {
  const { user, who } = visitOf(request).principal;
  return user?.name ?? who;
}

/** The build, told of; or the refusal as an error. */
export function stored(context: ServerContext, outcome: UploadOutcome): Build {
  if (outcome.ok) {
    noteBuild(context, outcome.build);
    void runUploadScripts(context, outcome.build);
    return outcome.build;
  }
  const { code, message, existing } = outcome.refusal;
  if (code === "exists" && existing !== undefined) {
    throw new HttpError(409, "exists", `Build with same uuid exists: ${existing.job}(${existing.id})`);
  }
  throw new HttpError(STATUS[code], code, message);
}

export function notPermitted(job: string): HttpError {
  return new HttpError(403, "not-permitted", `you may not upload builds of ${job}`, {
    hint: "an administrator can change that: robur user access add USER JOB",
  });
}

/** The body of an upload. Throws HttpError 400 where there is none. */
export function bodyOf(request: Request): ReadableStream<Uint8Array> {
  const body = uploadBody(request);
  if (body === null) throw new HttpError(400, "empty", "there is nothing in the request's body");
  return body;
}

function created(build: Build): Response {
  return new Response(null, {
    status: 201,
    headers: { location: buildPath(build), "content-length": "0" },
  });
}

async function uploadRecord(context: ServerContext, request: Request): Promise<Response> {
  const outcome = await context.builds.upload(bodyOf(request), {
    mayUpload: uploadRight(context, request),
    uploadedBy: uploaderOf(request),
  });
  return created(stored(context, outcome));
}

interface Manual {
  readonly request: Request;
  readonly params: { readonly job: string; readonly platform: string };
}

async function uploadBinary(context: ServerContext, { request, params }: Manual): Promise<Response> {
  const job = parseJobName(params.job);
  const platform = parsePlatform(params.platform);
  if (job === undefined || platform === undefined) {
    throw new HttpError(400, "bad-record", "the job's or the platform's name can't be one", {
      why: "a name has letters, digits and . _ + -, the first a letter or digit",
    });
  }
  const name = binaryName(new URL(request.url).searchParams.get("binary_name") ?? `${job}.bin`);
  if (!uploadRight(context, request)(job)) throw notPermitted(job);
  await using session = context.contents.session();
  const content = await session.put(uploadBody(request) ?? new Uint8Array());
  const at = context.now();
  const outcome = await context.builds.add({
    ...{ job, platform, startedAt: at, finishedAt: at, console: [], uploadedBy: uploaderOf(request) },
    id: crypto.randomUUID() as BuildId,
    script: new TextEncoder().encode("# This artifact was manually built\n"),
    result: { kind: "exited", code: 0 },
    files: [{ path: `bin/${name}`, content }],
  });
  return created(stored(context, outcome));
}

/** One segment of a path, once `.` and empty ones are left out. Throws HttpError 400. */
function binaryName(text: string): string {
  const segments = text.split("/").filter((segment) => segment !== "" && segment !== ".");
  const [name = "", ...more] = segments;
  // oxlint-disable-next-line no-control-regex
  if (name === "" || name === ".." || more.length > 0 || name.length > 255 || /[\0-\x1f\x7f]/.test(name)) {
    throw new HttpError(400, "bad-record", "Bad binary name provided.");
  }
  return name;
}

export function uploadRoutes(context: ServerContext) {
  const raw = { parse: "none", detail: { hide: true } } as const;
  return new Elysia({ name: "build-uploads" })
    .post("/upload", ({ request }) => uploadRecord(context, request), raw)
    .post("/job/:job/platform/:platform/upload", (asked) => uploadBinary(context, asked), raw);
}
