/** From a request to who asks. */
import type { Database } from "bun:sqlite";
import { userNameFor } from "../../store/import/names.ts";
import { isPassword } from "../accounts/passwords.ts";
import { checkToken } from "../accounts/tokens.ts";
import { sessionUser } from "../accounts/sessions.ts";
import { type User, findUser } from "../accounts/users.ts";
import type { ServerContext } from "../context.ts";
import { HttpError } from "../http/http-error.ts";
import { readCookie } from "../http/cookies.ts";
import { type Limits, limitKey, spend } from "./limits.ts";
import {
  ANONYMOUS,
  type Principal,
  SOCKET,
  passwordPrincipal,
  sessionPrincipal,
  tokenPrincipal,
} from "./principal.ts";
import type { Visit } from "./visit.ts";

export const SESSION_COOKIE = "robur_session";

type Context = Pick<ServerContext, "db" | "now">;

/**
 * Who asks: a token before a cookie, and on the Unix socket everybody may everything. A token may also be the
 * password of Basic, for programs that know nothing else; a real password is checked only where `takesPassword`,
 * since that is slow. Throws HttpError 401 for a token or password that is not valid, since a program that shows one
 * doesn't mean to be anonymous.
 */
export async function authenticate(
  context: Context,
  limits: Limits,
  request: Request,
  { peer, address }: Pick<Visit, "peer" | "address">,
  takesPassword: boolean,
): Promise<Principal> {
  if (peer.via === "socket") return SOCKET;
  const { db, now } = context;
  const authorization = request.headers.get("authorization");
  const credentials = authorization === null ? undefined : readBasic(authorization);
  if (credentials !== undefined && !isToken(credentials.password)) {
    // Elsewhere it is as if nothing had been said: readers of the original's pages may send it, and need none.
    return takesPassword ? byPassword(context, limits, address, credentials) : ANONYMOUS;
  }
  if (authorization !== null) {
    const text = credentials?.password ?? /^Bearer +(\S+)$/i.exec(authorization)?.[1] ?? "";
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

export interface BasicCredentials {
  readonly user: string;
  readonly password: string;
}

/** Name and password of an Authorization header (RFC 7617); undefined for other schemes. Throws HttpError 400. */
export function readBasic(authorization: string): BasicCredentials | undefined {
  const [scheme = "", text = "", ...more] = authorization.trim().split(/ +/);
  if (scheme.toLowerCase() !== "basic") return undefined;
  const decoded = more.length === 0 ? decode(text) : undefined;
  const colon = decoded?.indexOf(":") ?? -1;
  if (decoded === undefined || colon < 0) {
    throw new HttpError(400, "bad-authorization", "the header Authorization can't be read", {
      why: "Basic is followed by the Base64 of NAME:PASSWORD",
    });
  }
  return { user: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}

function decode(base64: string): string | undefined {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(base64)) return undefined;
  return Buffer.from(base64, "base64").toString("utf8");
}

function isToken(password: string): boolean {
  return /^robur_[0-9a-f]{12}_/.test(password);
}

async function byPassword(
  { db, now }: Context,
  limits: Limits,
  address: string,
  { user: name, password }: BasicCredentials,
): Promise<Principal> {
  const from = limitKey(address);
  const key = name.toLowerCase().slice(0, 64);
  spend(limits.secretByAddress, from, now());
  spend(limits.passwordByUser, key, now());
  const user = findUser(db, name) ?? takenOver(db, name);
  if (!(await isPassword(password, user?.passwordHash)) || user === undefined) {
    throw new HttpError(401, "wrong-password", "user name or password is wrong");
  }
  limits.secretByAddress.reset(from);
  limits.passwordByUser.reset(key);
  return passwordPrincipal(user);
}

/** The user whom an import gave another name: a builder-server goes on with the address that it has, `Jane_Doe:…@`. */
function takenOver(db: Database, name: string): User | undefined {
  const ours = userNameFor(name);
  return ours === undefined ? undefined : findUser(db, ours);
}
