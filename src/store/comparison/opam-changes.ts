/** What changed between two switch exports. */
import { DUNIVERSE_FIELD } from "../../opam/duniverse.ts";
import { areEffectivelyEqual } from "../../opam/effectively-equal.ts";
import { printOpam } from "../../opam/print-opam.ts";
import type { OpamFile } from "../../opam/syntax.ts";
import { type OpamPackage, type SwitchExport, comparePackageNames } from "../../opam/switch-export.ts";
import { compareVersions } from "../../opam/version.ts";
import type { ChangedValue } from "./keyed-lines.ts";
import { unifiedDiff } from "./unified-diff.ts";

export interface OpamFileChange extends OpamPackage {
  /** Unified, of the files as opam prints them. */
  readonly diff: string;
}

export interface OpamVersionChange extends ChangedValue {
  readonly isUpgrade: boolean;
}

export interface OpamChanges {
  readonly added: readonly OpamPackage[];
  readonly removed: readonly OpamPackage[];
  readonly versions: readonly OpamVersionChange[];
  /** Of packages whose version is the same on both sides. */
  readonly files: readonly OpamFileChange[];
}

/** Changed lines of all opam files together that the shortest difference is searched for. */
const EFFORT = 20_000;

/** Each list ascending by name. */
export function compareSwitches(left: SwitchExport, right: SwitchExport): OpamChanges {
  const l = versionsOf(left);
  const r = versionsOf(right);
  const only = (some: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>) =>
    [...some].filter(([name]) => !other.has(name)).map(([name, version]) => ({ name, version }));
  const both = [...l].flatMap(([name, leftVersion]) => {
    const rightVersion = r.get(name);
    return rightVersion === undefined ? [] : [{ name, left: leftVersion, right: rightVersion }];
  });
  const effort = { changes: EFFORT };
  return {
    added: inOrder(only(r, l)),
    removed: inOrder(only(l, r)),
    versions: inOrder(both.filter((pair) => pair.left !== pair.right)).map((pair) => ({
      ...pair,
      isUpgrade: compareVersions(pair.left, pair.right) < 0,
    })),
    files: inOrder(both.filter((pair) => pair.left === pair.right)).flatMap(({ name, left: version }) => {
      const leftFile = left.packages.get(name) ?? { items: [] };
      const rightFile = right.packages.get(name) ?? { items: [] };
      if (leftFile === rightFile || areEffectivelyEqual(leftFile, rightFile)) return [];
      const labels = { left: `left/${name}/opam`, right: `right/${name}/opam` };
      return [{ name, version, diff: unifiedDiff(printed(leftFile), printed(rightFile), labels, effort) }];
    }),
  };
}

const versionsOf = ({ installed }: SwitchExport) =>
  new Map(installed.map(({ name, version }) => [name, version]));

/** Vendored sources are compared on their own; here they would bury what else differs in the file of the root. */
function printed({ items }: OpamFile): string {
  const shown = items.filter((item) => item.kind !== "field" || item.name !== DUNIVERSE_FIELD);
  return shown.length === 0 ? "" : printOpam({ items: shown });
}

function inOrder<T extends { readonly name: string }>(list: readonly T[]): T[] {
  return list.toSorted((a, b) => comparePackageNames(a.name, b.name));
}
