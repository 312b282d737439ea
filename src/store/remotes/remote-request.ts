/**
 * Requests to other servers, none of which is trusted: redirects are few, stay with the scheme or better it, and don't
 * carry credentials to somebody else; nothing is waited for without end; what is read whole has a limit.
 */
import { VERSION } from "../../lib/version.ts";
import type { RemoteAddress } from "./remote-address.ts";
import { RemoteError } from "./remote-error.ts";

const REDIRECTS = 5;
const CODES = new Set([301, 302, 303, 307, 308]);
/** Until an answer begins; a server that takes an upload may think for longer. */
const ANSWER_MS = 60_000;
const UPLOAD_ANSWER_MS = 30 * 60_000;
/** Between two pieces of a body. */
const SILENCE_MS = 60_000;
const ERROR_TEXT = 4096;

export interface RemoteRequest {
  readonly method?: "GET" | "POST" | "PATCH";
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent once: a request with a body isn't redirected. */
  readonly body?: ReadableStream<Uint8Array>;
  readonly signal?: AbortSignal | undefined;
}

/** An answer with 2xx, or 304 or 416 where it was asked for. Throws RemoteError. */
export async function askRemote(
  remote: RemoteAddress,
  path: string,
  options: RemoteRequest = {},
): Promise<Response> {
  let url = new URL(path, remote.origin);
  for (let count = 0; count <= REDIRECTS; count++) {
    const response = await once(remote, url, options);
    if (!CODES.has(response.status)) return accepted(response, url);
    await response.body?.cancel();
    url = redirected(url, response, options);
  }
  throw new RemoteError("redirects", `${url.origin} leads from one address to the next without end`, {
    why: `${REDIRECTS} redirects are followed`,
  });
}

async function once(remote: RemoteAddress, url: URL, options: RemoteRequest): Promise<Response> {
  const { method = "GET", headers = {}, body, signal } = options;
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), body === undefined ? ANSWER_MS : UPLOAD_ANSWER_MS);
  const mayKnow = remote.authorization !== undefined && url.origin === remote.origin;
  try {
    return await fetch(url.href, {
      method,
      redirect: "manual",
      headers: {
        "user-agent": `robur/${VERSION}`,
        // What comes is counted and hashed as it is.
        "accept-encoding": "identity",
        ...headers,
        ...(mayKnow ? { authorization: remote.authorization } : {}),
      },
      ...(body === undefined ? {} : { body }),
      signal: signal === undefined ? limit.signal : AbortSignal.any([limit.signal, signal]),
      // The time-outs are those above and below.
      ...({ timeout: false } as object),
    });
  } catch (error) {
    if (signal?.aborted === true)
      throw new RemoteError("interrupted", "this was interrupted", { cause: error });
    const why = limit.signal.aborted
      ? "it doesn't answer"
      : error instanceof Error
        ? error.message
        : String(error);
    throw new RemoteError("unreachable", `can't reach ${url.origin}`, { why, cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** Where a redirect leads. Throws RemoteError. */
function redirected(from: URL, response: Response, { body }: RemoteRequest): URL {
  const location = response.headers.get("location");
  if (location === null || !URL.canParse(location, from.href)) {
    throw new RemoteError("bad-answer", `${from.origin} answers with a redirect to nowhere`);
  }
  const to = new URL(location, from);
  const isSafe = to.protocol === from.protocol || (from.protocol === "http:" && to.protocol === "https:");
  if (!isSafe || to.username !== "") {
    throw new RemoteError("redirects", `${from.origin} leads to ${to.protocol}//${to.host}`, {
      why: "from an encrypted connection nothing leads to one that isn't",
    });
  }
  if (body !== undefined) {
    throw new RemoteError("redirects", `${from.origin} has moved to ${to.origin}`, {
      why: "what is uploaded can't be sent twice",
      hint: `the same with ${to.origin}`,
    });
  }
  return to;
}

async function accepted(response: Response, { origin, pathname }: URL): Promise<Response> {
  const { status } = response;
  if (response.ok || status === 304 || status === 416) return response;
  const said = await errorText(response);
  const why = said === "" ? `it answers ${status}` : `it answers ${status}: ${said}`;
  if (status === 404 || status === 410) {
    throw new RemoteError("missing", `${origin} has no ${pathname}`, { why });
  }
  if (status === 401 || status === 403) {
    throw new RemoteError("not-permitted", `${origin} doesn't permit this`, {
      why,
      hint: "https://NAME:PASSWORD@…, or ROBUR_REMOTE_TOKEN with a token of that server",
    });
  }
  if (status === 409) throw new RemoteError("exists", `${origin} has this already`, { why });
  if (status === 413) throw new RemoteError("too-large", `${origin} takes nothing as large as this`, { why });
  throw new RemoteError("refused", `${origin} refuses`, { why });
}

async function errorText(response: Response): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const piece of bodyOf(response)) {
    text += decoder.decode(piece, { stream: true });
    if (text.length > ERROR_TEXT) break;
  }
  const message = /"message"\s*:\s*"([^"\\]*)"/.exec(text)?.[1];
  if (message !== undefined) return message;
  return response.headers.get("content-type")?.startsWith("text/plain") === true
    ? text.trim().slice(0, 200)
    : "";
}

/** A body piece by piece, never silent for longer than a minute. Throws RemoteError. */
export async function* bodyOf(response: Response, limit = Infinity): AsyncGenerator<Uint8Array, void> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  let size = 0;
  let isOver = false;
  try {
    for (;;) {
      const { value } = await next(reader, response.url);
      if (value === undefined) break;
      size += value.length;
      if (size > limit) {
        throw new RemoteError("too-large", `${originOf(response)} sends more than was announced`, {
          why: `more than ${limit} bytes are not taken`,
        });
      }
      yield value;
    }
    isOver = true;
  } finally {
    if (!isOver) await reader.cancel().catch(() => undefined);
  }
}

async function next(reader: { read(): Promise<{ done: boolean; value?: Uint8Array }> }, url: string) {
  const { promise, reject } = Promise.withResolvers<never>();
  const silent = () =>
    reject(new RemoteError("unreachable", `${url} fell silent`, { why: "for a minute nothing came" }));
  const timer = setTimeout(silent, SILENCE_MS);
  try {
    return await Promise.race([reader.read(), promise]);
  } catch (error) {
    if (error instanceof RemoteError) throw error;
    throw new RemoteError("truncated", `the connection to ${url} broke`, {
      why: error instanceof Error ? error.message : String(error),
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
}

const originOf = ({ url }: Response) => (URL.canParse(url) ? new URL(url).origin : "the server");

/** The same as a stream, for what takes one. */
export function streamOf(response: Response, limit?: number): ReadableStream<Uint8Array> {
  const pieces = bodyOf(response, limit);
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await pieces.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    cancel: async () => void (await pieces.return()),
  });
}

/** JSON of a limited size. Throws RemoteError. */
export async function jsonFrom(response: Response, limit: number): Promise<unknown> {
  const pieces: Uint8Array[] = [];
  for await (const piece of bodyOf(response, limit)) pieces.push(piece);
  try {
    return JSON.parse(Buffer.concat(pieces).toString("utf8"));
  } catch (error) {
    throw new RemoteError("bad-answer", `${originOf(response)} answers with something else than JSON`, {
      why: "is it a server of builds?",
      cause: error,
    });
  }
}
