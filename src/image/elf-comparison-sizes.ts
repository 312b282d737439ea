/** How the sizes of libraries, modules and functions changed. */
import { ImageError } from "./image-error.ts";
import { type SizeNode, type Sizes, readSizes } from "./sizes.ts";
import type { SizeKind } from "./sizes-tree.ts";
import type { ImageSource } from "./source.ts";

export interface SizeChange {
  /** OCaml, Stdlib, List, map. */
  readonly path: readonly string[];
  readonly kind: SizeKind;
  /** Bytes, with all below it; 0 where that side has none. */
  readonly left: number;
  readonly right: number;
}

export interface SizeChanges {
  /** Whether both sides have names; without them only sections are compared. */
  readonly hasSymbols: boolean;
  /** Bytes that are loaded. */
  readonly loaded: { readonly left: number; readonly right: number };
  /** Groups, libraries and modules whose size differs, the largest changes first. */
  readonly modules: readonly SizeChange[];
  /** Functions and values whose size differs, the largest changes first; at most `MOST_CHANGES`. */
  readonly symbols: readonly SizeChange[];
  /** How many there are of them in all. */
  readonly symbolCount: number;
}

export const MOST_CHANGES = 500;

/** Compares both trees. What can't be read has no parts and no names. */
export function compareSizes(left: ImageSource, right: ImageSource): SizeChanges {
  const sizes = { left: sizesOf(left), right: sizesOf(right) };
  const changes: SizeChange[] = [];
  collect(sizes.left?.tree, sizes.right?.tree, [], changes);
  changes.sort((a, b) => Math.abs(b.right - b.left) - Math.abs(a.right - a.left));
  const isSymbol = ({ kind }: SizeChange) => kind === "function" || kind === "value";
  const symbols = changes.filter(isSymbol);
  return {
    hasSymbols: sizes.left?.hasSymbols === true && sizes.right?.hasSymbols === true,
    loaded: { left: sizes.left?.tree.size ?? 0, right: sizes.right?.tree.size ?? 0 },
    modules: changes.filter((change) => !isSymbol(change)).slice(0, MOST_CHANGES),
    symbols: symbols.slice(0, MOST_CHANGES),
    symbolCount: symbols.length,
  };
}

function sizesOf(source: ImageSource): Sizes | undefined {
  try {
    return readSizes(source, true);
  } catch (error) {
    if (error instanceof ImageError) return undefined;
    throw error;
  }
}

function collect(
  left: SizeNode | undefined,
  right: SizeNode | undefined,
  path: readonly string[],
  changes: SizeChange[],
): void {
  const keyed = (node: SizeNode | undefined) =>
    new Map((node?.children ?? []).map((child) => [`${child.kind} ${child.name}`, child]));
  const rights = keyed(right);
  const lefts = keyed(left);
  for (const [key, child] of [...lefts, ...[...rights].filter(([key]) => !lefts.has(key))]) {
    const a = lefts.get(key);
    const b = rights.get(key);
    const here = [...path, child.name];
    if ((a?.size ?? 0) !== (b?.size ?? 0))
      changes.push({ path: here, kind: child.kind, left: a?.size ?? 0, right: b?.size ?? 0 });
    collect(a, b, here, changes);
  }
}
