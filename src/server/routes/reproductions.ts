/** What came of building things again; and a build's papers: statements about it, and its .buildinfo. */
import { Elysia, t } from "elysia";
import { attestRebuild, readInputs } from "../../builds/attestations/attest.ts";
import { buildinfoOf, oldSums } from "../../builds/attestations/buildinfo-of.ts";
import { recordedSettings } from "../../builds/reproduce/recorded-settings.ts";
import type { Sha256 as Sha256Type } from "../../lib/sha256.ts";
import { attestationsOfBuild } from "../../trust/records.ts";
import { keepReproduction, reproductionsOf, summaryOf } from "../../trust/reproductions.ts";
import { existingBuild } from "../builds/find.ts";
import { buildPath } from "../builds/paths.ts";
import type { ServerContext } from "../context.ts";
import { HttpError } from "../http/http-error.ts";
import { Sha256 } from "./schemas.ts";

const tags = ["reproductions"];
const Uuid = t.String({ pattern: "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$" });
const Moment = t.Integer({ minimum: 0 });
const Named = t.Array(t.Object({ name: t.String({ minLength: 1, maxLength: 1024 }), sha256: Sha256 }), {
  maxItems: 10_000,
});
const Report = t.Object({
  build: Uuid,
  source: t.Optional(t.String({ maxLength: 1000 })),
  verdict: t.Union([t.Literal("GOOD"), t.Literal("BAD"), t.Literal("FAIL"), t.Literal("UNKNOWN")]),
  startedAt: Moment,
  finishedAt: Moment,
  /** Files that came out the same. */
  files: Named,
  inputs: Named,
  report: t.Record(t.String(), t.Unknown()),
});
const OfBuild = t.Object({ job: t.String(), build: t.String() });

export function reproductionRoutes({ db, now, builds, orchestrator }: ServerContext) {
  return new Elysia({ name: "reproductions", prefix: "/api/v1" })
    .get("/reproductions", ({ query }) => ({ reproductions: reproductionsOf(db, query.build) }), {
      query: t.Object({ build: Uuid }),
      detail: { tags, summary: "What came of building a build again, the newest first" },
    })
    .post(
      "/reproductions",
      ({ body, set }) => {
        const { build, source, verdict, startedAt, finishedAt, files, inputs, report } = body;
        const subjects = files.map(({ name, sha256 }) => ({ name, sha256: sha256 as Sha256Type }));
        const own = source === undefined ? existingBuild({ builds }, build) : undefined;
        // What is signed about a build of this server is about its files, and no others.
        const wrong = subjects.find(
          ({ name, sha256 }) =>
            own !== undefined && !own.artifacts.some((file) => file.path === name && file.sha256 === sha256),
        );
        if (wrong !== undefined) {
          throw new HttpError(422, "other-files", `${wrong.name} of build ${build} is another file`);
        }
        const materials = inputs.map(({ name, sha256 }) => ({ name, sha256: sha256 as Sha256Type }));
        const about = { build, files: subjects, inputs: materials, startedAt, finishedAt };
        const attestation =
          verdict === "GOOD" && subjects.length > 0 ? attestRebuild(db, about, now()) : undefined;
        const kept = { build, source, verdict, startedAt, finishedAt, report };
        keepReproduction(db, kept, attestation);
        if (own !== undefined && verdict === "BAD") {
          const text = `${own.job} on ${own.platform}: built again, it was not the same`;
          const why = summaryOf(kept)?.slice(0, 200);
          orchestrator.tell(
            "build-differs",
            `${text}${why === undefined ? "" : `, ${why}`} (${buildPath(own)})`,
          );
        }
        set.status = 201;
        return { verdict, isSigned: attestation !== undefined };
      },
      {
        body: Report,
        detail: {
          tags,
          summary: "Report what came of building a build again",
          description: "GOOD is signed with the server's key, so only administrators report.",
        },
      },
    );
}

/** Beside a build's other files. */
export function paperRoutes({ db, builds, contents }: ServerContext) {
  const etag = (text: string) => `"${new Bun.CryptoHasher("sha256").update(text).digest("hex")}"`;
  const answer = (text: string, type: string, name: string) =>
    new Response(text, {
      headers: {
        "content-type": type,
        "content-disposition": `inline; filename="${name}"`,
        "x-content-type-options": "nosniff",
        "cache-control": "no-cache",
        etag: etag(text),
      },
    });
  return new Elysia({ name: "papers" })
    .get(
      "/job/:job/build/:build/attestations",
      ({ params }) => {
        const { id } = existingBuild({ builds }, params.build);
        const lines = attestationsOfBuild(db, id).map(({ envelope }) => `${envelope}\n`);
        return answer(lines.join(""), "application/jsonl", `${id}.jsonl`);
      },
      { params: OfBuild, detail: { tags, summary: "Signed statements about a build" } },
    )
    .get(
      "/job/:job/build/:build/buildinfo",
      async ({ params }) => {
        const build = existingBuild({ builds }, params.build);
        const inputs = await readInputs(builds, contents, build);
        const sums = await oldSums(builds, contents, build);
        const machine = process.arch === "arm64" ? "arm64" : "amd64";
        const own = attestationsOfBuild(db, build.id).filter(({ source }) => source === undefined);
        const { basePackages } = recordedSettings(own.map(({ envelope }) => envelope).join("\n"));
        const text = buildinfoOf(build, inputs, sums, machine, basePackages);
        return answer(text, "text/plain; charset=utf-8", `${build.job}_${build.id}.buildinfo`);
      },
      { params: OfBuild, detail: { tags, summary: "The build in the form of Debian's .buildinfo" } },
    );
}
