/** Webhooks, ntfy and scripts, for administrators. */
import { hostname } from "node:os";
import { Elysia, t } from "elysia";
import { newSecret } from "../accounts/secrets.ts";
import type { ServerContext } from "../context.ts";
import { EVENT_NAMES, type Message } from "../hooks/message.ts";
import { wantsEvent } from "../hooks/schedule.ts";
import { HttpError, notFound } from "../http/http-error.ts";
import {
  type Hook,
  type NewHook,
  addHook,
  changeHook,
  findHook,
  listDeliveries,
  listHooks,
  queueDelivery,
  removeHook,
} from "../hooks/store.ts";

const tags = ["hooks"];
const OneHook = t.Object({ hook: t.Integer() });
const Fields = t.Object({
  name: t.String({ pattern: "^[\\w .-]{1,64}$" }),
  kind: t.Union([t.Literal("webhook"), t.Literal("ntfy"), t.Literal("script")]),
  target: t.String({ minLength: 1, maxLength: 2000 }),
  secret: t.Optional(t.String({ minLength: 1, maxLength: 500 })),
  events: t.Array(t.String({ pattern: "^(\\*|[a-z]+\\.(\\*|[a-z-]+))$" }), { minItems: 1, maxItems: 50 }),
  enabled: t.Optional(t.Boolean()),
});

/** A hook without its secret. */
function seen({ secret, ...hook }: Hook) {
  return { ...hook, hasSecret: secret !== undefined };
}

/** Throws HttpError for a target that the kind can't have. */
function checkTarget({ kind, target }: Pick<NewHook, "kind" | "target">): void {
  const isUrl = /^https?:$/.test(URL.parse(target)?.protocol ?? "");
  const isRight = kind === "script" ? /^\w[\w.-]*$/.test(target) : isUrl;
  if (isRight) return;
  throw new HttpError(422, "invalid-target", `${JSON.stringify(target)} can't be the target of a ${kind}`, {
    hint: kind === "script" ? "the name of a file in the data directory's folder hooks" : "https://…",
  });
}

/** Throws HttpError for a pattern that means no event: such a hook would stay silent for ever. */
function checkEvents({ events }: Pick<NewHook, "events">): void {
  const unknown = events.find((pattern) => !EVENT_NAMES.some((name) => wantsEvent([pattern], name)));
  if (unknown === undefined) return;
  throw new HttpError(422, "invalid-event", `there is no event ${unknown}`, {
    hint: `* for all, unikernel.* for a family of them, or of ${EVENT_NAMES.join(", ")}`,
  });
}

export function hookRoutes({ db, now, wakeHooks }: ServerContext) {
  const existing = (id: number): Hook => {
    const hook = findHook(db, id);
    if (hook === undefined) throw notFound(`hook ${id}`);
    return hook;
  };
  return new Elysia({ name: "hooks", prefix: "/api/v1/hooks" })
    .get("", () => ({ hooks: listHooks(db).map(seen) }), {
      detail: { tags, summary: "Who is told of events" },
    })
    .post(
      "",
      ({ body, set }) => {
        checkTarget(body);
        checkEvents(body);
        // A webhook's key is made here and shown once, as tokens are.
        const secret = body.secret ?? (body.kind === "webhook" ? newSecret() : undefined);
        const hook = addHook(db, { ...body, secret, enabled: body.enabled ?? true }, now());
        set.status = 201;
        return { hook: seen(hook), ...(secret === undefined ? {} : { secret }) };
      },
      { body: Fields, detail: { tags, summary: "Add a webhook, an ntfy topic or a script" } },
    )
    .patch(
      "/:hook",
      ({ params, body }) => {
        const hook = { ...existing(params.hook), ...body };
        checkTarget(hook);
        checkEvents(hook);
        return seen(changeHook(db, params.hook, hook));
      },
      { params: OneHook, body: t.Partial(Fields), detail: { tags, summary: "Change one" } },
    )
    .delete(
      "/:hook",
      ({ params }) => {
        if (!removeHook(db, params.hook)) throw notFound(`hook ${params.hook}`);
        return { ok: true };
      },
      { params: OneHook, detail: { tags, summary: "Remove one" } },
    )
    .post(
      "/:hook/test",
      ({ params }) => {
        const { id, name } = existing(params.hook);
        const text = `This is a test of the hook ${name}.`;
        const at = new Date(now()).toISOString();
        const about = { unikernel: null, build: null, who: "", host: hostname() };
        const message: Message = { event: "hook.test", id: 0, at, text, ...about };
        const delivery = queueDelivery(db, id, message.event, JSON.stringify(message), now());
        wakeHooks();
        return { delivery };
      },
      { params: OneHook, detail: { tags, summary: "Send a test" } },
    )
    .get(
      "/:hook/deliveries",
      ({ params, query }) => ({
        deliveries: listDeliveries(db, existing(params.hook).id, query.limit ?? 50),
      }),
      {
        params: OneHook,
        query: t.Object({ limit: t.Optional(t.Integer({ minimum: 1, maximum: 500 })) }),
        detail: { tags, summary: "What it was told, newest first" },
      },
    )
    .post(
      "/:hook/deliveries/:delivery/replay",
      ({ params }) => {
        const { id } = existing(params.hook);
        const old = listDeliveries(db, id, 500).find((delivery) => delivery.id === params.delivery);
        if (old === undefined) throw notFound(`delivery ${params.delivery}`);
        const delivery = queueDelivery(db, id, old.event, old.body, now());
        wakeHooks();
        return { delivery };
      },
      {
        params: t.Object({ hook: t.Integer(), delivery: t.Integer() }),
        detail: { tags, summary: "Send it again" },
      },
    );
}
