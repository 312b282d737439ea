/**
 * Makes dist/robur: one executable with the runtime, every command and every asset in it.
 *
 * The same sources give the same bytes in any directory and at any time (tests/build/reproducible.test.ts):
 * nothing of the machine goes in but the commit's hash. Identifiers keep their names, because Elysia and error
 * messages read them; bytecode saves the parsing at each start; .env and bunfig.toml of whatever directory a
 * user stands in are not read.
 */
import { mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { $ } from "bun";

const root = join(import.meta.dir, "..");
const { version } = (await Bun.file(join(root, "package.json")).json()) as { version: string };

/** Worker threads begin in files of their own, which nothing imports. */
const WORKERS = ["src/store/chunks/worker.ts", "src/store/visualisations/draw-worker.ts"];

/** The commit that is built, `-dirty` with changes on top, or `unknown` outside of a git checkout. */
async function commit(): Promise<string> {
  const head = await $`git rev-parse HEAD`.cwd(root).nothrow().quiet();
  if (head.exitCode !== 0) return "unknown";
  const status = await $`git status --porcelain --untracked-files=no`.cwd(root).nothrow().quiet();
  return head.text().trim() + (status.text().trim() === "" ? "" : "-dirty");
}

/** Bun names the executable inside after its outfile, so it is built under its own name in a folder of its own. */
async function build(): Promise<void> {
  const out = join(root, "dist");
  const scratch = join(out, `.build-${process.pid}`);
  mkdirSync(scratch, { recursive: true });
  try {
    const options = [
      ...["--compile", "--bytecode", "--format=esm", "--splitting", "--minify-whitespace", "--minify-syntax"],
      ...["--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig", "--sourcemap=none"],
      // Loading a chunk costs a sixth of a millisecond: the small ones are put together.
      "--min-chunk-size=32768",
      ...["--define", `ROBUR_VERSION=${JSON.stringify(version)}`],
      ...["--define", `ROBUR_COMMIT=${JSON.stringify(await commit())}`],
    ];
    const outfile = join(scratch, "robur");
    await $`${process.execPath} build ${options} src/main.ts ${WORKERS} --outfile ${outfile}`
      .cwd(root)
      .quiet();
    renameSync(outfile, join(out, "robur"));
  } finally {
    await $`rm -rf ${scratch}`;
  }
}

await build().catch((error: unknown) => {
  const output = error instanceof $.ShellError ? error.stderr.toString() + error.stdout.toString() : "";
  console.error(`error: the build failed\n${output}${String(error)}`);
  process.exit(1);
});
const { size } = Bun.file(join(root, "dist/robur"));
console.error(`dist/robur: ${(size / 1e6).toFixed(1)} MB`);
