// Every question that pages ask of builds is answered from an index, and in a time that pages can wait for.
import { afterAll, expect, spyOn, test } from "bun:test";
import type { SQLQueryBindings } from "bun:sqlite";
import { openLab } from "./lab.ts";
import { generateBuilds } from "./generate.ts";
import { questionsOf } from "./questions.ts";

const lab = openLab();
afterAll(() => lab[Symbol.asyncDispose]());
const COUNT = 1000;
generateBuilds(lab.db, COUNT);

const QUESTIONS = questionsOf(lab.db, lab.store, COUNT);

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

/** The steps that go through all rows of a table that grows. */
function scansOf(question: () => unknown): { sql: string; scans: string[] }[] {
  const plans = plansOf(question);
  expect(plans.length).toBeGreaterThan(0);
  const found = plans.map(({ sql, steps }) => ({ sql, scans: steps.filter(isScan) }));
  return found.filter(({ scans }) => scans.length > 0);
}

function isScan(step: string): boolean {
  // An index of the failed ones only is no more than what was asked for.
  if (step === "SCAN b USING INDEX build_failed") return false;
  return /^SCAN (b|a|build|artifact|f|record_file|s|switch_package|c|content)\b/.test(step);
}

test.each(QUESTIONS)("%s: no step goes through all builds or artifacts", (_, question) => {
  expect(scansOf(question)).toEqual([]);
  // Nor when SQLite has counted the rows.
  lab.db.run("ANALYZE");
  try {
    expect(scansOf(question)).toEqual([]);
  } finally {
    lab.db.run("DELETE FROM sqlite_stat1");
    lab.db.run("ANALYZE sqlite_schema");
  }
});

test("a scan would be seen", () => {
  const plans = plansOf(() => lab.db.query("SELECT * FROM build b WHERE b.worker = 'x'").all());
  expect(plans[0]?.steps).toEqual(["SCAN b"]);
  expect(isScan("SCAN b")).toBe(true);
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
