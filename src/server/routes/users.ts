/** The users, for administrators. */
import { Elysia, t } from "elysia";
import { listAudit } from "../accounts/audit.ts";
import { hashPassword } from "../accounts/passwords.ts";
import { createToken, listTokens, removeToken } from "../accounts/tokens.ts";
import {
  type User,
  addUser,
  changeUser,
  findUser,
  listUsers,
  removeUser,
  setPassword,
} from "../accounts/users.ts";
import { allowUpload, forbidUpload, listedJobs } from "../accounts/upload-access.ts";
import { parseJobName } from "../../store/api.ts";
import type { ServerContext } from "../context.ts";
import { notFound } from "../http/http-error.ts";
import { NewToken, Password, Role, Uploads, UserName } from "./account-schemas.ts";

const tags = ["users"];
const OneUser = t.Object({ user: t.String({ maxLength: 63 }) });
const OneJob = t.Object({ user: t.String({ maxLength: 63 }), job: t.String({ maxLength: 128 }) });

/** A user without the password's hash. */
function seen({ name, role, path, uploads, passwordHash, createdAt }: User) {
  const canSignIn = passwordHash !== undefined;
  return { name, role, path, uploads: role === "admin" ? "any" : uploads, createdAt, canSignIn } as const;
}

export function userRoutes({ db, now }: ServerContext) {
  const existing = (name: string): User => {
    const user = findUser(db, name);
    if (user === undefined) throw notFound(`user ${name}`);
    return user;
  };
  const uploadsOf = ({ id, uploads, role }: User) => ({
    uploads: role === "admin" ? "any" : uploads,
    jobs: listedJobs(db, id),
  });
  return new Elysia({ name: "users", prefix: "/api/v1" })
    .get("/users", () => ({ users: listUsers(db).map(seen) }), { detail: { tags, summary: "List users" } })
    .post(
      "/users",
      async ({ body, set }) => {
        const { password, ...user } = body;
        const passwordHash = password === undefined ? undefined : await hashPassword(password);
        set.status = 201;
        return seen(addUser(db, { ...user, passwordHash }, now()));
      },
      {
        body: t.Object({
          name: UserName,
          role: Role,
          path: t.Optional(t.String({ maxLength: 500 })),
          password: t.Optional(Password),
          uploads: t.Optional(Uploads),
        }),
        detail: { tags, summary: "Add a user; without a password one that has tokens only" },
      },
    )
    .patch("/users/:user", ({ params, body }) => seen(changeUser(db, params.user, body)), {
      params: OneUser,
      body: t.Object({
        role: t.Optional(Role),
        path: t.Optional(t.String({ maxLength: 500 })),
        uploads: t.Optional(Uploads),
      }),
      detail: { tags, summary: "Change a user's role, path or uploads" },
    })
    .put(
      "/users/:user/password",
      async ({ params, body }) =>
        seen(setPassword(db, params.user, await hashPassword(body.password), now())),
      {
        params: OneUser,
        body: t.Object({ password: Password }),
        detail: { tags, summary: "Set a password; the user's sessions end" },
      },
    )
    .delete(
      "/users/:user",
      ({ params }) => {
        removeUser(db, params.user);
        return { ok: true };
      },
      { params: OneUser, detail: { tags, summary: "Remove a user; the unikernels stay" } },
    )
    .get("/users/:user/uploads", ({ params }) => uploadsOf(existing(params.user)), {
      params: OneUser,
      detail: { tags, summary: "For which jobs a user may upload builds" },
    })
    .put(
      "/users/:user/uploads/:job",
      ({ params }) => {
        const user = existing(params.user);
        const job = parseJobName(params.job);
        if (job === undefined || !allowUpload(db, user.id, job)) throw notFound(`job ${params.job}`);
        return uploadsOf(user);
      },
      { params: OneJob, detail: { tags, summary: "List a job for a user's uploads" } },
    )
    .delete(
      "/users/:user/uploads/:job",
      ({ params }) => {
        const user = existing(params.user);
        const job = parseJobName(params.job);
        if (job === undefined || !forbidUpload(db, user.id, job)) {
          throw notFound(`job ${params.job} in the list of ${user.name}`);
        }
        return uploadsOf(user);
      },
      { params: OneJob, detail: { tags, summary: "Take a job off that list" } },
    )
    .get("/users/:user/tokens", ({ params }) => ({ tokens: listTokens(db, existing(params.user).id) }), {
      params: OneUser,
      detail: { tags, summary: "A user's tokens" },
    })
    .post(
      "/users/:user/tokens",
      ({ params, body, set }) => {
        set.status = 201;
        return createToken(db, existing(params.user), body, now());
      },
      { params: OneUser, body: NewToken, detail: { tags, summary: "Make a token for a user" } },
    )
    .delete(
      "/users/:user/tokens/:token",
      ({ params }) => {
        if (!removeToken(db, params.token, existing(params.user).id)) throw notFound("such token");
        return { ok: true };
      },
      {
        params: t.Object({ user: t.String(), token: t.String() }),
        detail: { tags, summary: "Remove a user's token" },
      },
    )
    .get("/audit", ({ query }) => ({ entries: listAudit(db, query.limit ?? 100, query.before) }), {
      query: t.Object({
        limit: t.Optional(t.Integer({ minimum: 1, maximum: 1000 })),
        before: t.Optional(t.Integer({ minimum: 1, description: "entries with a smaller id" })),
      }),
      detail: { tags: ["system"], summary: "Who changed what, newest first" },
    });
}
