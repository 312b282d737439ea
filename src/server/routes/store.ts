/** The store of contents: how large it is, and what is done so that it stays whole and small. */
import { Elysia, t } from "elysia";
import { RoburError } from "../../lib/errors.ts";
import { type JobName, type Platform, parseJobName, parsePlatform } from "../../store/api.ts";
import { collect } from "../../store/collection/collect.ts";
import { removeBuilds } from "../../store/collection/remove-builds.ts";
import type { RetentionRule } from "../../store/collection/retention.ts";
import { parseRetention, readRetention, writeRetention } from "../../store/collection/retention-settings.ts";
import { storeStatistics } from "../../store/collection/statistics.ts";
import { verifyStore } from "../../store/collection/verify.ts";
import { visitOf } from "../access/visit.ts";
import type { ServerContext } from "../context.ts";
import { problemOf } from "../http/error-response.ts";
import { HttpError } from "../http/http-error.ts";

const tags = ["store"];
const Selection = {
  jobs: t.Optional(t.Array(t.String({ maxLength: 128 }), { minItems: 1, maxItems: 10_000 })),
  platform: t.Optional(t.String({ maxLength: 128 })),
};
const Count = t.Integer({ minimum: 1, maximum: 1_000_000 });
const Vacuum = t.Object({
  rule: t.Union([
    t.Object({ kind: t.Literal("older-than"), at: t.Integer({ minimum: 0 }), ...Selection }),
    t.Object({ kind: t.Literal("except-latest"), count: Count, ...Selection }),
    t.Object({ kind: t.Literal("except-latest-successful"), count: Count, ...Selection }),
  ]),
  dryRun: t.Optional(t.Boolean()),
});
const CountOrNull = t.Optional(t.Union([Count, t.Null()]));

/** A silent answer is cut by proxies. */
const TELL_MS = 1000;

export function storeRoutes(context: ServerContext) {
  const { db, contents, builds, now } = context;
  return new Elysia({ name: "store", prefix: "/api/v1/store" })
    .get("", () => storeStatistics(db), {
      detail: { tags, summary: "How much is kept, and how much room it takes" },
    })
    .post(
      "/collect",
      ({ request, body }) =>
        lines(context, request, (signal) =>
          collect(db, contents, { now: now(), signal, dryRun: body.dryRun ?? false }),
        ),
      {
        body: t.Object({ dryRun: t.Optional(t.Boolean()) }),
        detail: {
          tags,
          summary: "Remove what nobody refers to",
          description:
            "The answer is a line of JSON now and then while it works, and `done` or `failed` last.",
        },
      },
    )
    .post(
      "/verify",
      ({ request }) =>
        lines(context, request, (signal, tell) => verifyStore(db, { signal, onProgress: tell })),
      {
        detail: {
          tags,
          summary: "Compare everything that is kept with its SHA-256",
          description:
            "The answer is a line of JSON now and then while it works, and `done` or `failed` last.",
        },
      },
    )
    .post(
      "/vacuum",
      ({ request, body }) => {
        const rule = ruleOf(body.rule);
        const options = { now: now(), dryRun: body.dryRun ?? false };
        return lines(context, request, (signal) => removeBuilds(db, builds, [rule], { ...options, signal }));
      },
      {
        body: Vacuum,
        detail: {
          tags,
          summary: "Remove old builds",
          description: "By one of builder-web's rules. Pinned builds stay, and those that a unikernel runs.",
        },
      },
    )
    .get("/retention", () => readRetention(db), {
      detail: { tags, summary: "Which builds the server removes by itself" },
    })
    .put(
      "/retention",
      ({ body }) => {
        writeRetention(db, parseRetention(body));
        return readRetention(db);
      },
      {
        body: t.Object({ keepSuccessful: CountOrNull, maxAgeDays: CountOrNull }),
        detail: { tags, summary: "Decide which builds the server removes by itself" },
      },
    );
}

/** Throws HttpError 422. */
function ruleOf(rule: (typeof Vacuum.static)["rule"]): RetentionRule {
  return { ...rule, jobs: rule.jobs?.map(jobOf), platform: platformOf(rule.platform) };
}

function jobOf(text: string): JobName {
  const name = parseJobName(text);
  if (name === undefined) throw new HttpError(422, "invalid", `${JSON.stringify(text)} is no job's name`);
  return name;
}

function platformOf(text: string | undefined): Platform | undefined {
  const name = text === undefined ? undefined : parsePlatform(text);
  if (text !== undefined && name === undefined) {
    throw new HttpError(422, "invalid", `${JSON.stringify(text)} is no platform's name`);
  }
  return name;
}

type Tell = (done: number, total: number) => void;

/**
 * Work as an answer: lines `{done, total}` while it goes on, then `{result}` or `{error}`. Whoever goes away ends it.
 */
function lines(
  { stopping, log }: ServerContext,
  request: Request,
  work: (signal: AbortSignal, tell: Tell) => Promise<unknown>,
): Response {
  visitOf(request).peer.keepOpen();
  const end = new AbortController();
  const signal = AbortSignal.any([end.signal, stopping]);
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      let [done, total] = [0, 0];
      const say = (line: unknown) => controller.enqueue(encoder.encode(`${JSON.stringify(line)}\n`));
      const timer = setInterval(() => say({ done, total }), TELL_MS);
      const finish = (line: unknown) => {
        clearInterval(timer);
        if (end.signal.aborted) return;
        say(line);
        controller.close();
      };
      work(signal, (nowDone, of) => ([done, total] = [nowDone, of])).then(
        (result) =>
          finish(
            signal.aborted ? { error: { code: "interrupted", message: "the server stopped" } } : { result },
          ),
        (error: unknown) => {
          const { code, message, why, hint } = problemOf(error);
          if (!(error instanceof RoburError))
            log("error", "work on the store failed", { why: String(error) });
          return finish({ error: { code, message, why, hint } });
        },
      );
      signal.addEventListener("abort", () => clearInterval(timer), { once: true });
    },
    cancel: () => end.abort(),
  });
  return new Response(body, {
    headers: { "content-type": "application/x-ndjson; charset=utf-8", "x-accel-buffering": "no" },
  });
}
