/**
 * MirageOS 4 unikernels: opam installs the tools, the unikernel's own configure and pre-build write a lock file and
 * fetch the sources that it is built with, and the build runs in that directory, whose path is always the same. opam
 * is made to build there by pinning the package to it; what is recorded is the package as the repository has it, with
 * the sources from the lock file.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, normalize } from "node:path";
import type { ChangeRecord } from "../../opam/change-record.ts";
import { type FilterVariables, lockedDependencies, lockedVersions } from "../../opam/locked-dependencies.ts";
import { OpamError } from "../../opam/opam-error.ts";
import { parseOpam } from "../../opam/parse-opam.ts";
import { printOpam } from "../../opam/print-opam.ts";
import { type OpamFile, type OpamValue, elementsOf, fieldOf, textOf } from "../../opam/syntax.ts";
import type { CommonOptions } from "./build.ts";
import { type Opam, say } from "./opam.ts";
import { OrbError } from "./orb-error.ts";
import { readChanges } from "./outputs.ts";
import { checkoutOf } from "./session.ts";
import type { SystemVariables } from "./system-variables.ts";

export const DUNIVERSE_FIELD = "x-opam-monorepo-duniverse-dirs";
const DEPENDENCIES_FIELD = "x-orb-dependencies";

export interface UnikernelWish {
  readonly opam: Opam;
  readonly name: string;
  readonly version: string;
  /** As the repository has it. */
  readonly file: OpamFile;
  readonly options: CommonOptions;
  readonly system: SystemVariables;
}

const inSwitch = ({ place }: Opam) => `--switch=${place.name}`;

/** The fixed directory of builds; two builds on one machine need mounts of their own, as sandboxes have. */
export const buildDirectory = () => join(tmpdir(), "orb-build");

/** Builds and installs it. Answers what it changed. Throws OrbError. */
export async function buildUnikernel(
  wish: UnikernelWish,
): Promise<{ readonly text: string; readonly record: ChangeRecord }> {
  const { opam, name, version, file, options } = wish;
  const full = `${name}.${version}`;
  await installDependencies(opam, full, options);
  return inBuildDirectory(options.keepBuild, async (directory) => {
    await fetchSource(opam, full, directory);
    await addExtraRepositories(opam, file);
    await runField(opam, file, "x-mirage-configure", directory);
    await runField(opam, file, "x-mirage-pre-build", directory);
    return installFrom(opam, wish, await withLock(wish, directory), directory);
  });
}

/** Does something with the empty build directory, and removes it. */
export async function inBuildDirectory<T>(
  keep: boolean,
  work: (directory: string) => Promise<T>,
): Promise<T> {
  const directory = buildDirectory();
  rmSync(directory, { recursive: true, force: true });
  try {
    return await work(directory);
  } finally {
    if (!keep) rmSync(directory, { recursive: true, force: true });
  }
}

/** Without marking them as roots: the only root is the unikernel. */
async function installDependencies(opam: Opam, full: string, { opamOptions }: CommonOptions): Promise<void> {
  const only = ["--deps-only", "--unset-root"];
  await opam.run(`dependencies of ${full}`, "install", inSwitch(opam), ...only, ...opamOptions, full);
}

/** Source, extra sources, patches and substitutions, in a directory that isn't there yet. */
export async function fetchSource(opam: Opam, full: string, directory: string): Promise<void> {
  await opam.run(`source of ${full}`, "source", inSwitch(opam), full, `--dir=${directory}`);
  // The export will ask this checkout for its commit, as it would if opam had installed the package from there.
  for (const name of [".git", ".hg", "_darcs"].filter((name) => existsSync(join(directory, name)))) {
    cpSync(join(directory, name), join(checkoutOf(opam, full), name), { recursive: true });
  }
}

/** `[[NAME URL] …]` of x-mirage-extra-repo, in front of the switch's repositories. */
async function addExtraRepositories(opam: Opam, file: OpamFile): Promise<void> {
  const value = fieldOf(file, "x-mirage-extra-repo");
  const elements = elementsOf(value);
  const pairs = elements.every(({ kind }) => kind === "string") ? [elements] : elements.map(elementsOf);
  const extra: string[] = [];
  for (const pair of pairs.filter(({ length }) => length > 0)) {
    const [name, url] = pair;
    if (
      name?.kind !== "string" ||
      url?.kind !== "string" ||
      !/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name.value)
    ) {
      throw new OrbError("failed", "x-mirage-extra-repo is no list of names and URLs");
    }
    await opam.run(`repository ${name.value}`, "repository", "add", "--dont-select", name.value, url.value);
    extra.push(name.value);
  }
  if (extra.length === 0) return;
  const listed = await opam.ask("repositories", "repository", "list", inSwitch(opam), "-s");
  const own = listed.split("\n").filter((line) => line.trim() !== "");
  await opam.run(
    "repositories",
    "repository",
    "set-repos",
    inSwitch(opam),
    ...extra,
    ...own.map((line) => line.trim()),
  );
}

/** A command as a list of strings and the word `make`. Throws OrbError failed. */
export function commandOf(file: OpamFile, field: string): string[] {
  const command = elementsOf(fieldOf(file, field)).map((element) => {
    if (element.kind === "string") return element.value;
    if (element.kind === "identifier" && element.name === "make") return "make";
    throw new OrbError("failed", `${field} is no list of strings`);
  });
  if (command.length === 0) throw new OrbError("failed", `${field} is empty`);
  return command;
}

export async function runField(opam: Opam, file: OpamFile, field: string, directory: string): Promise<void> {
  const command = commandOf(file, field);
  say(`${field}: ${command.join(" ")}`);
  await opam.runProgram(command, directory);
}

/** Where the lock file is, below the source's root; undefined where the package names none. Throws OrbError failed. */
export function lockLocation(file: OpamFile): string | undefined {
  const location = textOf(file, "x-mirage-opam-lock-location");
  if (location === undefined) return undefined;
  const normal = normalize(location);
  if (normal.startsWith("/") || normal.split("/").includes("..")) {
    throw new OrbError("failed", `x-mirage-opam-lock-location leads out of the source: ${location}`);
  }
  return normal;
}

/** The package with what its lock file says: the sources, and who needs whom. Throws OrbError failed. */
async function withLock(wish: UnikernelWish, directory: string): Promise<OpamFile> {
  const { file } = wish;
  const location = lockLocation(file);
  if (location === undefined) return file;
  const path = join(directory, location);
  if (!existsSync(path)) {
    throw new OrbError("failed", `${location} was not written`, {
      why: "x-mirage-pre-build is to lock the sources",
    });
  }
  const lock = parseOpam(readFileSync(path, "utf8"));
  const value = fieldOf(lock, DUNIVERSE_FIELD);
  if (value === undefined) throw new OrbError("failed", `${location} has no ${DUNIVERSE_FIELD}`);
  const complete = setField(file, DUNIVERSE_FIELD, value);
  const dependencies = await dependenciesOf(wish, lock);
  return dependencies === undefined ? complete : setField(complete, DEPENDENCIES_FIELD, dependencies);
}

/** Undefined, and told, where they can't be known: they are for pictures only. */
async function dependenciesOf(
  { opam, name, file, system }: UnikernelWish,
  lock: OpamFile,
): Promise<OpamValue | undefined> {
  const variables = filterVariables(system);
  try {
    const locked = lockedVersions(lock, variables);
    const files = await showAll(
      opam,
      [...locked].map(([name, version]) => `${name}.${version}`),
    );
    // A version that no repository has any more is looked up as any other of that name.
    const others = [...locked.keys()].filter((name) => !files.has(name));
    for (const [name, other] of await showAll(opam, others)) files.set(name, other);
    return lockedDependencies(name, file, locked, files, variables);
  } catch (error) {
    if (!(error instanceof OpamError)) throw error;
    say(`no ${DEPENDENCIES_FIELD}: ${error.message}`);
    return undefined;
  }
}

/** The opam files of some packages, by name, as far as the repositories have them. */
async function showAll(opam: Opam, packages: readonly string[]): Promise<Map<string, OpamFile>> {
  const files = new Map<string, OpamFile>();
  if (packages.length === 0) return files;
  const { stdout } = await opam.try("show", inSwitch(opam), "--raw", ...packages);
  for (const text of stdout.split(/^(?=opam-version:)/m)) {
    const file = parseOpam(text);
    const name = textOf(file, "name");
    if (name !== undefined) files.set(name, file);
  }
  return files;
}

function filterVariables({
  arch,
  os,
  osFamily,
  osVersion,
  osDistribution,
}: SystemVariables): FilterVariables {
  const all = {
    ...{ arch, os, "os-family": osFamily, "os-version": osVersion, "os-distribution": osDistribution },
  };
  return new Map(
    Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])),
  );
}

/** With a field at the end, in the place of one of that name. */
export function setField({ items }: OpamFile, name: string, value: OpamValue): OpamFile {
  const others = items.filter((item) => item.kind !== "field" || item.name !== name);
  return { items: [...others, { kind: "field", name, value }] };
}

/** A package's file without what says where its source is: it is in a directory now. */
function withoutSource({ items }: OpamFile): OpamFile {
  return { items: items.filter((item) => item.kind !== "section" || item.type !== "url") };
}

/** Builds and installs from the prepared directory, and records the package as `file` says. */
export async function installFrom(
  opam: Opam,
  { name, version, options }: Pick<UnikernelWish, "name" | "version" | "options">,
  file: OpamFile,
  directory: string,
): Promise<{ readonly text: string; readonly record: ChangeRecord }> {
  const full = `${name}.${version}`;
  for (const stray of ["opam", `${name}.opam`])
    rmSync(join(directory, stray), { recursive: true, force: true });
  writeFileSync(join(directory, `${name}.opam`), printOpam(withoutSource(file)));
  await opam.run("pin", "pin", "add", inSwitch(opam), "--no-action", "--kind=path", full, directory);
  let changes: ReturnType<typeof readChanges>;
  try {
    const more = ["--inplace-build", ...options.opamOptions];
    await opam.run(`installing ${full}`, "install", inSwitch(opam), ...more, name);
    changes = readChanges(opam.prefix, name);
  } finally {
    // Nothing that is pinned to a directory can be exported, and what failed leaves its inputs as well.
    await opam.try("pin", "remove", inSwitch(opam), "--no-action", name);
  }
  const stored = join(opam.prefix, ".opam-switch/packages", full, "opam");
  mkdirSync(dirname(stored), { recursive: true });
  writeFileSync(stored, printOpam(file));
  return changes;
}
