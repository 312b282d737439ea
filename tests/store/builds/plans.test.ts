// Every question that pages ask of builds is answered from an index, and in a time that pages can wait for.
import { afterAll, expect, spyOn, test } from "bun:test";
import type { SQLQueryBindings } from "bun:sqlite";
import { searchText } from "../../../src/store/builds/search.ts";
import type { Sha256 } from "../../../src/store/api.ts";
import { openLab } from "./lab.ts";
import { generateBuilds, generatedId, JOBS, PLATFORMS } from "./generate.ts";

const lab = openLab();
afterAll(() => lab[Symbol.asyncDispose]());
generateBuilds(lab.db, 1000);
lab.db.run("ANALYZE");

const [platform] = PLATFORMS as readonly [(typeof PLATFORMS)[number]];
const [job] = JOBS as readonly [(typeof JOBS)[number]];
const build = lab.store.build(generatedId(500))!;
const page = { limit: 50 };

const QUESTIONS: [string, () => unknown][] = [
  ["the overview", () => lab.store.overview()],
  ["a job", () => lab.store.job(job)],
  ["a build", () => lab.store.build(build.id)],
  ["a job's builds", () => lab.store.buildsOf(job, page)],
  ["its successful builds", () => lab.store.buildsOf(job, { ...page, kind: "successful" })],
  ["its failed builds", () => lab.store.buildsOf(job, { ...page, kind: "failed" })],
  ["its builds of a platform", () => lab.store.buildsOf(job, { ...page, platform })],
  [
    "its successful builds of a platform",
    () => lab.store.buildsOf(job, { ...page, platform, kind: "successful" }),
  ],
  ["its failed builds of a platform", () => lab.store.buildsOf(job, { ...page, platform, kind: "failed" })],
  ["its outputs", () => lab.store.outputsOf(job, page)],
  ["its outputs of a platform", () => lab.store.outputsOf(job, { ...page, platform })],
  ["the latest", () => lab.store.latest(job)],
  ["the latest of a platform", () => lab.store.latest(job, platform)],
  ["neighbours", () => lab.store.neighbours(build)],
  ["reproductions", () => lab.store.reproductions(build)],
  ["failed builds", () => lab.store.failed(page)],
  ["failed builds of a platform", () => lab.store.failed({ ...page, platform })],
  ["builds of a file", () => lab.store.containing(build.main!.sha256 as Sha256)],
  ["builds by UUID", () => lab.store.resolve(build.id.slice(0, 12))],
  ["an artifact", () => lab.store.artifact(build.id, "opam-switch")],
  ["a record", () => lab.store.record(build.id)],
  ["a search for a job", () => searchText(lab.db, "hello", page)],
  ["a search for a hash", () => searchText(lab.db, build.main!.sha256.slice(0, 8), page)],
  ["a search for a platform", () => searchText(lab.db, `platform:${platform}`, page)],
  ["a search for a time", () => searchText(lab.db, "since:2020-02-01 before:2020-03-01", page)],
  ["a search for a package", () => searchText(lab.db, "x509 < 0.2.0", page)],
];

/** The statements that a question runs, with what SQLite makes of them. */
function plansOf(question: () => unknown): { sql: string; steps: string[] }[] {
  const spy = spyOn(lab.db, "query");
  question();
  const statements = [...new Set(spy.mock.calls.map(([sql]) => sql))];
  spy.mockRestore();
  return statements.map((sql) => {
    const explained = lab.db.prepare<{ detail: string }, SQLQueryBindings[]>(`EXPLAIN QUERY PLAN ${sql}`);
    const steps = explained.all(...Array.from({ length: explained.paramsCount }, () => null));
    return { sql, steps: steps.map(({ detail }) => detail) };
  });
}

test.each(QUESTIONS)("%s: no step goes through all builds or artifacts", (_, question) => {
  const plans = plansOf(question);
  expect(plans.length).toBeGreaterThan(0);
  for (const { sql, steps } of plans) {
    // An index of the failed ones only is no more than what was asked for.
    const scans = steps.filter(
      (step) =>
        /^SCAN (b|a|build|artifact|m|record_file|switch_package)\b/.test(step) &&
        step !== "SCAN b USING INDEX build_failed",
    );
    expect({ sql, scans }).toEqual({ sql, scans: [] });
  }
});

test("a scan would be seen", () => {
  const plans = plansOf(() => lab.db.query("SELECT * FROM build b WHERE b.worker = 'x'").all());
  expect(plans[0]?.steps).toEqual(["SCAN b"]);
});

test.each(QUESTIONS)("%s: with 1,000 builds it takes less than 20 ms", (_, question) => {
  question();
  // The quickest of several: a busy machine only adds.
  const times = Array.from({ length: 10 }, () => {
    const start = performance.now();
    question();
    return performance.now() - start;
  });
  expect(Math.min(...times)).toBeLessThan(20);
});
