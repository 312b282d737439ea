/**
 * orb's `x-orb-dependencies`: which package of a unikernel needs which, for pictures of them. What is asked for is in
 * each package's `depends`, which versions were taken says the lock file. Since the field is part of what a build's
 * input id is made of, it is the original's to the byte, its oddities included. Pure.
 */
import { OpamError } from "./opam-error.ts";
import { comparePackageNames } from "./switch-export.ts";
import { type OpamFile, type OpamValue, elementsOf, fieldOf } from "./syntax.ts";
import { compareVersions, holds } from "./version.ts";

/** Variables of filters: those that a system has, by opam's names. */
export type FilterVariables = ReadonlyMap<string, string | boolean>;

/** Beside the system's. */
const ALWAYS: FilterVariables = new Map([
  ...(["monorepo", "vendor", "post"] as const).map((name) => [name, true] as const),
  ...(["build", "with-test", "dev", "with-doc", "with-dev-setup"] as const).map(
    (name) => [name, false] as const,
  ),
]);

const bad = (what: string) => new OpamError("bad-field", `depends: ${what}`);

/** What packages a formula asks for. */
type Wanted =
  | { readonly kind: "package"; readonly name: string; readonly version: string | undefined }
  | { readonly kind: "all"; readonly of: readonly Wanted[] }
  | { readonly kind: "any"; readonly of: readonly Wanted[] };

/** The packages of a lock file with their versions. Throws OpamError bad-field where it doesn't say exactly one. */
export function lockedVersions(lock: OpamFile, system: FilterVariables): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const walk = (wanted: Wanted) => {
    if (wanted.kind === "all") return wanted.of.forEach(walk);
    if (wanted.kind === "any") throw bad("a lock file has no alternatives");
    if (wanted.version === undefined) throw bad(`the lock file has no version of ${wanted.name}`);
    found.set(wanted.name, wanted.version);
  };
  walk(wantedBy(lock, system));
  return found;
}

/**
 * The field's value. `files`: the opam file of each package of the lock file, as far as there is one. Throws OpamError
 * bad-field where it can't be made; the original leaves it out then.
 */
export function lockedDependencies(
  name: string,
  file: OpamFile,
  locked: ReadonlyMap<string, string>,
  files: ReadonlyMap<string, OpamFile>,
  system: FilterVariables,
): OpamValue {
  const direct = new Set(namesOf(wantedBy(file, system), locked));
  // It is a tool for C code, so nothing else asks for it.
  if (direct.has("mirage-solo5") && locked.has("ocaml-solo5")) direct.add("ocaml-solo5");
  const graph = new Map([[name, inOrder(direct)]]);
  const waiting = [...inOrder(direct)];
  const visited = new Set<string>();
  for (const next of waiting) {
    if (visited.has(next)) continue;
    visited.add(next);
    const found = locked.has(next) ? files.get(next) : undefined;
    if (found === undefined) throw bad(`nothing is known of ${next}`);
    const needed = inOrder(namesOf(wantedBy(found, system), locked));
    graph.set(next, needed);
    waiting.push(...needed);
  }
  const string = (value: string): OpamValue => ({ kind: "string", value });
  const list = (values: OpamValue[]): OpamValue => ({ kind: "list", values });
  const descending = [...graph].sort(([left], [right]) => (left < right ? 1 : -1));
  return list(descending.map(([key, needed]) => list([string(key), list(needed.map(string))])));
}

const inOrder = (names: Iterable<string>) => [...new Set(names)].toSorted(comparePackageNames);

/** Of alternatives the first that is locked. */
function namesOf(wanted: Wanted, locked: ReadonlyMap<string, string>): string[] {
  if (wanted.kind === "package") return [wanted.name];
  if (wanted.kind === "all") return wanted.of.flatMap((part) => namesOf(part, locked));
  const first = firstLocked(wanted, locked);
  if (first === undefined) throw bad("none of some alternatives is locked");
  return [first];
}

function firstLocked(wanted: Wanted, locked: ReadonlyMap<string, string>): string | undefined {
  if (wanted.kind === "package") return locked.has(wanted.name) ? wanted.name : undefined;
  if (wanted.kind === "all") return undefined;
  return wanted.of.map((part) => firstLocked(part, locked)).find((name) => name !== undefined);
}

function wantedBy(file: OpamFile, system: FilterVariables): Wanted {
  return simple(
    "all",
    elementsOf(fieldOf(file, "depends")).map((value) => wantedOf(value, system)),
  );
}

/** Nothing is `all` of nothing; one of one is that. */
function simple(kind: "all" | "any", parts: readonly Wanted[]): Wanted {
  const of = parts.filter((part) => part.kind === "package" || part.of.length > 0);
  return of.length === 1 ? of[0]! : { kind: of.length === 0 ? "all" : kind, of };
}

function wantedOf(value: OpamValue, system: FilterVariables): Wanted {
  const all = (values: readonly OpamValue[]) => values.map((part) => wantedOf(part, system));
  switch (value.kind) {
    case "string":
      return { kind: "package", name: value.value, version: undefined };
    case "list":
    case "group":
      return simple("all", all(value.values));
    case "and":
      return simple("all", all(value.operands));
    case "or":
      return simple("any", all(value.operands));
    case "option": {
      if (value.value.kind !== "string") throw bad("a filter stands behind something else than a name");
      const held = both(value.options.map((option) => heldBy(option, system)));
      if (held === false) return { kind: "all", of: [] };
      const version = held === true ? undefined : held.version;
      return { kind: "package", name: value.value.value, version };
    }
    default:
      throw bad(`${value.kind} is no package`);
  }
}

/** Whether a filter holds; or that it depends on the version, and on which one if it asks for exactly one. */
type Held = boolean | { readonly version: string | undefined };

function both(parts: readonly Held[]): Held {
  if (parts.includes(false)) return false;
  const asking = parts.filter((part) => part !== true);
  return asking.length > 1 ? { version: undefined } : (asking[0] ?? true);
}

function either(parts: readonly Held[]): Held {
  if (parts.includes(true)) return true;
  const asking = parts.filter((part) => part !== false);
  return asking.length > 1 ? { version: undefined } : (asking[0] ?? false);
}

function heldBy(value: OpamValue, system: FilterVariables): Held {
  switch (value.kind) {
    case "constraint": {
      const text = value.operator === "=" ? reduce(value.value, system) : undefined;
      return { version: typeof text === "string" ? text : undefined };
    }
    case "group":
    case "list":
      return both(value.values.map((part) => heldBy(part, system)));
    case "and":
      return both(value.operands.map((part) => heldBy(part, system)));
    case "or":
      return either(value.operands.map((part) => heldBy(part, system)));
    default: {
      const found = truth(reduce(value, system));
      if (found === undefined) throw bad("a filter asks for what isn't known");
      return found;
    }
  }
}

const truth = (value: string | boolean | undefined) =>
  typeof value !== "string" ? value : value === "true" ? true : value === "false" ? false : undefined;

/** A filter's value; undefined where it rests on a variable that isn't. */
function reduce(value: OpamValue, system: FilterVariables): string | boolean | undefined {
  const all = (values: readonly OpamValue[]) => values.map((part) => truth(reduce(part, system)));
  switch (value.kind) {
    case "string":
    case "boolean":
      return value.value;
    case "integer":
      return String(value.value);
    case "identifier":
      return ALWAYS.get(value.name) ?? system.get(value.name);
    case "group":
      return value.values.length === 1 ? reduce(value.values[0]!, system) : undefined;
    case "and": {
      const parts = all(value.operands);
      return parts.includes(false) ? false : parts.includes(undefined) ? undefined : true;
    }
    case "or": {
      const parts = all(value.operands);
      return parts.includes(true) ? true : parts.includes(undefined) ? undefined : false;
    }
    case "prefix": {
      const inner = reduce(value.value, system);
      if (value.operator === "?") return inner !== undefined;
      const known = truth(inner);
      return known === undefined ? undefined : !known;
    }
    case "relation": {
      const [left, right] = [value.left, value.right].map((side) => reduce(side, system));
      if (left === undefined || right === undefined) return undefined;
      // `~` is none of filters.
      if (value.operator === "~") return undefined;
      return holds(value.operator, compareVersions(String(left), String(right)));
    }
    default:
      return undefined;
  }
}
