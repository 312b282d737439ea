/** `orb build`: one package into a fresh switch, its inputs and its outputs recorded. */
import { cpSync } from "node:fs";
import { join } from "node:path";
import { parseOpam } from "../../opam/parse-opam.ts";
import { type OpamFile, fieldOf } from "../../opam/syntax.ts";
import { type BuildWish, buildEnvironment, placeSwitch, sanitisePath } from "./environment.ts";
import { Opam, say } from "./opam.ts";
import { OrbError } from "./orb-error.ts";
import { collectOutputs, readChanges } from "./outputs.ts";
import { type Repository, type SessionWish, withSwitch } from "./session.ts";
import { knowSystemPackages } from "./system-packages.ts";
import { systemVariables } from "./system-variables.ts";
import { buildUnikernel } from "./unikernel.ts";

/** What both commands take. */
export interface CommonOptions {
  /** Absolute. */
  readonly out: string;
  readonly skipSystem: boolean;
  readonly disableSandboxing: boolean;
  readonly cache: string | undefined;
  readonly keepBuild: boolean;
  /** Handed on to opam's install. */
  readonly opamOptions: readonly string[];
  /** HOME and PATH of whoever calls, and their order there. */
  readonly home: string | undefined;
  readonly path: string | undefined;
  readonly isPathFirst: boolean;
}

export interface BuildOptions extends CommonOptions {
  readonly latest: boolean;
  readonly repositories: readonly Repository[];
  readonly switchName: string;
  /** Seconds since 1970. */
  readonly date: number;
  readonly solverTimeout: string | undefined;
}

export interface PackageAtom {
  readonly name: string;
  readonly version: string | undefined;
}

/** NAME, NAME.VERSION or NAME=VERSION. Throws OrbError failed. */
export function parseAtom(text: string): PackageAtom {
  const [, name, version] =
    /^([A-Za-z0-9_+-]*[A-Za-z][A-Za-z0-9_+-]*)(?:[.=]([A-Za-z0-9_+~.-]+))?$/.exec(text) ?? [];
  if (name !== undefined && !name.startsWith("-")) return { name, version };
  throw new OrbError("failed", `${JSON.stringify(text)} is no package`, {
    hint: "NAME, NAME.VERSION or NAME=VERSION",
  });
}

/** Builds it; the record is in `out` whatever happens. Throws OrbError. */
export async function buildPackage(text: string, options: BuildOptions): Promise<void> {
  const atom = parseAtom(text);
  if (options.latest && atom.version !== undefined) {
    throw new OrbError("failed", `${text} names a version, so it can't be the latest`, {
      hint: "without --latest",
    });
  }
  const place = placeSwitch(options.switchName, options.home);
  const wish: BuildWish = { ...options, name: atom.name, place };
  const environment = buildEnvironment(wish);
  const opam = new Opam(options.path, environment, place);
  const path = sanitisePath(options.path);
  const system = systemVariables(path);
  const session: SessionWish = { ...options, opam, environment, system };
  await withSwitch(session, async () => {
    const found = await findPackage(opam, atom, options.latest);
    const full = `${found.name}.${found.version}`;
    const file = parseOpam(await opam.ask("show", "show", "--raw", inSwitch(opam), full));
    say(`Install ${full}`);
    if (isUnikernel(file, full)) {
      // Its pre-build asks for packages of the system that only its lock file names.
      await knowSystemPackages(system, path, () => Promise.resolve(true));
      const { text: changes, record } = await buildUnikernel({ opam, file, ...found, options, system });
      collectOutputs(opam.prefix, options.out, found.name, changes, record);
    } else {
      // As the original: without a version it is the solver that chooses, once it is known which flow it is.
      const wanted = atom.version !== undefined || options.latest ? full : found.name;
      const solution = async () => found.solution ?? (await solve(opam, wanted));
      await knowSystemPackages(system, path, async () => needsSystem(opam, await solution()));
      await opam.run(`installing ${wanted}`, "install", inSwitch(opam), ...options.opamOptions, wanted);
      const { text: changes, record } = readChanges(opam.prefix, found.name);
      collectOutputs(opam.prefix, options.out, found.name, changes, record);
    }
    say(`Installed ${found.name}`);
    if (options.keepBuild)
      cpSync(opam.prefix, join(options.out, "build"), { recursive: true, verbatimSymlinks: true });
  });
}

export const inSwitch = ({ place }: Opam) => `--switch=${place.name}`;

/** Both fields of a MirageOS 4 unikernel, or none. Throws OrbError failed for one of them. */
export function isUnikernel(file: OpamFile, name: string): boolean {
  const [configure, preBuild] = ["x-mirage-configure", "x-mirage-pre-build"].map((field) =>
    fieldOf(file, field),
  );
  if ((configure === undefined) === (preBuild === undefined)) return configure !== undefined;
  throw new OrbError("failed", `${name} has only one of x-mirage-configure and x-mirage-pre-build`);
}

/**
 * The version that is built: the given one, else the one that the solver takes, so that what is looked at is what is
 * built. Throws OrbError.
 */
async function findPackage(
  opam: Opam,
  { name, version }: PackageAtom,
  latest: boolean,
): Promise<PackageVersion & { readonly solution?: readonly PackageVersion[] }> {
  const list = async (...more: string[]) => {
    const text = await opam.ask(
      "list",
      "list",
      inSwitch(opam),
      ...more,
      "--all-versions",
      "-s",
      "--columns=package",
      name,
    );
    return text
      .split("\n")
      .flatMap((line) => (line.startsWith(`${name}.`) ? [line.trim().slice(name.length + 1)] : []));
  };
  const known = await list();
  if (known.length === 0)
    throw new OrbError("failed", `there is no package ${name}`, { why: "no repository has it" });
  if (version !== undefined) {
    if (known.includes(version)) return { name, version };
    throw new OrbError("failed", `there is no ${name}.${version}`, { why: `known are ${known.join(", ")}` });
  }
  const available = (await list("--available")).at(-1);
  if (latest) {
    if (available !== undefined) return { name, version: available };
    throw new OrbError("failed", `no version of ${name} is available on this system`);
  }
  const solution = await solve(opam, name);
  const chosen = solution.find((found) => found.name === name)?.version;
  return { name, version: chosen ?? available ?? known.at(-1)!, solution };
}

export interface PackageVersion {
  readonly name: string;
  readonly version: string;
}

/** What opam would install for a package. None where it finds no solution: installing it then says why. */
async function solve(opam: Opam, wanted: string): Promise<PackageVersion[]> {
  const options = ["--show-actions", "--no-depexts"];
  const { status, stdout } = await opam.try("install", inSwitch(opam), ...options, wanted);
  return status === 0 ? readSolution(stdout) : [];
}

/** Lines `  - install NAME VERSION …`; since opam 2.2 `  - NAME VERSION …`, below a line that says what is done. */
export function readSolution(text: string): PackageVersion[] {
  return text.split("\n").flatMap((line) => {
    const [, name, version] = /^\s+\S+ (?:install +)?(\S+) +(\S+)/.exec(line) ?? [];
    return name === undefined || version === undefined ? [] : [{ name, version }];
  });
}

/** Whether anything that would be installed names packages of the operating system. */
async function needsSystem(opam: Opam, solution: readonly PackageVersion[]): Promise<boolean> {
  const packages = solution.map(({ name, version }) => `${name}.${version}`);
  if (packages.length === 0) return false;
  const { stdout } = await opam.try("show", inSwitch(opam), "--raw", ...packages);
  return /^depexts:/m.test(stdout);
}
