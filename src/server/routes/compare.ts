/** What is different between two builds, for programs. */
import { Elysia, t } from "elysia";
import { comparableOf } from "../../store/comparison/load-comparable.ts";
import { compareBuilds } from "../../store/comparison/comparison.ts";
import { buildByPrefix } from "../builds/find.ts";
import { lookInside } from "../builds/look-inside.ts";
import type { ServerContext } from "../context.ts";

const OneBuild = t.String({
  maxLength: 36,
  description: "a UUID, or any unique beginning of four digits or more",
});

export function compareRoutes(context: ServerContext) {
  const { builds, contents } = context;
  return new Elysia({ name: "compare", prefix: "/api/v1" }).get(
    "/compare/:left/:right",
    async ({ params, query }) => {
      const left = buildByPrefix(context, params.left);
      const right = buildByPrefix(context, params.right);
      const [l, r] = await Promise.all([
        comparableOf(builds, contents, left),
        comparableOf(builds, contents, right),
      ]);
      const comparison = compareBuilds(l, r);
      return query.binary === true
        ? (await lookInside(context, comparison, left, right)).comparison
        : comparison;
    },
    {
      params: t.Object({ left: OneBuild, right: OneBuild }),
      query: t.Object({
        binary: t.Optional(
          t.Boolean({
            description: "Look into the binaries as well, where they differ: that takes a while.",
          }),
        ),
      }),
      detail: {
        tags: ["builds"],
        summary: "What is different between two builds",
        description:
          "Inputs, files, and how they ended. Parts that one of the builds has no record of are named as missing.",
      },
    },
  );
}
