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
import { knowSystemPackages, knowsSystemPackages } from "./system-packages.ts";
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
  /** HOME and PATH of whoever calls. */
  readonly home: string | undefined;
  readonly path: string | undefined;
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
  const session: SessionWish = {
    ...options,
    opam,
    environment,
    system: systemVariables(sanitisePath(options.path)),
  };
  await withSwitch(session, async () => {
    const found = await findPackage(opam, atom, options.latest);
    const full = `${found.name}.${found.version}`;
    const file = parseOpam(await opam.ask("show", "show", "--raw", inSwitch(opam), full));
    await knowWhatIsNeeded(opam, full, session);
    say(`Install ${full}`);
    if (isUnikernel(file, full)) {
      const { text: changes, record } = await buildUnikernel({ opam, file, ...found, options });
      collectOutputs(opam.prefix, options.out, found.name, changes, record);
    } else {
      // As the original: without a version it is the solver that chooses, once it is known which flow it is.
      const wanted = atom.version !== undefined || options.latest ? full : found.name;
      await opam.run(`installing ${wanted}`, "install", inSwitch(opam), ...options.opamOptions, wanted);
      const { text: changes, record } = readChanges(opam.prefix, found.name);
      collectOutputs(opam.prefix, options.out, found.name, changes, record);
    }
    say(`Installed ${found.name}`);
    if (options.keepBuild)
      cpSync(opam.prefix, join(options.out, "build"), { recursive: true, verbatimSymlinks: true });
  });
}

/** opam takes a system package that apt doesn't know for one that can't be had. */
async function knowWhatIsNeeded(
  opam: Opam,
  full: string,
  { system, environment }: SessionWish,
): Promise<void> {
  if (knowsSystemPackages()) return;
  const { stdout } = await opam.try(
    "list",
    inSwitch(opam),
    "--external",
    "--no-depexts",
    `--resolve=${full}`,
  );
  if (stdout.trim() !== "") await knowSystemPackages(system, environment.get("PATH") ?? "");
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
): Promise<{ readonly name: string; readonly version: string }> {
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
  const chosen = await solve(opam, name);
  return { name, version: chosen ?? available ?? known.at(-1)! };
}

/** The version that opam would install; undefined where it finds none: installing it then says why. */
async function solve(opam: Opam, name: string): Promise<string | undefined> {
  const { status, stdout } = await opam.try(
    "install",
    inSwitch(opam),
    "--show-actions",
    "--no-depexts",
    name,
  );
  if (status !== 0) return undefined;
  const line = stdout
    .split("\n")
    .find((line) => new RegExp(`^\\s*\\S+ install +${escapeRegExp(name)} `).test(line));
  return line?.trim().split(/ +/)[3];
}

const escapeRegExp = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
