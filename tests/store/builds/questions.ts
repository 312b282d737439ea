/** Every question that pages ask of builds, over a generated database. */
import type { Database } from "bun:sqlite";
import { searchText } from "../../../src/store/builds/search.ts";
import type { BuildStore } from "../../../src/store/api.ts";
import { JOBS, PLATFORMS, generatedId } from "./generate.ts";

/** By name. `count`: builds that were generated. */
export function questionsOf(db: Database, store: BuildStore, count: number): [string, () => unknown][] {
  const [platform] = PLATFORMS as readonly [(typeof PLATFORMS)[number]];
  const [job] = JOBS as readonly [(typeof JOBS)[number]];
  const build = store.build(generatedId(Math.floor(count / 2)))!;
  const page = { limit: 50 };
  return [
    ["the overview", () => store.overview()],
    ["a job", () => store.job(job)],
    ["a build", () => store.build(build.id)],
    ["a job's builds", () => store.buildsOf(job, page)],
    ["its successful builds", () => store.buildsOf(job, { ...page, kind: "successful" })],
    ["its failed builds", () => store.buildsOf(job, { ...page, kind: "failed" })],
    ["its builds of a platform", () => store.buildsOf(job, { ...page, platform })],
    [
      "its successful builds of a platform",
      () => store.buildsOf(job, { ...page, platform, kind: "successful" }),
    ],
    ["its failed builds of a platform", () => store.buildsOf(job, { ...page, platform, kind: "failed" })],
    ["its outputs", () => store.outputsOf(job, page)],
    ["its outputs of a platform", () => store.outputsOf(job, { ...page, platform })],
    ["the latest", () => store.latest(job)],
    ["the latest of a platform", () => store.latest(job, platform)],
    ["neighbours", () => store.neighbours(build)],
    ["reproductions", () => store.reproductions(build)],
    ["failed builds", () => store.failed(page)],
    ["failed builds of a platform", () => store.failed({ ...page, platform })],
    ["builds of a file", () => store.containing(build.main!.sha256)],
    ["builds by UUID", () => store.resolve(build.id.slice(0, 12))],
    ["an artifact", () => store.artifact(build.id, "opam-switch")],
    ["a record", () => store.record(build.id)],
    ["a search for a job", () => searchText(db, "hello", page)],
    ["a search for a hash", () => searchText(db, build.main!.sha256.slice(0, 8), page)],
    ["a search for a platform", () => searchText(db, `platform:${platform}`, page)],
    ["a search for a time", () => searchText(db, "since:2020-02-01 before:2020-03-01", page)],
    ["a search for a package", () => searchText(db, "x509 < 0.2.0", page)],
  ];
}
