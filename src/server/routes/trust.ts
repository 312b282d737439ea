/** Keys, and signed statements about files. */
import { Elysia, t } from "elysia";
import { parseSha256 } from "../../lib/sha256.ts";
import { parseEnvelope } from "../../trust/envelope.ts";
import { type PublicKey, formatPublicKey, parsePublicKey, pemOf } from "../../trust/keys.ts";
import {
  attestationsAbout,
  attestationsOfBuild,
  distrust,
  keepAttestation,
  ownKey,
  ownPublicKeys,
  trustKey,
  trustedKeys,
} from "../../trust/records.ts";
import { TrustError } from "../../trust/trust-error.ts";
import type { ServerContext } from "../context.ts";
import { HttpError, notFound } from "../http/http-error.ts";

const tags = ["trust"];
const JSON_LINES = { "content-type": "application/jsonl", "x-content-type-options": "nosniff" };
const NewKey = t.Object({
  name: t.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$" }),
  key: t.String({ minLength: 1, maxLength: 1000 }),
});

function seen(key: PublicKey) {
  return { id: key.id, key: formatPublicKey(key), pem: pemOf(key) };
}

/** Turns what the trust room throws into what HTTP answers. */
function answering<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof TrustError)) throw error;
    const status = error.code === "exists" ? 409 : 422;
    const { why, hint } = error;
    throw new HttpError(status, error.code, error.message, {
      ...(why === undefined ? {} : { why }),
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

export function trustRoutes({ db, now }: ServerContext) {
  return new Elysia({ name: "trust", prefix: "/api/v1" })
    .get(
      "/trust/own",
      () => {
        // The first question makes the key, if the server never signed anything.
        ownKey(db, now());
        return { keys: ownPublicKeys(db).map(seen) };
      },
      { detail: { tags, summary: "The keys that this server signs with, the present one first" } },
    )
    .get(
      "/trust/keys",
      () => ({ keys: trustedKeys(db).map(({ name, key, addedAt }) => ({ name, ...seen(key), addedAt })) }),
      { detail: { tags, summary: "The keys whose statements count here" } },
    )
    .post(
      "/trust/keys",
      ({ body, set }) =>
        answering(() => {
          const { name, key, addedAt } = trustKey(db, body.name, parsePublicKey(body.key), now());
          set.status = 201;
          return { name, ...seen(key), addedAt };
        }),
      { body: NewKey, detail: { tags, summary: "Trust a key" } },
    )
    .delete(
      "/trust/keys/:key",
      ({ params }) => {
        if (!distrust(db, params.key)) throw notFound(`trusted key ${params.key}`);
        return { ok: true };
      },
      {
        params: t.Object({ key: t.String() }),
        detail: { tags, summary: "Trust a key no longer, by its name or id" },
      },
    )
    .get(
      "/attestations",
      ({ query }) => {
        const sha256 = query.sha256 === undefined ? undefined : parseSha256(query.sha256);
        if (sha256 === undefined && query.build === undefined) {
          throw new HttpError(422, "no-question", "about which file or build?", {
            hint: "?sha256=…, or ?build=…",
          });
        }
        const found =
          sha256 === undefined ? attestationsOfBuild(db, query.build!) : attestationsAbout(db, sha256);
        return new Response(found.map(({ envelope }) => `${envelope}\n`).join(""), { headers: JSON_LINES });
      },
      {
        query: t.Object({ sha256: t.Optional(t.String()), build: t.Optional(t.String()) }),
        detail: {
          tags,
          summary: "Signed statements about a file or a build",
          description:
            "DSSE envelopes with in-toto statements, a line each; verify them with keys of your own choice.",
        },
      },
    )
    .post(
      "/attestations",
      ({ body, set }) =>
        answering(() => {
          const { kind } = keepAttestation(db, parseEnvelope(body.envelope), { source: body.source }, now());
          set.status = 201;
          return { kind };
        }),
      {
        body: t.Object({
          envelope: t.String({ maxLength: 1_000_000 }),
          source: t.String({ maxLength: 500 }),
        }),
        detail: { tags, summary: "Keep a statement of somebody else's" },
      },
    );
}
