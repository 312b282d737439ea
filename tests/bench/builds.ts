// How long each question takes that pages ask of builds, with 1,000 builds of three jobs and with 10,000. What answers
// in pages should hardly take longer; what looks at all builds of a job may take twice the 20 ms of the smaller store.
import { openLab } from "../store/builds/lab.ts";
import { generateBuilds } from "../store/builds/generate.ts";
import { questionsOf } from "../store/builds/questions.ts";

const ROUNDS = 20;
const SMALL = { count: 1000, limitMs: 20 } as const;
const LARGE = { count: 10_000, limitMs: 40 } as const;

/** Milliseconds of the median run, by question. */
async function measure(count: number): Promise<Map<string, number>> {
  await using lab = openLab();
  generateBuilds(lab.db, count);
  const times = questionsOf(lab.db, lab.store, count).map(([name, question]): [string, number] => {
    question();
    const runs = Array.from({ length: ROUNDS }, () => {
      const start = performance.now();
      question();
      return performance.now() - start;
    });
    return [name, runs.toSorted((a, b) => a - b)[ROUNDS / 2]!];
  });
  return new Map(times);
}

const small = await measure(SMALL.count);
const large = await measure(LARGE.count);
if (process.argv.includes("--json")) {
  console.log(
    JSON.stringify({ small: Object.fromEntries(small), large: Object.fromEntries(large) }, null, 2),
  );
} else {
  console.log(`${"median ms of".padEnd(40)} ${"1,000".padStart(8)} ${"10,000".padStart(8)}    ratio`);
  for (const [name, ms] of small) {
    const more = large.get(name)!;
    const columns = [ms.toFixed(2), more.toFixed(2), (more / ms).toFixed(1)].map((text) => text.padStart(8));
    console.log(`${name.padEnd(40)} ${columns.join(" ")}`);
  }
}
const slow = [
  ...[...small].filter(([, ms]) => ms > SMALL.limitMs),
  ...[...large].filter(([, ms]) => ms > LARGE.limitMs),
];
for (const [name, ms] of slow) console.log(`too slow: ${name}, ${ms.toFixed(1)} ms`);
if (slow.length > 0) process.exitCode = 1;
