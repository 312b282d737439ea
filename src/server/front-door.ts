/**
 * What holds for every request, whatever its route: who asks, how often, from which site, how much; and for every
 * answer: the headers, the log, the audit log's outcome. No request reaches a route in another way.
 */
import { DatabaseError } from "../db/database-error.ts";
import { errorLine } from "../lib/errors.ts";
import { authenticate, SESSION_COOKIE } from "./access/authenticate.ts";
import { type Limits, limitKey, spend } from "./access/limits.ts";
import { refuseOrigin } from "./access/origin-check.ts";
import { ANONYMOUS } from "./access/principal.ts";
import { uploadRule } from "./access/route-table.ts";
import { type Peer, type Visit, rememberVisit } from "./access/visit.ts";
import { recordOutcome } from "./accounts/audit.ts";
import { newId } from "./accounts/secrets.ts";
import type { ServerContext } from "./context.ts";
import { addressed } from "./http/addressed.ts";
import { readCookie } from "./http/cookies.ts";
import { addHeaders } from "./http/headers.ts";
import { HttpError } from "./http/http-error.ts";
import { limitBody } from "./http/limit-body.ts";
import { refuse } from "./refuse.ts";

/** Answers one request; never throws. */
export type Door = (request: Request, peer: Peer) => Promise<Response>;

/** Opens the door to `fetch`, which has the routes. */
export function frontDoor(
  context: ServerContext,
  limits: Limits,
  fetch: (request: Request) => Response | Promise<Response>,
): Door {
  return async (incoming, peer) => {
    const started = performance.now();
    const original = addressed(incoming);
    if (original === undefined) return badHost();
    let visit: Visit = newVisit(context, original, peer);
    let response: Response;
    try {
      visit = await admit(context, limits, original, visit);
      const request = asGet(await limitBody(original, isUpload(original)));
      rememberVisit(request, visit);
      response = await fetch(request);
      if (original.method === "HEAD") response = await withoutBody(response);
    } catch (error) {
      response = refuse(context, original, visit, error);
    }
    addHeaders(response.headers, visit.id);
    noteOutcome(context, visit, response.status);
    context.log("debug", `${original.method} ${new URL(original.url).pathname}`, {
      status: response.status,
      ms: Math.round(performance.now() - started),
      who: visit.principal.who,
      id: visit.id,
    });
    return response;
  };
}

function badHost(): Response {
  const text = "the header Host can't be the name of a host\n";
  const headers = { "content-type": "text/plain; charset=utf-8" };
  const response = new Response(text, { status: 400, headers });
  addHeaders(response.headers, newId());
  return response;
}

/** The framework's own answers to HEAD say that a stream is 0 bytes long. */
function asGet(request: Request): Request {
  if (request.method !== "HEAD") return request;
  const headers = new Headers(request.headers);
  // RFC 9110 14.2: ranges are for GET.
  headers.delete("range");
  return new Request(request.url, { headers });
}

/** A body that isn't there would be announced as 0 bytes: the length is that of a GET, or left open (RFC 9110 8.6). */
async function withoutBody(response: Response): Promise<Response> {
  const { status, body } = response;
  const headers = new Headers(response.headers);
  if (body !== null && !headers.has("content-length")) {
    if (isWhole(headers.get("content-type"))) {
      headers.set("content-length", String((await response.arrayBuffer()).byteLength));
    } else {
      headers.set("transfer-encoding", "chunked");
    }
  }
  if (body?.locked === false) await body.cancel();
  return new Response(null, { status, headers });
}

/** Pages and JSON are never streamed. */
function isWhole(type: string | null): boolean {
  return type !== null && /^(text\/html|application\/json)\b/.test(type);
}

/** What was done is done, and its answer is due: an outcome that can't be written goes to the log only. */
function noteOutcome({ db, log }: ServerContext, { id, auditId }: Visit, status: number): void {
  if (auditId === undefined) return;
  try {
    recordOutcome(db, auditId, status);
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    log("error", "the audit log lacks an outcome", { id, status, why: errorLine(error) });
  }
}

function newVisit({ trustProxy }: ServerContext, request: Request, peer: Peer): Visit {
  const forwarded = trustProxy
    ? request.headers.get("x-forwarded-for")?.split(",").at(-1)?.trim()
    : undefined;
  return {
    id: newId(),
    peer,
    address: forwarded === undefined || forwarded === "" ? peer.address : forwarded,
    // Saying so falsely only costs whoever says it their own cookie.
    isSecure: request.url.startsWith("https:") || request.headers.get("x-forwarded-proto") === "https",
    principal: ANONYMOUS,
    auditId: undefined,
  };
}

async function admit(context: ServerContext, limits: Limits, request: Request, visit: Visit): Promise<Visit> {
  const { peer, address } = visit;
  if (peer.via === "tcp") spend(limits.general, limitKey(address), context.now());
  const { pathname } = new URL(request.url);
  const takesPassword = uploadRule(request.method, pathname)?.basic === true;
  const principal = await authenticate(context, limits, request, visit, takesPassword);
  const why = refuseOrigin(request, readCookie(request, SESSION_COOKIE) !== undefined);
  if (why !== undefined && principal.kind !== "token" && principal.kind !== "password") {
    throw new HttpError(403, "other-origin", "this request was refused", {
      why,
      hint: "behind a proxy: it must pass the header Host on as it is",
    });
  }
  return { ...visit, principal };
}

/** Routes that read their body themselves. */
function isUpload(request: Request): boolean {
  return uploadRule(request.method, new URL(request.url).pathname)?.upload === true;
}
