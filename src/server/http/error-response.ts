/** Every error's way out: a status, and the same five fields in JSON and on a page. */
import { RoburError, firstError } from "../../lib/errors.ts";
import type { Refusal } from "../../orchestrator/api.ts";
import { HttpError } from "./http-error.ts";

export interface Problem {
  readonly status: number;
  /** A word for programs. */
  readonly code: string;
  readonly message: string;
  readonly why?: string | undefined;
  readonly hint?: string | undefined;
  readonly retryAfter?: number | undefined;
}

/** By the codes of the rooms' errors. Others of a room are something about the request that can't be: 422. */
const STATUS: Readonly<Record<string, number>> = {
  exists: 409,
  conflict: 409,
  "last-admin": 409,
  "set-up": 409,
  missing: 404,
  "not-found": 404,
  "image-missing": 404,
  "invalid-link": 403,
  "wrong-password": 403,
  "not-permitted": 403,
  "over-policy": 403,
  "no-resources": 507,
  "disk-full": 507,
  ENOSPC: 507,
  busy: 503,
};

/** These rooms speak of the server's own state, so what they report is the server's fault. */
const FAULTS = new Set(["DatabaseError", "OsError"]);

/** What an error says to whoever asked. A fault of robur's own says no more than that it is one. */
export function problemOf(thrown: unknown): Problem {
  const error = firstError(thrown);
  if (error instanceof HttpError) return error;
  if (error instanceof RoburError) {
    const { code, message, why, hint } = error;
    const other = FAULTS.has(error.constructor.name) ? 500 : 422;
    return { status: STATUS[code] ?? other, code, message, why, hint };
  }
  return frameworkProblem(error) ?? FAULT;
}

const FAULT: Problem = {
  status: 500,
  code: "fault",
  message: "this is a fault in robur itself",
  hint: "look for the request's id in the server's log: journalctl -u robur",
};

/** An error for what the orchestrator refused. */
export function refused(refusal: Refusal): HttpError {
  return new HttpError(
    STATUS[refusal.code] ?? 422,
    refusal.code,
    refusal.message,
    refusal.hint === undefined ? {} : { hint: refusal.hint },
  );
}

interface FrameworkError {
  readonly code: unknown;
  readonly type?: string;
  readonly all?: readonly { readonly path?: string; readonly summary?: string; readonly message?: string }[];
}

function frameworkProblem(error: unknown): Problem | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  const { code, type, all } = error as FrameworkError;
  if (code === "NOT_FOUND") return { status: 404, code: "missing", message: "there is no such page" };
  if (code === "PARSE") {
    return {
      status: 400,
      code: "unreadable",
      message: "the request's body can't be read",
      hint: "is it valid JSON?",
    };
  }
  if (code !== "VALIDATION") return undefined;
  const complaints = (all ?? []).map(({ path, summary, message }) =>
    `${path === undefined || path === "" ? "" : `${path.slice(1).replaceAll("/", ".")}: `}${message ?? summary ?? ""}`.trim(),
  );
  return {
    status: 422,
    code: "invalid",
    message: `the request's ${type ?? "content"} is not as it should be`,
    why: [...new Set(complaints)].slice(0, 5).join("; ") || undefined,
    hint: "the reference is at /reference",
  };
}

/** The JSON form, which is every API route's. */
export function problemJson(problem: Problem, id: string): Response {
  const { status, code, message, why, hint } = problem;
  return Response.json(
    { error: { code, message, why, hint, id } },
    { status, headers: retryHeader(problem) },
  );
}

export function retryHeader({ status, retryAfter }: Problem): Record<string, string> {
  return {
    ...(retryAfter === undefined ? {} : { "retry-after": String(retryAfter) }),
    ...(status === 401 ? { "www-authenticate": 'Bearer realm="robur"' } : {}),
  };
}

/** Whether the answer is to be a page: for a browser, outside of the API. */
export function wantsPage(request: Request): boolean {
  const { pathname } = new URL(request.url);
  if (pathname.startsWith("/api/")) return false;
  return (request.headers.get("accept") ?? "").includes("text/html");
}
