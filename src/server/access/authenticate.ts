/** From a request to who asks. */
import { checkToken } from "../accounts/tokens.ts";
import { sessionUser } from "../accounts/sessions.ts";
import type { ServerContext } from "../context.ts";
import { HttpError } from "../http/http-error.ts";
import { readCookie } from "../http/cookies.ts";
import { type Limits, limitKey, spend } from "./limits.ts";
import { ANONYMOUS, type Principal, SOCKET, sessionPrincipal, tokenPrincipal } from "./principal.ts";
import type { Peer } from "./visit.ts";

export const SESSION_COOKIE = "robur_session";

/**
 * Who asks: a token before a cookie, and on the Unix socket everybody may everything. Throws HttpError 401 for a
 * token that is not valid, since a program that shows one doesn't mean to be anonymous.
 */
export function authenticate(
  { db, now }: Pick<ServerContext, "db" | "now">,
  limits: Limits,
  request: Request,
  peer: Peer,
  address: string,
): Principal {
  if (peer.via === "socket") return SOCKET;
  const authorization = request.headers.get("authorization");
  if (authorization !== null) {
    const [, text = ""] = /^Bearer +(\S+)$/i.exec(authorization) ?? [];
    const found = checkToken(db, text, now());
    if (found !== undefined) return tokenPrincipal(found.user, found.token);
    spend(limits.secretByAddress, `token ${limitKey(address)}`, now());
    throw new HttpError(401, "invalid-token", "this token is not valid", {
      why: "it expired, was removed, or is not complete",
      hint: "robur token create",
    });
  }
  const cookie = readCookie(request, SESSION_COOKIE);
  const user = cookie === undefined ? undefined : sessionUser(db, cookie, now());
  return user === undefined ? ANONYMOUS : sessionPrincipal(user);
}
