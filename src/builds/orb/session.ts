/**
 * An opam root and a fresh switch in it, from nothing to the record. Whatever happens after the switch was made, its
 * inputs are written and the switch is removed: a failed build leaves its three input files as well.
 */
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Environment, formatRecord } from "./environment.ts";
import { withFullCommits } from "./full-commits.ts";
import { type Opam, say } from "./opam.ts";
import { OrbError } from "./orb-error.ts";
import { systemPackages } from "./system-packages.ts";
import type { SystemVariables } from "./system-variables.ts";

export interface Repository {
  readonly name: string;
  readonly url: string;
}

/** `NAME:URL,NAME:URL`, the most important first. Throws OrbError failed. */
export function parseRepositories(text: string): Repository[] {
  const found = text.split(",").map((part) => {
    const colon = part.indexOf(":");
    const name = part.slice(0, Math.max(0, colon));
    const url = part.slice(colon + 1);
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name) || url === "" || url.startsWith("-")) {
      throw new OrbError("failed", `--repos ${JSON.stringify(part)} is not NAME:URL`);
    }
    return { name, url };
  });
  if (new Set(found.map(({ name }) => name)).size < found.length) {
    throw new OrbError("failed", "--repos names a repository twice");
  }
  return found;
}

export interface SessionWish {
  readonly opam: Opam;
  readonly environment: Environment;
  readonly system: SystemVariables;
  /** Empty: none but the dummy; everything comes from an export. */
  readonly repositories: readonly Repository[];
  readonly out: string;
  readonly disableSandboxing: boolean;
  readonly cache: string | undefined;
  readonly skipSystem: boolean;
  readonly keepBuild: boolean;
}

/** The repository that every root has: it holds nothing. */
const EMPTY = "empty";

/** Makes root and switch, does `work`, writes the record, removes the switch. Throws OrbError. */
export async function withSwitch<T>(wish: SessionWish, work: () => Promise<T>): Promise<T> {
  const { opam } = wish;
  const { root, name } = opam.place;
  say(`using root ${JSON.stringify(root)} and switch ${JSON.stringify(name)}`);
  if (existsSync(opam.prefix)) {
    throw new OrbError("failed", `${opam.prefix} is there already`, {
      hint: `another --switch-name, or remove it: opam switch remove --root=${root} ${name}`,
    });
  }
  makeOutput(wish.out);
  await initialise(wish);
  opam.installStandIn();
  for (const { name: repository, url } of wish.repositories) {
    await opam.run(`repository ${repository}`, "repository", "add", "--dont-select", repository, url);
  }
  const selected = wish.repositories.map((repository) => repository.name).join(",") || EMPTY;
  await opam.run("switch", "switch", "create", name, "--empty", `--repositories=${selected}`, "--no-switch");
  say(`Switch ${name} created!`);
  let isDone = false;
  try {
    const result = await work();
    isDone = true;
    return result;
  } finally {
    await finish(wish, isDone);
  }
}

/** Before hours of building, not after. */
function makeOutput(out: string): void {
  try {
    mkdirSync(out, { recursive: true });
    accessSync(out, constants.W_OK);
  } catch (error) {
    throw new OrbError("failed", `nothing can be written to ${out}`, {
      why: error instanceof Error ? error.message : String(error),
      hint: "--out=DIR",
    });
  }
}

async function initialise({ opam, disableSandboxing, cache }: SessionWish): Promise<void> {
  const { root } = opam.place;
  if (existsSync(join(root, "config"))) return;
  const dummy = mkdtempSync(join(tmpdir(), "orb-empty-"));
  try {
    writeFileSync(join(dummy, "repo"), 'opam-version: "2.0"\n');
    // opam tells about a repository without packages.
    mkdirSync(join(dummy, "packages"));
    const quiet = ["--bare", "--no-setup", "--no-opamrc", "--bypass-checks"];
    const sandbox = disableSandboxing ? ["--disable-sandboxing"] : [];
    await opam.run("init", "init", ...quiet, ...sandbox, "-k", "local", EMPTY, dummy);
  } finally {
    rmSync(dummy, { recursive: true, force: true });
  }
  if (cache === undefined) return;
  const set = await opam.try(
    "option",
    "--global",
    `archive-mirrors=["${cache.replaceAll(/["\\]/g, "\\$&")}"]`,
  );
  if (set.status !== 0) say("this opam can't use --cache for its own downloads (2.2 and later can)");
}

async function finish(wish: SessionWish, isDone: boolean): Promise<void> {
  const { opam, keepBuild } = wish;
  const { name } = opam.place;
  try {
    await writeInputs(wish);
  } catch (error) {
    // What failed before is what matters.
    if (isDone) throw error;
    say(`the inputs are not all written: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    if (!keepBuild) {
      say("cleaning up");
      await opam.ask("switch remove", "switch", "remove", name);
      say(`Switch ${name} removed`);
    }
  }
}

/** build-environment, system-packages and opam-switch. */
async function writeInputs({ opam, out, environment, system, skipSystem }: SessionWish): Promise<void> {
  writeFileSync(join(out, "build-environment"), formatRecord(environment, opam.place.name, system));
  if (!skipSystem) {
    const packages = systemPackages(system);
    if (packages === undefined) say("the system's packages can't be listed here");
    else writeFileSync(join(out, "system-packages"), packages);
  }
  await exportSwitch(opam, join(out, "opam-switch"));
}

/** Where opam keeps a package's source if that came from a version control system. */
export const checkoutOf = ({ prefix }: Opam, full: string) => join(prefix, ".opam-switch/sources", full);

/** The commit that a package's source was at; undefined where that is no git checkout. */
function commitOf(opam: Opam, full: string): string | undefined {
  const directory = join(checkoutOf(opam, full), ".git");
  if (!existsSync(directory)) return undefined;
  const asked = Bun.spawnSync(["git", `--git-dir=${directory}`, "rev-parse", "--verify", "HEAD"], {
    stdin: "ignore",
    stderr: "ignore",
    env: { PATH: process.env["PATH"] ?? "", GIT_CONFIG_NOSYSTEM: "1", HOME: opam.place.root },
  });
  return asked.success ? asked.stdout.toString().trim() : undefined;
}

async function exportSwitch(opam: Opam, path: string): Promise<void> {
  const frozen = await opam.ask(
    "switch export",
    ...["switch", "export", `--switch=${opam.place.name}`, "--full", "--freeze", "-"],
  );
  writeFileSync(
    path,
    withFullCommits(frozen, (full) => commitOf(opam, full)),
  );
}
