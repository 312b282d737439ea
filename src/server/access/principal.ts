/** Who asks, and what they may. Pure. */
import { type PolicyPath, ROOT_PATH } from "../../orchestrator/names.ts";
import type { Actor } from "../../orchestrator/api.ts";
import { SCOPES, type Scope, type Token } from "../accounts/tokens.ts";
import type { User } from "../accounts/users.ts";

export interface Principal {
  readonly kind: "anonymous" | "socket" | "session" | "token" | "password";
  /** Undefined for who has no account: anonymous visitors, and the Unix socket. */
  readonly user: User | undefined;
  /** For the record of changes; empty for an anonymous visitor. */
  readonly who: string;
  readonly path: PolicyPath;
  readonly scopes: ReadonlySet<Scope>;
}

/** Nowhere: no unikernel can have a name below it. */
const NOWHERE = "?" as PolicyPath;

export const ANONYMOUS: Principal = {
  kind: "anonymous",
  user: undefined,
  who: "",
  path: NOWHERE,
  scopes: new Set(),
};

/** Whoever may open the Unix socket: its file mode is the check. */
export const SOCKET: Principal = {
  kind: "socket",
  user: undefined,
  who: "socket",
  path: ROOT_PATH,
  scopes: new Set(SCOPES),
};

/** Somebody who signed in. */
export function sessionPrincipal(user: User): Principal {
  return { kind: "session", user, who: user.name, path: user.path, scopes: scopesOf(user) };
}

/** A program that sends name and password along with an upload. */
export function passwordPrincipal(user: User): Principal {
  return { kind: "password", user, who: user.name, path: user.path, scopes: scopesOf(user) };
}

/** A program with a token: what the token says, as far as its user may it now. */
export function tokenPrincipal(user: User, token: Token): Principal {
  const own = scopesOf(user);
  return {
    kind: "token",
    user,
    who: `${user.name} by token ${token.name}`,
    // The user's path may have been narrowed since the token was made.
    path: narrower(token.path, user.path),
    scopes: new Set(token.scopes.filter((scope) => own.has(scope))),
  };
}

/** For the orchestrator. */
export function actorOf(principal: Principal): Actor {
  return { who: principal.who, path: principal.path };
}

function scopesOf(user: User): ReadonlySet<Scope> {
  return new Set(
    SCOPES.filter((scope) => (scope !== "admin" && scope !== "worker") || user.role === "admin"),
  );
}

function narrower(token: PolicyPath, user: PolicyPath): PolicyPath {
  if (user === ROOT_PATH || token === user || token.startsWith(`${user}:`)) return token;
  return token === ROOT_PATH || user.startsWith(`${token}:`) ? user : NOWHERE;
}
