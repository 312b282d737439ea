/**
 * `npm test`: everything that has to be right. Arguments choose test files whose path contains one of them.
 *
 * Each test file runs in a process of its own, so that one that crashes or hangs costs its own tests only. As many
 * run at once as there are processors; a file whose first lines contain `@alone` measures time, or uses the whole
 * machine, and has it for itself. A file that fails is run once more alone, and that is said. The last line printed
 * is `N passed, N failed`, with `, N skipped` behind it where tests were left out.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { installPackages } from "./packages.ts";
import { type TestCase, readReport } from "./report.ts";
import { roburExecutable } from "./robur.ts";

const PROJECT = join(import.meta.dir, "..");
/** No file may take longer than this; one that does is killed and counts as failed. */
const FILE_LIMIT_MS = 8 * 60_000;
/** For tests that name no limit of their own. */
const TEST_LIMIT_MS = 60_000;

interface FileResult {
  readonly file: string;
  readonly cases: readonly TestCase[];
  /** What the file printed, both streams. */
  readonly output: string;
  /** The process failed although no test of it did: it did not load, crashed, or took too long. */
  readonly broken: string | undefined;
  readonly seconds: number;
}

function chooseFiles(patterns: readonly string[]): string[] {
  const files = [...new Bun.Glob("tests/**/*.test.{ts,tsx}").scanSync({ cwd: PROJECT })].sort();
  if (patterns.length === 0) return files;
  return files.filter((file) => patterns.some((pattern) => file.includes(pattern)));
}

function runsAlone(file: string): boolean {
  return readFileSync(join(PROJECT, file), "utf8").slice(0, 2000).includes("@alone");
}

async function runFile(file: string, scratch: string): Promise<FileResult> {
  const report = join(scratch, `${file.replaceAll("/", "-")}.xml`);
  const started = performance.now();
  const options = [`--timeout=${TEST_LIMIT_MS}`, "--reporter=junit", `--reporter-outfile=${report}`];
  const child = Bun.spawn([process.execPath, "test", ...options, `./${file}`], {
    cwd: PROJECT,
    // Colours would have to be taken out of the output again. What a test keeps is not for the machine's own robur.
    env: { ...process.env, NO_COLOR: "1", TMPDIR: scratch, ROBUR_DATA_DIR: join(scratch, "data", file) },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let tookTooLong = false;
  const timer = setTimeout(() => {
    tookTooLong = true;
    child.kill("SIGKILL");
  }, FILE_LIMIT_MS);
  const [output, errors, status] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  clearTimeout(timer);
  const cases = existsSync(report) ? readReport(readFileSync(report, "utf8")) : [];
  const hasFailure = cases.some(({ result }) => result === "failed");
  let broken: string | undefined;
  if (tookTooLong) broken = `took longer than ${FILE_LIMIT_MS / 60_000} minutes`;
  else if (errors.includes("# Unhandled error between tests")) broken = "an error outside of any test";
  else if (status !== 0 && !hasFailure) broken = `the process ended with ${child.signalCode ?? status}`;
  const seconds = (performance.now() - started) / 1000;
  return { file, cases, output: output + errors, broken, seconds };
}

/** Runs all files, `lanes` at once, and prints one line for each as it ends. */
async function runFiles(files: readonly string[], lanes: number, scratch: string): Promise<FileResult[]> {
  const waiting = [...files];
  const results: FileResult[] = [];
  const lane = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const result = await runFile(file, scratch);
      results.push(result);
      printFile(result);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return results;
}

/** More than this is no matter of a busy machine. */
const REPEATED_MAX = 4;

/**
 * Runs files that failed once more, each with the machine to itself. One that passes then counts as passed, and is
 * named all the same: it is a test that has to be mended, not a fault of what it tests.
 */
async function repeatFailures(results: FileResult[], scratch: string): Promise<void> {
  const failed = results.filter(isBad);
  if (failed.length === 0 || failed.length > REPEATED_MAX) return;
  console.log("\nonce more, alone:");
  for (const before of failed) {
    const again = await runFile(before.file, scratch);
    printFile(again);
    if (isBad(again)) continue;
    results[results.indexOf(before)] = again;
    console.log(`     ${before.file} FAILED among others and passed alone: mend that test`);
  }
}

function isBad({ cases, broken }: FileResult): boolean {
  return broken !== undefined || cases.some(({ result }) => result === "failed");
}

function printFile({ file, cases, output, broken, seconds }: FileResult): void {
  const failed = cases.filter(({ result }) => result === "failed").length;
  const hasFailed = failed > 0 || broken !== undefined;
  const count = `${cases.filter(({ result }) => result === "passed").length} passed`;
  const more = [failed > 0 ? `, ${failed} failed` : "", broken === undefined ? "" : `, ${broken}`].join("");
  console.log(`${hasFailed ? "FAIL" : "ok  "} ${file}: ${count}${more} (${seconds.toFixed(1)} s)`);
  // The runner's own account has the line of the source, the difference, and what the test printed.
  if (hasFailed) console.log(`${onlyFailures(output).replaceAll(/^/gm, "     ")}\n`);
}

/** The output without the lines of tests that passed or were left out. */
function onlyFailures(output: string): string {
  const lines = output.split("\n").filter((line) => !/^\((pass|skip|todo)\) /.test(line));
  return lines.join("\n").trim();
}

function printSkipped(results: readonly FileResult[]): void {
  const files = results.filter(({ cases }) => cases.some(({ result }) => result === "skipped"));
  if (files.length === 0) return;
  console.log("\nskipped:");
  for (const { file, cases, output } of files.toSorted((a, b) => (a.file < b.file ? -1 : 1))) {
    const reasons = [...output.matchAll(/^SKIP: (.*)$/gm)].map(([, reason]) => reason);
    console.log(`  ${file}: ${reasons.length === 0 ? "no reason given" : reasons.join("; ")}`);
    for (const { name, result } of cases) if (result === "skipped") console.log(`    ${name}`);
  }
}

/** Format, lint and types; answers whether they are clean. */
function check(): boolean {
  const { exitCode } = Bun.spawnSync([process.execPath, "scripts/check.ts"], {
    cwd: PROJECT,
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
  });
  return exitCode === 0;
}

async function main(patterns: readonly string[]): Promise<number> {
  const started = performance.now();
  installPackages();
  const files = chooseFiles(patterns);
  if (files.length === 0) {
    console.error(`no test file's path contains ${patterns.join(" or ")}`);
    console.log("0 passed, 0 failed");
    return 1;
  }
  const isClean = patterns.length > 0 || check();
  process.env["ROBUR_EXECUTABLE"] = await roburExecutable();

  // What the tests leave behind goes with it, whatever becomes of them.
  const scratch = mkdtempSync(join(tmpdir(), "robur-tests-"));
  Bun.spawnSync(["chmod", "755", scratch]);
  const results: FileResult[] = [];
  try {
    const alone = files.filter(runsAlone);
    const together = files.filter((file) => !alone.includes(file));
    results.push(...(await runFiles(together, Math.max(2, availableParallelism()), scratch)));
    results.push(...(await runFiles(alone, 1, scratch)));
    await repeatFailures(results, scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  printSkipped(results);
  return summarise(results, isClean, (performance.now() - started) / 1000);
}

function summarise(results: readonly FileResult[], isClean: boolean, seconds: number): number {
  const count = (wanted: TestCase["result"]) =>
    results.reduce((sum, { cases }) => sum + cases.filter(({ result }) => result === wanted).length, 0);
  const passed = count("passed");
  const skipped = count("skipped");
  // A file that broke and an unclean tree count as one failure each: they have no test's name.
  const broken = results.filter((file) => file.broken !== undefined).length;
  const failed = count("failed") + broken + (isClean ? 0 : 1);

  const bad = results.flatMap(({ file, cases, broken }) => [
    ...cases.filter(({ result }) => result === "failed").map(({ name }) => `${file}: ${name}`),
    ...(broken === undefined ? [] : [`${file}: ${broken}`]),
  ]);
  if (!isClean) bad.unshift("format, lint or types: see above, or npm run check");
  if (bad.length > 0) console.log(`\nfailed:\n${bad.map((line) => `  ${line}`).join("\n")}`);

  console.log(`\n${results.length} files in ${seconds.toFixed(0)} s`);
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  return failed > 0 || passed === 0 ? 1 : 0;
}

process.exit(await main(process.argv.slice(2)));
