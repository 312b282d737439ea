/** Other servers by name. */
import { Elysia, t } from "elysia";
import { RemoteError } from "../../store/remotes/remote-error.ts";
import { addRemote, chooseRemote, listRemotes, removeRemote } from "../../store/remotes/remotes.ts";
import type { ServerContext } from "../context.ts";
import { HttpError, notFound } from "../http/http-error.ts";

const tags = ["remotes"];
const One = t.Object({ remote: t.String({ maxLength: 63 }) });

export function remoteRoutes({ db, now }: ServerContext) {
  return new Elysia({ name: "remotes", prefix: "/api/v1" })
    .get("/remotes", () => ({ remotes: listRemotes(db) }), {
      detail: { tags, summary: "Servers to pull from and to push to" },
    })
    .post(
      "/remotes",
      ({ body, set }) => {
        set.status = 201;
        return added(() => addRemote(db, body.name, body.url, body.isDefault ?? false, now()));
      },
      {
        body: t.Object({
          name: t.String({ maxLength: 63 }),
          url: t.String({ maxLength: 500 }),
          isDefault: t.Optional(t.Boolean()),
        }),
        detail: { tags, summary: "Add a server" },
      },
    )
    .put(
      "/remotes/:remote/default",
      ({ params }) => {
        if (!chooseRemote(db, params.remote, now())) throw notFound(`remote ${params.remote}`);
        return { ok: true };
      },
      { params: One, detail: { tags, summary: "Make one the default" } },
    )
    .delete(
      "/remotes/:remote",
      ({ params }) => {
        if (!removeRemote(db, params.remote)) throw notFound(`remote ${params.remote}`);
        return { ok: true };
      },
      { params: One, detail: { tags, summary: "Forget a server" } },
    );
}

function added<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error;
    const { code, message, why, hint } = error;
    const more = { ...(why === undefined ? {} : { why }), ...(hint === undefined ? {} : { hint }) };
    throw new HttpError(code === "exists" ? 409 : 422, code, message, more);
  }
}
