/**
 * Requests are small but for uploads, and nobody may make the server hold more than that. A body whose length isn't
 * told is read here, up to the limit, before anything else sees it; the framework would read it to its end.
 */
import { HttpError } from "./http-error.ts";

/** Bytes of a request that is no upload: an image's arguments and labels are the largest that there is. */
export const BODY_LIMIT = 1 << 20;
/** Bytes of an upload. A tender refuses far smaller images, and volumes of this size are made on the server. */
export const UPLOAD_LIMIT = 4 * 1024 ** 3;

/** The request, or one like it that has its body in memory. Throws HttpError 413. */
export async function limitBody(request: Request, isUpload: boolean): Promise<Request> {
  const length = request.headers.get("content-length");
  const limit = isUpload ? UPLOAD_LIMIT : BODY_LIMIT;
  if (length !== null && Number(length) > limit) throw tooLarge(limit);
  if (isUpload || request.body === null || length !== null) return request;
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of request.body) {
    size += piece.length;
    if (size > BODY_LIMIT) throw tooLarge(BODY_LIMIT);
    pieces.push(piece);
  }
  const { url, method, headers } = request;
  return new Request(url, { method, headers, body: Buffer.concat(pieces) });
}

function tooLarge(limit: number): HttpError {
  return new HttpError(413, "too-large", "the request is too large", { why: `it may have ${limit} bytes` });
}
