/** A tree of sizes that adds up: a node's size is its own bytes and those of all below it. */

export type SizeKind =
  /** OCaml, C, what has no name. */
  | "group"
  | "library"
  | "module"
  | "function"
  | "value"
  /** Bytes without a name, by the section that they lie in. */
  | "section"
  /** What is left of several small ones. */
  | "more";

export interface SizeNode {
  readonly name: string;
  readonly kind: SizeKind;
  /** Bytes, with all below it. */
  readonly size: number;
  /** Bytes that belong to none of the children. */
  readonly own: number;
  /** Largest first. */
  readonly children: readonly SizeNode[];
  /** The source it comes from: `file:line`. */
  readonly where?: string;
}

export interface Step {
  readonly name: string;
  readonly kind: SizeKind;
}

interface Growing {
  readonly name: string;
  readonly kind: SizeKind;
  own: number;
  where: string | undefined;
  readonly children: Map<string, Growing>;
}

/** Paths are cut off here: hostile names could go as deep as they are long. */
const DEEPEST = 12;

/** Collects bytes by path. */
export class SizeTree {
  readonly #root: Growing;

  constructor(name: string, kind: SizeKind) {
    this.#root = growing(name, kind);
  }

  add(path: readonly Step[], size: number, where?: string): void {
    let node = this.#root;
    for (const { name, kind } of path.slice(0, DEEPEST)) {
      // A module and a value may have one name.
      const key = `${kind === "function" || kind === "value" ? kind : ""} ${name}`;
      let child = node.children.get(key);
      if (child === undefined) node.children.set(key, (child = growing(name, kind)));
      node = child;
    }
    node.own += size;
    node.where ??= where;
  }

  finish(): SizeNode {
    return finished(this.#root);
  }
}

function growing(name: string, kind: SizeKind): Growing {
  return { name, kind, own: 0, where: undefined, children: new Map() };
}

function finished({ name, kind, own, where, children }: Growing): SizeNode {
  const below = [...children.values()].map(finished).filter(({ size }) => size > 0);
  below.sort((a, b) => b.size - a.size || (a.name < b.name ? -1 : 1));
  const size = below.reduce((sum, child) => sum + child.size, own);
  return { name, kind, size, own, children: below, ...(where === undefined ? {} : { where }) };
}

/**
 * The tree with its small parts put together: those of less than `share` of what they are in, or of less than
 * `smallest` bytes. Everything still adds up, and each node says how many of its parts it left out.
 */
export function gatherSmall(node: SizeNode, share: number, smallest: number): SizeNode {
  const least = Math.max(smallest, node.size * share);
  const isKept = ({ size, kind }: SizeNode) => size >= least && kind !== "more";
  const dropped = node.children.filter((child) => !isKept(child));
  const kept = (dropped.length === 1 ? node.children : node.children.filter(isKept)).map((child) =>
    gatherSmall(child, share, smallest),
  );
  // One small thing may as well be called by its name.
  if (dropped.length <= 1) return { ...node, children: kept };
  const size = dropped.reduce((sum, child) => sum + child.size, 0);
  const count = dropped.reduce((sum, child) => sum + countOf(child), 0);
  const more: SizeNode = { name: `${count} smaller`, kind: "more", size, own: size, children: [] };
  return { ...node, children: [...kept, more].sort((a, b) => b.size - a.size) };
}

const countOf = ({ kind, name }: SizeNode) => (kind === "more" ? Number.parseInt(name, 10) : 1);
