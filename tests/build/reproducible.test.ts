// @alone
// The executable depends on nothing but the commit: whoever builds it, wherever and whenever, gets the same bytes.
import { beforeAll, describe, expect, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { lacks, needsCommands } from "../needs.ts";
import { temporaryDirectory } from "../robur.ts";

const PROJECT = join(import.meta.dir, "../..");
/** What a build reads, and what git needs to know whether it is all committed. */
const IGNORED = ["node_modules", "dist", ".cache", ".git"];

function git(directory: string, ...args: string[]): string {
  const identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@localhost", "-c", "gc.auto=0"];
  const { exitCode, stdout, stderr } = Bun.spawnSync(["git", ...identity, ...args], {
    cwd: directory,
    // Not the repository of whoever runs the tests from a hook, nor their settings.
    env: { PATH: process.env["PATH"] ?? "", HOME: directory, GIT_CONFIG_NOSYSTEM: "1" },
  });
  if (exitCode !== 0) throw new Error(`git ${args.join(" ")}: ${stderr.toString()}`);
  return stdout.toString().trim();
}

/** The files of this tree as they are, committed or not, in a repository of their own. */
function snapshot(): string {
  const directory = join(temporaryDirectory(), "first");
  mkdirSync(directory);
  for (const name of new Bun.Glob("*").scanSync({ cwd: PROJECT, dot: true, onlyFiles: false })) {
    if (!IGNORED.includes(name)) cpSync(join(PROJECT, name), join(directory, name), { recursive: true });
  }
  git(directory, "init", "--quiet");
  git(directory, "add", "--all");
  git(directory, "commit", "--quiet", "--message", "x");
  return directory;
}

async function build(directory: string, env: Record<string, string> = {}): Promise<string> {
  const modules = join(directory, "node_modules");
  // A copy and no link: the bundler follows links, and the names of its pieces depend on where files really are.
  if (!existsSync(modules)) cpSync(join(PROJECT, "node_modules"), modules, { recursive: true });
  const child = Bun.spawn([process.execPath, "scripts/build.ts"], {
    cwd: directory,
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [errors, status] = await Promise.all([child.stderr.text(), child.exited]);
  if (status !== 0) throw new Error(errors);
  return join(directory, "dist/robur");
}

const hashOf = (path: string) => new Bun.CryptoHasher("sha256").update(readFileSync(path)).digest("hex");
const versionOf = (path: string) => Bun.spawnSync([path, "--version"]).stdout.toString().trim();

describe.skipIf(lacks(needsCommands("git")))("scripts/build.ts", () => {
  let first: string;
  let executable: string;
  const { version } = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8")) as { version: string };

  beforeAll(async () => {
    first = snapshot();
    executable = await build(first);
  });

  test("makes the same bytes from the same commit in another directory, at another time", async () => {
    const second = join(temporaryDirectory(), "a", "much longer", "name");
    mkdirSync(join(second, ".."), { recursive: true });
    git(first, "clone", "--quiet", first, second);
    const other = { TZ: "Pacific/Auckland", LANG: "de_DE.UTF-8", SOURCE_DATE_EPOCH: "1", USER: "other" };
    expect(hashOf(await build(second, other))).toBe(hashOf(executable));
  });

  test("tells version and commit", () => {
    expect(versionOf(executable)).toBe(`robur ${version} (commit ${git(first, "rev-parse", "HEAD")})`);
  });

  test("tells that there were changes on top of the commit", async () => {
    const commit = git(first, "rev-parse", "HEAD");
    await Bun.write(join(first, "package.json"), `${readFileSync(join(first, "package.json"), "utf8")}\n`);
    expect(versionOf(await build(first))).toBe(`robur ${version} (commit ${commit}-dirty)`);
  });

  test("puts no path of the machine into the executable", () => {
    const bytes = readFileSync(executable);
    for (const path of [first, PROJECT]) expect(bytes.includes(path)).toBe(false);
  });
});
