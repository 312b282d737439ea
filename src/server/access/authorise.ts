/** Whether a principal may use a route. The framework's hook asks before it looks at the request's content. */
import type { Database } from "bun:sqlite";
import { recordAttempt } from "../accounts/audit.ts";
import { isSetUp } from "../accounts/users.ts";
import type { ServerContext } from "../context.ts";
import { HttpError } from "../http/http-error.ts";
import { readSetting } from "../settings.ts";
import type { Principal } from "./principal.ts";
import { ROUTES, type RouteRule } from "./route-table.ts";
import { visitOf } from "./visit.ts";

export type Verdict = "yes" | "sign-in" | "no";

/** Pure. `sign-in`: who asks may be allowed once they say who they are. */
export function mayUse(rule: RouteRule, principal: Principal, areBuildsPublic: boolean): Verdict {
  if (rule.need === "builds" && areBuildsPublic) return "yes";
  const need = rule.need === "builds" ? "read" : rule.need;
  if (need === "anybody") return "yes";
  if (principal.kind === "anonymous") return "sign-in";
  // A token must not make another token, nor the socket change a password that it doesn't have.
  if (need === "person") return principal.kind === "session" ? "yes" : "no";
  return principal.scopes.has(need) ? "yes" : "no";
}

/** The parts of a request that the check needs; `route` is the pattern that matched. */
export interface Routed {
  readonly request: Request;
  readonly route: string;
  readonly path: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** Lets a request pass, with an entry in the audit log if it changes something. Throws HttpError 401, 403, 503. */
export function authorise(context: Pick<ServerContext, "db" | "now">, routed: Routed): void {
  const { request, route, path, params } = routed;
  const method = request.method === "HEAD" ? "GET" : request.method;
  const rule = ROUTES[`${method} ${route}`];
  if (rule === undefined)
    throw new HttpError(500, "no-rule", `nobody may use ${method} ${route}: it has no rule`);
  const visit = visitOf(request);
  const isOpen = rule.need === "builds" && areBuildsPublic(context.db);
  if (rule.page && !isOpen && visit.principal.kind === "anonymous" && !isSetUp(context.db)) throw notSetUp();
  const verdict = mayUse(rule, visit.principal, isOpen);
  if (rule.action !== undefined) {
    visit.auditId = recordAttempt(context.db, {
      at: context.now(),
      actor: visit.principal.who,
      action: rule.action,
      target: Object.values(params).join(" ") || path,
      address: visit.address,
      request: visit.id,
    });
  }
  if (verdict === "sign-in") throw notSignedIn();
  if (verdict === "no") throw forbidden(rule, visit.principal);
}

function forbidden(rule: RouteRule, principal: Principal): HttpError {
  if (rule.need === "person") {
    return new HttpError(403, "not-permitted", "this is for people who signed in with a password", {
      why:
        principal.kind === "token" ? "a token can't change its user's account" : "the socket has no account",
    });
  }
  return new HttpError(403, "not-permitted", `you may not do this`, {
    why: principal.kind === "token" ? `the token lacks the scope ${rule.need}` : "it is for administrators",
  });
}

/** Whether everybody may read builds: so they may unless the owner has said no. */
export function areBuildsPublic(db: Database): boolean {
  return readSetting(db, "builds.public") !== false;
}

export function notSignedIn(): HttpError {
  return new HttpError(401, "not-signed-in", "sign in first", {
    hint: "a token in the header Authorization: Bearer robur_…",
  });
}

export function notSetUp(): HttpError {
  return new HttpError(503, "not-set-up", "this server is not set up yet", {
    hint: "run robur setup-url on the server",
  });
}

/** Throws for a route without a rule or a rule without a route. */
export function checkTable(routes: readonly { readonly method: string; readonly path: string }[]): void {
  const there = new Set(routes.map(({ method, path }) => `${method} ${path}`));
  const unruled = [...there].filter((route) => ROUTES[route] === undefined);
  const unrouted = Object.keys(ROUTES).filter((route) => !there.has(route));
  if (unruled.length + unrouted.length === 0) return;
  throw new Error(
    `routes without a rule: ${unruled.join(", ")}; rules without a route: ${unrouted.join(", ")}`,
  );
}
