/**
 * The environment that builds see, and its record in build-environment: KEY=VALUE lines without a final newline, the
 * variables in the order in which they were set, then what the system was. Pure.
 */
import { join } from "node:path";
import { OrbError } from "./orb-error.ts";
import type { SystemVariables } from "./system-variables.ts";

/** Directories that PATH may hold, in the record's order. */
const PATHS = ["/bin", "/sbin", "/usr/bin", "/usr/local/bin", "/usr/local/sbin", "/usr/sbin"] as const;
/** Record lines that are no variables. ARCH is one: the original sets it in a rebuild, and so differs from the build. */
const RECORD_KEYS = new Set([
  "OS",
  "OS_DISTRIBUTION",
  "OS_VERSION",
  "OS_FAMILY",
  "SWITCH_PATH",
  "ORB_DATA",
  "ARCH",
]);
/** The version of the record. */
const ORB_DATA = "2";

/** Variables in order. */
export type Environment = ReadonlyMap<string, string>;

/** Those directories of a PATH that builds may use; all of them without a PATH. */
export function sanitisePath(path: string | undefined): string {
  const given = path === undefined ? undefined : new Set(path.split(":"));
  return PATHS.filter((directory) => given?.has(directory) ?? true).join(":");
}

/** Where a switch is: an absolute name is ROOT/SWITCH, a relative one a switch of $HOME/.opam. */
export interface SwitchPlace {
  readonly root: string;
  readonly name: string;
  /** Whether the root was named: OPAMROOT is set and recorded then. */
  readonly isRootGiven: boolean;
}

/** Throws OrbError failed. */
export function placeSwitch(name: string, home: string | undefined): SwitchPlace {
  const bad = (why: string) => new OrbError("failed", `--switch-name ${JSON.stringify(name)}`, { why });
  if (/[^A-Za-z0-9._+/-]/.test(name)) throw bad("letters, digits and . _ + - / only");
  if (name.startsWith("/")) {
    const parts = name.split("/").filter((part) => part !== "");
    const last = parts.pop();
    if (last === undefined || parts.length === 0 || parts.includes("..") || /^\.+$/.test(last)) {
      throw bad("an absolute name has a directory, which becomes the opam root, and a switch in it");
    }
    return { root: `/${parts.join("/")}`, name: last, isRootGiven: true };
  }
  if (name === "" || name.includes("/") || /^[.-]/.test(name)) throw bad("a relative name is a single word");
  if (home === undefined) throw bad("HOME isn't set, so there is no opam root: name one, /ROOT/SWITCH");
  return { root: join(home, ".opam"), name, isRootGiven: false };
}

export interface BuildWish {
  readonly home: string | undefined;
  readonly path: string | undefined;
  /** Whether PATH stands before HOME in the environment of whoever calls: the record has them in that order. */
  readonly isPathFirst: boolean;
  /** Seconds since 1970. */
  readonly date: number;
  readonly solverTimeout: string | undefined;
  /** The package's name, without a version. */
  readonly name: string;
  readonly place: SwitchPlace;
}

/** What the first build of a package sees. */
export function buildEnvironment(wish: BuildWish): Environment {
  const { home, path, isPathFirst, date, solverTimeout, name, place } = wish;
  const both = [
    ...(home === undefined ? [] : ([["HOME", home]] as const)),
    ["PATH", sanitisePath(path)] as const,
  ];
  return new Map([
    ...(isPathFirst ? both.toReversed() : both),
    ["SOURCE_DATE_EPOCH", String(Math.trunc(date))],
    ...(solverTimeout === undefined ? [] : ([["OPAMSOLVERTIMEOUT", solverTimeout]] as const)),
    ["OPAMERRLOGLEN", "0"],
    ["ORB_BUILDING_PACKAGE", name],
    ...(place.isRootGiven ? ([["OPAMROOT", place.root]] as const) : []),
    ["PREFIX", join(place.root, place.name)],
  ]);
}

/** build-environment's text. Throws OrbError failed for a value that no line can hold. */
export function formatRecord(environment: Environment, switchName: string, system: SystemVariables): string {
  const lines = [
    ...environment,
    ["SWITCH_PATH", switchName] as const,
    ["ORB_DATA", ORB_DATA] as const,
    ...systemLines(system),
  ];
  return lines
    .map(([key, value]) => {
      if (/[\n\0]/.test(value)) throw new OrbError("failed", `the value of ${key} has more than one line`);
      return `${key}=${value}`;
    })
    .join("\n");
}

function systemLines({ arch, osFamily, osVersion, osDistribution, os }: SystemVariables): [string, string][] {
  const all = [
    ["ARCH", arch],
    ["OS_FAMILY", osFamily],
    ["OS_VERSION", osVersion],
    ["OS_DISTRIBUTION", osDistribution],
    ["OS", os],
  ] as const;
  return all.flatMap(([key, value]): [string, string][] => (value === undefined ? [] : [[key, value]]));
}

export interface EnvironmentRecord {
  /** The variables to be set again. */
  readonly variables: Environment;
  readonly switchName: string;
  readonly keys: ReadonlyMap<string, string>;
}

/** Reads build-environment. A value may hold `=`, which the original loses. Throws OrbError failed. */
export function readRecord(text: string): EnvironmentRecord {
  const variables = new Map<string, string>();
  const keys = new Map<string, string>();
  for (const line of text.split("\n")) {
    const equals = line.indexOf("=");
    if (equals <= 0) continue;
    const [key, value] = [line.slice(0, equals), line.slice(equals + 1)];
    (RECORD_KEYS.has(key) ? keys : variables).set(key, value);
  }
  const switchName = keys.get("SWITCH_PATH");
  if (switchName === undefined || !/^[A-Za-z0-9_+][A-Za-z0-9._+-]*$/.test(switchName)) {
    throw new OrbError("failed", "build-environment doesn't name a switch", {
      why: "SWITCH_PATH is missing or odd",
    });
  }
  return { variables, switchName, keys };
}

/** Where a recorded build's switch was. Throws OrbError failed. */
export function recordedPlace({ variables, switchName }: EnvironmentRecord): SwitchPlace {
  const root = variables.get("OPAMROOT");
  if (root !== undefined) return placeSwitch(`${root}/${switchName}`, undefined);
  return placeSwitch(switchName, variables.get("HOME"));
}

/** In what this system is other than the recorded one, as lines. Keys that one side lacks are equal. */
export function systemDifferences({ keys }: EnvironmentRecord, system: SystemVariables): string[] {
  const present = new Map([...systemLines(system), ["ORB_DATA", ORB_DATA]]);
  return [...present].flatMap(([key, value]) => {
    const recorded = keys.get(key);
    return recorded === undefined || recorded === value ? [] : [`${key} was ${recorded}, is ${value}`];
  });
}
