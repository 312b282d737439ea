// No page about builds, and no answer for programs, goes through all rows of a table that grows with builds.
import { expect, spyOn, test } from "bun:test";
import type { SQLQueryBindings } from "bun:sqlite";
import { generateBuilds, generatedId, JOBS, PLATFORMS } from "../../store/builds/generate.ts";
import { createHarness } from "../harness.ts";

const harness = createHarness();
const { db, builds } = harness.context;
harness.user("root", "admin");
generateBuilds(db, 1000);
const [left, right] = [400, 500].map((number) => builds.build(generatedId(number))!);
const [job, platform] = [JOBS[0]!, PLATFORMS[0]!];
const AT = `/job/${right!.job}/build/${right!.id}`;

const PATHS = [
  ...["/", "/all-builds", "/failed-builds", `/failed-builds?platform=${platform}`],
  ...[`/job/${job}`, `/job/${job}?platform=${platform}`, `/job/${job}/failed`, `/job/${job}/feed`],
  ...[`/job/${job}/build/latest`, `/job/${job}/build/latest?platform=${platform}`],
  ...["", "/log", "/script", "/exec", "/main-binary", "/attestations", "/buildinfo"].map((rest) => AT + rest),
  ...["/compare", `/compare?job=${job}`, `/compare/${left!.id}/${right!.id}`],
  ...[`/hash?sha256=${right!.main!.sha256}`, "/search?q=hello", "/search?q=x509%20<%200.2.0", "/queue"],
  ...["/api/v1/jobs", `/api/v1/jobs/${job}`, `/api/v1/jobs/${job}/builds`, "/api/v1/builds"],
  ...[`/api/v1/builds/${right!.id}`, "/api/v1/runs", "/api/v1/queue", "/api/v1/unreproducible"],
  ...[`/api/v1/compare/${left!.id}/${right!.id}`, "/api/v1/attestations", "/api/v1/reproductions"],
];

/** Jobs, workers and keys are few, and these indexes have no more than what was asked for. */
const FEW =
  /^SCAN (?:(?:job|job_definition|worker_platform|signing_key|trusted_key|p|CONSTANT ROW)\b|\(subquery-)/;
const PARTIAL = /^SCAN \w+ USING (COVERING )?INDEX (build_failed|run_running|run_queue)$/;

test.each(
  PATHS.flatMap((path) => ["text/html", "application/json"].map((accept) => [path, accept] as const)),
)("%s as %s", async (path, accept) => {
  const spy = spyOn(db, "query");
  const answer = await harness.ask(path, { socket: true, headers: { accept } });
  await answer.text();
  const statements = new Set(spy.mock.calls.map(([sql]) => sql));
  spy.mockRestore();
  expect(answer.status).toBeLessThan(500);
  const scans = [...statements].flatMap((sql) => {
    const explained = db.prepare<{ detail: string }, SQLQueryBindings[]>(`EXPLAIN QUERY PLAN ${sql}`);
    return explained
      .all(...Array.from({ length: explained.paramsCount }, () => null))
      .filter(({ detail }) => detail.startsWith("SCAN ") && !FEW.test(detail) && !PARTIAL.test(detail))
      .map(({ detail }) => `${detail}: ${sql}`);
  });
  expect(scans).toEqual([]);
});
