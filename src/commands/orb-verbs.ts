/** What `orb build` and `orb rebuild` do. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type CommonOptions, buildPackage } from "../builds/orb/build.ts";
import { sanitisePath } from "../builds/orb/environment.ts";
import { OrbError } from "../builds/orb/orb-error.ts";
import { fetchRecord } from "../builds/orb/recorded-build.ts";
import { rebuildPackage } from "../builds/orb/rebuild.ts";
import { parseRepositories } from "../builds/orb/session.ts";
import { installSystemPackages } from "../builds/orb/system-packages.ts";
import { systemVariables } from "../builds/orb/system-variables.ts";
import { UsageError } from "../lib/errors.ts";
import { print } from "../linux/libc.ts";
import type { ChangeRecordDifference } from "../opam/change-record.ts";

interface CommonFlags {
  readonly out: string;
  readonly skipSystem: boolean;
  readonly disableSandboxing: boolean;
  readonly cache: string | undefined;
  readonly keepBuildDir: boolean;
  readonly jobs: number | undefined;
  readonly verbose: boolean;
  readonly withTest: boolean;
  readonly withDoc: boolean;
  readonly requireChecksums: boolean;
}

interface BuildFlags extends CommonFlags {
  readonly latest: boolean;
  readonly repos: string;
  readonly switchName: string | undefined;
  readonly date: string | undefined;
  readonly solverTimeout: string | undefined;
  readonly twice: boolean;
}

function commonOptions(flags: CommonFlags): CommonOptions {
  const { jobs } = flags;
  if (jobs !== undefined && !(Number.isInteger(jobs) && jobs > 0))
    throw new UsageError(`--jobs ${jobs}: a whole number above 0`, { hint: "--jobs 2" });
  const opamOptions = [
    ...(jobs === undefined ? [] : [`--jobs=${jobs}`]),
    ...(flags.verbose ? ["--verbose"] : []),
    ...(flags.withTest ? ["--with-test"] : []),
    ...(flags.withDoc ? ["--with-doc"] : []),
    ...(flags.requireChecksums ? ["--require-checksums"] : []),
    ...(flags.keepBuildDir ? ["--keep-build-dir"] : []),
  ];
  const { skipSystem, disableSandboxing, cache, keepBuildDir: keepBuild } = flags;
  const { HOME: home, PATH: path } = process.env;
  const [first] = Object.keys(process.env).filter((key) => key === "HOME" || key === "PATH");
  return {
    out: resolve(flags.out),
    skipSystem,
    disableSandboxing,
    cache,
    keepBuild,
    opamOptions,
    home,
    path,
    isPathFirst: first === "PATH",
  };
}

/** `orb build`. Throws OrbError. */
export async function build(text: string, flags: BuildFlags): Promise<void> {
  const common = commonOptions(flags);
  const options = {
    ...common,
    latest: flags.latest,
    repositories: parseRepositories(flags.repos),
    switchName: flags.switchName ?? `orb${crypto.randomUUID().slice(0, 6)}temp`,
    date: flags.date === undefined ? Date.now() / 1000 : readDate(flags.date),
    solverTimeout: readSolverTimeout(flags.solverTimeout),
  };
  await buildPackage(text, options);
  if (!flags.twice) return;
  if (flags.keepBuildDir) {
    throw new UsageError("--twice and --keep-build-dir exclude each other", {
      why: "the second build has the same switch",
    });
  }
  const second = { ...common, out: `${common.out}2`, skipSystem: true, ignoreEnvironment: false };
  tell(await rebuildPackage(common.out, second), common.out, second.out);
}

/** As it was written: it is recorded. opam would pass over what is no number. */
function readSolverTimeout(text: string | undefined): string | undefined {
  if (text === undefined || (/^\d+(\.\d*)?$/.test(text) && Number(text) > 0)) return text;
  throw new UsageError(`--solver-timeout ${text} is no number of seconds`, { hint: "--solver-timeout=600" });
}

function readDate(text: string): number {
  const seconds = Number(text);
  if (text.trim() !== "" && Number.isFinite(seconds) && seconds >= 0) return seconds;
  throw new UsageError(`--date ${text} is no number of seconds`, { hint: "--date=1589138087" });
}

/** `orb rebuild`. Throws OrbError. */
export async function rebuild(
  build: string,
  flags: CommonFlags & { readonly ignoreEnvDifferences: boolean },
): Promise<void> {
  const options = { ...commonOptions(flags), ignoreEnvironment: flags.ignoreEnvDifferences };
  const isUrl = /^https?:\/\//.test(build);
  if (!isUrl && resolve(build) === options.out) {
    throw new UsageError("the record would be overwritten by that of its rebuild", { hint: "--out=DIR" });
  }
  if (!isUrl) return tell(await rebuildPackage(resolve(build), options), build, flags.out);
  const scratch = mkdtempSync(join(tmpdir(), "orb-record-"));
  try {
    const published = await fetchRecord(build, scratch);
    tell(await rebuildPackage(scratch, options, published), build, flags.out);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** `orb system`. A record without such a list asks for nothing. */
export async function system(directory: string): Promise<void> {
  const list = join(directory, "system-packages");
  if (!existsSync(list)) return;
  const path = sanitisePath(process.env["PATH"]);
  await installSystemPackages(readFileSync(list, "utf8"), systemVariables(path), path);
}

/** Prints the verdict. Throws OrbError differs. */
function tell(differences: readonly ChangeRecordDifference[], first: string, second: string): void {
  if (differences.length === 0) {
    print("It is reproducible!!!\n");
    return;
  }
  const words = { both: "differs", left: "only in the first", right: "only in the second" };
  for (const { path, side } of differences) print(`${path}: ${words[side]}\n`);
  const count = differences.length === 1 ? "1 file is" : `${differences.length} files are`;
  throw new OrbError("differs", `${count} not reproducible`, {
    why: `compare ${first} and ${second}`,
  });
}
