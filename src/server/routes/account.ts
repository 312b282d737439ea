/** One's own account: session, password, tokens. */
import { Elysia, t } from "elysia";
import type { Limits } from "../access/limits.ts";
import { visitOf } from "../access/visit.ts";
import { hashPassword } from "../accounts/passwords.ts";
import { endSessionById, listSessions } from "../accounts/sessions.ts";
import { createToken, listTokens, removeToken } from "../accounts/tokens.ts";
import { setPassword } from "../accounts/users.ts";
import type { ServerContext } from "../context.ts";
import { notFound } from "../http/http-error.ts";
import { NewToken, Password, UserName } from "./account-schemas.ts";
import { checkCredentials, ownAccount, setUpServer, signIn, signOut } from "./sign-in.ts";

const tags = ["account"];

/** Who asks, for people and programs. */
function whoAmI(request: Request) {
  const { kind, user, path, scopes } = visitOf(request).principal;
  return { kind, user: user?.name ?? null, role: user?.role ?? null, path, scopes: [...scopes] };
}

export function accountRoutes(context: ServerContext, limits: Limits) {
  const { db, now } = context;
  return new Elysia({ name: "account", prefix: "/api/v1" })
    .get("/session", ({ request }) => whoAmI(request), { detail: { tags, summary: "Who you are" } })
    .post(
      "/session",
      async ({ request, body, set }) => {
        const visit = visitOf(request);
        const user = await checkCredentials(context, limits, visit, body);
        set.headers["set-cookie"] = signIn(context, request, visit, user);
        return { user: user.name, role: user.role };
      },
      { body: t.Object({ user: UserName, password: Password }), detail: { tags, summary: "Sign in" } },
    )
    .delete(
      "/session",
      ({ request, set }) => {
        set.headers["set-cookie"] = signOut(context, request, visitOf(request));
        return { ok: true };
      },
      { detail: { tags, summary: "Sign out" } },
    )
    .get("/sessions", ({ request }) => ({ sessions: listSessions(db, ownAccount(visitOf(request)).id) }), {
      detail: { tags, summary: "Where you are signed in" },
    })
    .delete(
      "/sessions/:session",
      ({ request, params }) => {
        if (!endSessionById(db, ownAccount(visitOf(request)).id, params.session))
          throw notFound("such session");
        return { ok: true };
      },
      { params: t.Object({ session: t.String() }), detail: { tags, summary: "Sign out somewhere else" } },
    )
    .put(
      "/password",
      async ({ request, body, set }) => {
        const visit = visitOf(request);
        const { name } = ownAccount(visit);
        await checkCredentials(context, limits, visit, { user: name, password: body.old });
        const user = setPassword(db, name, await hashPassword(body.new), now());
        set.headers["set-cookie"] = signIn(context, request, visit, user);
        return { ok: true };
      },
      {
        body: t.Object({ old: Password, new: Password }),
        detail: { tags, summary: "Change your password; all other sessions end" },
      },
    )
    .post(
      "/setup",
      async ({ request, body, set }) => {
        const visit = visitOf(request);
        const user = await setUpServer(context, limits, visit, body);
        set.headers["set-cookie"] = signIn(context, request, visit, user);
        return { user: user.name, role: user.role };
      },
      {
        body: t.Object({ secret: t.String({ maxLength: 200 }), user: UserName, password: Password }),
        detail: { tags, summary: "Make the first administrator, with the secret of a set-up link" },
      },
    )
    .get("/tokens", ({ request }) => ({ tokens: listTokens(db, ownAccount(visitOf(request)).id) }), {
      detail: { tags, summary: "Your tokens" },
    })
    .post(
      "/tokens",
      ({ request, body, set }) => {
        set.status = 201;
        return createToken(db, ownAccount(visitOf(request)), body, now());
      },
      { body: NewToken, detail: { tags, summary: "Make a token; its secret is shown this once" } },
    )
    .delete(
      "/tokens/:token",
      ({ request, params }) => {
        if (!removeToken(db, params.token, ownAccount(visitOf(request)).id)) throw notFound("such token");
        return { ok: true };
      },
      { params: t.Object({ token: t.String() }), detail: { tags, summary: "Remove a token" } },
    );
}
