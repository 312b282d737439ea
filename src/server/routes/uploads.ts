/**
 * Uploads in parts, in the manner of tus: POST begins one, HEAD and GET say how much is there, PATCH with the header
 * Upload-Offset adds what follows, DELETE gives it up. What came survives the server's end.
 */
import { Elysia, t } from "elysia";
import {
  type Upload,
  type UploadId,
  type UploadPartOutcome,
  type UploadPartRefusal,
  parseUploadId,
} from "../../store/uploads/api.ts";
import { openUploads } from "../../store/uploads/uploads.ts";
import type { Content } from "../../store/api.ts";
import { uploadBody } from "../builds/slow-body.ts";
import { stored, uploadRight, uploaderOf } from "../builds/upload-routes.ts";
import type { ServerContext } from "../context.ts";
import { HttpError, notFound } from "../http/http-error.ts";

const tags = ["uploads"];
const Params = t.Object({ upload: t.String({ maxLength: 100 }) });
const Body = t.Object({
  purpose: t.Union([
    t.Object({ kind: t.Literal("exec") }, { description: "an exec document: a build, once it is whole" }),
    t.Object({ kind: t.Literal("content") }, { description: "kept for a day, for what will refer to it" }),
  ]),
  size: t.Integer({ minimum: 0, description: "bytes that it is to have" }),
});

const STATUS: Readonly<Record<UploadPartRefusal["code"], number>> = {
  missing: 404,
  "wrong-offset": 409,
  superseded: 409,
  "too-large": 413,
  "too-many": 429,
};

export function partialUploadRoutes(context: ServerContext) {
  const uploads = openUploads(context.contents);
  context.stopping.addEventListener("abort", () => void uploads[Symbol.asyncDispose](), { once: true });
  const find = (request: Request, id: string): Upload => {
    const upload = uploads.find(uploaderOf(request), idIn(id));
    if (upload === undefined) throw notFound(`upload ${id}`);
    return upload;
  };
  return new Elysia({ name: "uploads", prefix: "/api/v1" })
    .post(
      "/uploads",
      ({ request, body, set }) => {
        const outcome = uploads.create(uploaderOf(request), body.purpose, body.size);
        if (!outcome.ok) throw refusal(outcome.refusal);
        set.status = 201;
        set.headers["location"] = `/api/v1/uploads/${outcome.upload.id}`;
        set.headers["upload-offset"] = "0";
        return outcome.upload;
      },
      { body: Body, detail: { tags, summary: "Begin an upload that may come in parts" } },
    )
    .get(
      "/uploads/:upload",
      ({ request, params, set }) => {
        const upload = find(request, params.upload);
        set.headers["upload-offset"] = String(upload.offset);
        set.headers["upload-length"] = String(upload.size);
        set.headers["cache-control"] = "no-store";
        return upload;
      },
      { params: Params, detail: { tags, summary: "How much of an upload is there" } },
    )
    .patch(
      "/uploads/:upload",
      async ({ request, params, set }) => {
        const who = uploaderOf(request);
        const id = idIn(params.upload);
        const offset = offsetOf(request);
        const outcome = await uploads.append(who, id, offset, uploadBody(request));
        if (!outcome.ok) throw refusal(outcome.refusal, set.headers);
        set.headers["upload-offset"] = String(outcome.upload.offset);
        if (outcome.content === undefined) return { upload: outcome.upload };
        return await whole(outcome.upload, outcome.content, request, () => uploads.remove(who, id));
      },
      {
        params: Params,
        parse: "none",
        detail: {
          tags,
          summary: "Add what follows",
          description:
            "The header Upload-Offset says where the body belongs. A wrong one is answered by 409 with the right " +
            "one. With the last part the upload becomes what it is for; an empty part behind the end asks for " +
            "that again.",
        },
      },
    )
    .delete(
      "/uploads/:upload",
      async ({ request, params }) => {
        const isGone = await uploads.remove(uploaderOf(request), idIn(params.upload));
        if (!isGone) throw notFound(`upload ${params.upload}`);
        return new Response(null, { status: 204 });
      },
      { params: Params, detail: { tags, summary: "Give an upload up" } },
    );

  async function whole(upload: Upload, content: Content, request: Request, done: () => Promise<boolean>) {
    if (upload.purpose.kind === "content") {
      return { upload, content: { sha256: content.sha256, size: content.size } };
    }
    const outcome = await context.builds.upload(context.contents.read(content), {
      mayUpload: uploadRight(context, request),
      uploadedBy: uploaderOf(request),
    });
    // Stored or refused: sending it again would change nothing.
    await done();
    return { upload, build: stored(context, outcome) };
  }
}

function idIn(text: string): UploadId {
  const id = parseUploadId(text);
  if (id === undefined) throw notFound(`upload ${text}`);
  return id;
}

function offsetOf(request: Request): number {
  const text = request.headers.get("upload-offset");
  if (text !== null && /^\d{1,15}$/.test(text)) return Number(text);
  throw new HttpError(400, "no-offset", "the header Upload-Offset must say where the body belongs", {
    hint: "HEAD says how much is there",
  });
}

function refusal(
  { code, message, offset }: Extract<UploadPartOutcome, { ok: false }>["refusal"],
  headers?: Record<string, string | number>,
): HttpError {
  if (headers !== undefined && offset !== undefined) headers["upload-offset"] = String(offset);
  return new HttpError(STATUS[code], code, message);
}
