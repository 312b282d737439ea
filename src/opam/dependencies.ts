/** Which package of a switch export needs which: what the picture of the dependencies is drawn from. */
import { type OpamPackage, type SwitchExport, comparePackageNames, parsePackage } from "./switch-export.ts";
import { type OpamFile, type OpamValue, elementsOf, fieldOf, withoutOptions } from "./syntax.ts";

/** By name: the installed packages that a package asks for directly, by name. */
export type Dependencies = ReadonlyMap<string, readonly string[]>;

export interface ReachedPackages {
  readonly root: OpamPackage;
  /** Of every package that is reached from the root, the root first. */
  readonly dependencies: Dependencies;
  /** How many of the reached packages ask for it directly. */
  readonly reverseCounts: ReadonlyMap<string, number>;
}

/** The only root with its opam file; undefined where there are none or several. */
export function rootOf(
  exported: SwitchExport,
): { readonly package: OpamPackage; readonly file: OpamFile } | undefined {
  const [root, ...others] = exported.roots;
  if (root === undefined || others.length > 0) return undefined;
  const file = exported.packages.get(root.name);
  return file === undefined ? undefined : { package: root, file };
}

/**
 * What the root recorded in `x-orb-dependencies`, else the packages in `depends` and `depopts`; both only as far as
 * they are installed.
 */
export function dependenciesOf(exported: SwitchExport): Dependencies {
  const installed = new Set(exported.installed.map(({ name }) => name));
  const recorded = recordedBy(rootOf(exported)?.file);
  const found = new Map<string, readonly string[]>();
  for (const name of installed) {
    const wanted =
      recorded?.get(name) ?? (recorded === undefined ? declaredBy(exported.packages.get(name)) : []);
    const here = [...new Set(wanted)].filter((other) => other !== name && installed.has(other));
    found.set(name, here.toSorted(comparePackageNames));
  }
  return found;
}

/** All packages that the only root needs, itself included. Undefined where there isn't exactly one root. */
export function reachFromRoot(exported: SwitchExport): ReachedPackages | undefined {
  const root = rootOf(exported);
  if (root === undefined) return undefined;
  const all = dependenciesOf(exported);
  const dependencies = new Map<string, readonly string[]>();
  const reverseCounts = new Map<string, number>([[root.package.name, 0]]);
  const waiting = [root.package.name];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (dependencies.has(name)) continue;
    const direct = all.get(name) ?? [];
    dependencies.set(name, direct);
    for (const other of direct) {
      reverseCounts.set(other, (reverseCounts.get(other) ?? 0) + 1);
      waiting.push(other);
    }
  }
  return { root: root.package, dependencies, reverseCounts };
}

/** The package names of a formula: every string that isn't within braces, whatever the operators. */
export function namesIn(formula: OpamValue | undefined): string[] {
  if (formula === undefined) return [];
  switch (formula.kind) {
    case "string":
      return [formula.value];
    case "list":
    case "group":
      return formula.values.flatMap(namesIn);
    case "and":
    case "or":
      return formula.operands.flatMap(namesIn);
    case "option":
    case "prefix":
      return namesIn(formula.value);
    default:
      return [];
  }
}

const declaredBy = (file: OpamFile | undefined): string[] =>
  file === undefined ? [] : ["depends", "depopts"].flatMap((name) => namesIn(fieldOf(file, name)));

/** `[["lwt" ["dune" "ocaml"]] …]`, or one pair without the outer brackets. */
function recordedBy(root: OpamFile | undefined): ReadonlyMap<string, readonly string[]> | undefined {
  const value = root === undefined ? undefined : fieldOf(root, "x-orb-dependencies");
  if (value === undefined) return undefined;
  const elements = elementsOf(value).map(withoutOptions);
  const pairs = elements[0]?.kind === "string" ? [elements] : elements.map(elementsOf);
  const recorded = new Map<string, readonly string[]>();
  for (const [name, ...needed] of pairs) {
    if (name?.kind === "string") recorded.set(nameOf(name.value), needed.flatMap(namesIn).map(nameOf));
  }
  return recorded;
}

const nameOf = (text: string) => parsePackage(text)?.name ?? text;
