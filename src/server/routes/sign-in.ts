/** Signing in and out, and setting the server up: the same steps for the API and the pages. */
import { SESSION_COOKIE } from "../access/authenticate.ts";
import { type Limits, limitKey, spend } from "../access/limits.ts";
import type { Visit } from "../access/visit.ts";
import { AccountError } from "../accounts/account-error.ts";
import { hashPassword, isPassword } from "../accounts/passwords.ts";
import { SESSION_LIFE_MS, endSession, startSession } from "../accounts/sessions.ts";
import { checkSetupSecret, setUp } from "../accounts/setup-links.ts";
import { type User, findUser } from "../accounts/users.ts";
import type { ServerContext } from "../context.ts";
import { readCookie, writeCookie } from "../http/cookies.ts";
import { HttpError } from "../http/http-error.ts";

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** Who somebody is by their password. Throws HttpError 401 and 429; which of the two was wrong isn't told. */
export async function checkCredentials(
  { db, now }: ServerContext,
  limits: Limits,
  visit: Visit,
  { user: name, password }: Credentials,
): Promise<User> {
  const address = limitKey(visit.address);
  const key = name.toLowerCase().slice(0, 64);
  spend(limits.secretByAddress, address, now());
  spend(limits.passwordByUser, key, now());
  const user = findUser(db, name);
  if (!(await isPassword(password, user?.passwordHash)) || user === undefined) {
    throw new HttpError(401, "wrong-password", "user name or password is wrong", {
      hint: "forgotten? on the server: robur user passwd NAME",
    });
  }
  limits.secretByAddress.reset(address);
  limits.passwordByUser.reset(key);
  return user;
}

/** Checks a set-up link and makes the administrator. Throws AccountError, HttpError 429. */
export async function setUpServer(
  { db, now, log }: ServerContext,
  limits: Limits,
  visit: Visit,
  { secret, user, password }: Credentials & { readonly secret: string },
): Promise<User> {
  spend(limits.secretByAddress, `setup ${limitKey(visit.address)}`, now());
  checkSetupSecret(db, secret, now());
  const passwordHash = await hashPassword(password);
  const admin = setUp(db, secret, { name: user, passwordHash }, now());
  log("info", "set up", { admin: admin.name, from: visit.address });
  return admin;
}

/** The Set-Cookie header of a new session. A session that the browser had ends. */
export function signIn({ db, now }: ServerContext, request: Request, visit: Visit, user: User): string {
  const old = readCookie(request, SESSION_COOKIE);
  if (old !== undefined) endSession(db, old);
  const agent = request.headers.get("user-agent") ?? "";
  const secret = startSession(db, user, { address: visit.address, agent }, now());
  return writeCookie(SESSION_COOKIE, secret, { maxAge: SESSION_LIFE_MS / 1000, isSecure: visit.isSecure });
}

/** The Set-Cookie header that takes the session away, which ends here. */
export function signOut({ db }: ServerContext, request: Request, visit: Visit): string {
  const secret = readCookie(request, SESSION_COOKIE);
  if (secret !== undefined) endSession(db, secret);
  return writeCookie(SESSION_COOKIE, "", { maxAge: 0, isSecure: visit.isSecure });
}

/** The account of whoever asks; routes for persons have one. Throws AccountError missing. */
export function ownAccount(visit: Visit): User {
  const { user } = visit.principal;
  if (user === undefined) throw new AccountError("missing", "you have no account here");
  return user;
}
