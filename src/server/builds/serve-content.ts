/** Bytes that never change under their address: conditions (RFC 9110 13) and ranges (RFC 9110 14). */
import type { ByteRange } from "../../store/api.ts";

export interface Resource {
  readonly size: number;
  /** Without quotes. */
  readonly tag: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly read: (range?: ByteRange) => ReadableStream<Uint8Array>;
}

/** The answer: 200, 206, 304 or 416. For HEAD without a body. */
export function serveResource(request: Request, { size, tag, headers, read }: Resource): Response {
  const etag = `"${tag}"`;
  const all = { ...headers, etag, "accept-ranges": "bytes" };
  // All headers again: a browser puts those of a 304 in the place of what it keeps (RFC 9111 4.3.4), and a file that
  // was uploaded must not get the policy of our own pages that way.
  if (isKnown(request.headers.get("if-none-match"), tag)) {
    return new Response(null, { status: 304, headers: all });
  }
  const range = mayBePart(request, etag) ? readRange(request.headers.get("range"), size) : "whole";
  if (range === "unsatisfiable") {
    return new Response(null, {
      status: 416,
      headers: { ...all, "content-range": `bytes */${size}`, "content-length": "0" },
    });
  }
  const { start, end } = range === "whole" ? { start: 0, end: size } : range;
  const answer = {
    status: range === "whole" ? 200 : 206,
    headers: {
      ...all,
      "content-length": String(end - start),
      ...(range === "whole" ? {} : { "content-range": `bytes ${start}-${end - 1}/${size}` }),
    },
  };
  if (request.method === "HEAD" || end === start) return new Response(null, answer);
  return new Response(range === "whole" ? read() : read(range), answer);
}

/** If-None-Match in all forms that are sent: quoted, weak, several, `*`, and bare as the original has taught. Pure. */
export function isKnown(header: string | null, tag: string): boolean {
  if (header === null) return false;
  return header.split(",").some((element) => {
    const text = element.trim().replace(/^W\//, "");
    return text === "*" || text === tag || text === `"${tag}"`;
  });
}

/** If-Range: a part only of what the asker has the beginning of. Dates are none of ours. */
function mayBePart(request: Request, etag: string): boolean {
  const condition = request.headers.get("if-range");
  return request.method === "GET" && (condition === null || condition.trim() === etag);
}

/** A Range header of one range; several, and what can't be understood, mean the whole. Pure. */
export function readRange(header: string | null, size: number): ByteRange | "whole" | "unsatisfiable" {
  const [, from = "", to = ""] = /^bytes=\s*(\d{0,15})-(\d{0,15})\s*$/i.exec(header ?? "") ?? [];
  if (from === "" && to === "") return "whole";
  if (from === "") {
    const start = Math.max(size - Number(to), 0);
    return start === size ? "unsatisfiable" : { start, end: size };
  }
  const start = Number(from);
  const last = to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (to !== "" && Number(to) < start) return "whole";
  return start >= size ? "unsatisfiable" : { start, end: last + 1 };
}
