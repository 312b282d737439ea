/** The sources that a MirageOS unikernel's build had vendored: `x-opam-monorepo-duniverse-dirs` of its root. */
import { OpamError } from "./opam-error.ts";
import type { SwitchExport } from "./switch-export.ts";
import { type OpamValue, elementsOf, fieldOf, withoutOptions } from "./syntax.ts";

/** The field that lists them. */
export const DUNIVERSE_FIELD = "x-opam-monorepo-duniverse-dirs";

export interface SourceHash {
  readonly kind: "md5" | "sha256" | "sha512";
  /** Hexadecimal, in lower case. */
  readonly value: string;
}

export interface VendoredSource {
  /** The directory's name: what a source is known by. */
  readonly directory: string;
  readonly url: string;
  /** None for sources that a commit names. */
  readonly hashes: readonly SourceHash[];
}

/** By directory. */
export type Duniverse = ReadonlyMap<string, VendoredSource>;

/**
 * The vendored sources; none where the root names none. Throws OpamError bad-field, also where there isn't exactly one
 * root: the message is builder-web's, since its clients show it.
 */
export function readDuniverse(exported: SwitchExport): Duniverse {
  const [root, ...others] = exported.roots;
  if (root === undefined || others.length > 0)
    throw new OpamError("bad-field", "not a single root package found in opam switch export");
  const file = exported.packages.get(root.name);
  if (file === undefined)
    throw new OpamError("bad-field", "opam switch export doesn't contain the main package");
  const elements = elementsOf(fieldOf(file, DUNIVERSE_FIELD)).map(withoutOptions);
  const isOne = elements[0]?.kind === "string";
  const found = new Map<string, VendoredSource>();
  for (const element of isOne ? [elements] : elements.map(elementsOf)) {
    const source = readSource(element.map(withoutOptions));
    found.set(source.directory, source);
  }
  return found;
}

/** `[URL DIR]` or `[URL DIR [HASH …]]` */
function readSource([url, directory, ...rest]: readonly OpamValue[]): VendoredSource {
  if (url?.kind !== "string" || directory?.kind !== "string")
    bad("an element is not an address and a directory");
  const hashes = rest.flatMap((value) => elementsOf(value)).map(readHash);
  return { directory: directory.value, url: url.value, hashes };
}

const LENGTHS = { md5: 32, sha256: 64, sha512: 128 } as const;

function readHash(value: OpamValue): SourceHash {
  const text = value.kind === "string" ? value.value : "";
  const [, kind = "md5", hex = ""] = /^(?:(md5|sha256|sha512)=)?([0-9A-Fa-f]+)$/.exec(text) ?? [];
  const known = kind as keyof typeof LENGTHS;
  if (hex.length !== LENGTHS[known]) bad(`${JSON.stringify(text.slice(0, 40))} is no hash`);
  return { kind: known, value: hex.toLowerCase() };
}

function bad(what: string): never {
  throw new OpamError("bad-field", `${DUNIVERSE_FIELD}: ${what}`);
}

/** A directory that both sides have, with other content. Equal parts are not in it. */
export interface ChangedSource {
  readonly directory: string;
  readonly leftUrl: string;
  readonly rightUrl: string;
  readonly hashes: readonly {
    readonly kind: SourceHash["kind"];
    readonly left: string | undefined;
    readonly right: string | undefined;
  }[];
}

export interface DuniverseChanges {
  readonly added: readonly VendoredSource[];
  readonly removed: readonly VendoredSource[];
  readonly changed: readonly ChangedSource[];
}

/** Each list by directory. */
export function compareDuniverses(left: Duniverse, right: Duniverse): DuniverseChanges {
  const changed: ChangedSource[] = [];
  for (const source of inOrder(left)) {
    const other = right.get(source.directory);
    if (other === undefined || isSame(source, other)) continue;
    const { directory, url } = source;
    changed.push({ directory, leftUrl: url, rightUrl: other.url, hashes: changedHashes(source, other) });
  }
  return {
    added: inOrder(right).filter(({ directory }) => !left.has(directory)),
    removed: inOrder(left).filter(({ directory }) => !right.has(directory)),
    changed,
  };
}

const inOrder = (duniverse: Duniverse) =>
  [...duniverse.values()].toSorted((a, b) => (a.directory < b.directory ? -1 : 1));

/** Hashes decide wherever both have any: a source may move. */
function isSame(left: VendoredSource, right: VendoredSource): boolean {
  if (left.hashes.length === 0 && right.hashes.length === 0) return left.url === right.url;
  if (left.hashes.length === 0 || right.hashes.length === 0) return false;
  return isWithin(left, right) && isWithin(right, left);
}

const isWithin = (some: VendoredSource, all: VendoredSource) =>
  some.hashes.every(({ kind, value }) =>
    all.hashes.some((other) => other.kind === kind && other.value === value),
  );

function changedHashes(left: VendoredSource, right: VendoredSource): ChangedSource["hashes"] {
  const kinds = ["md5", "sha256", "sha512"] as const;
  const of = (source: VendoredSource, kind: SourceHash["kind"]) =>
    source.hashes.find((hash) => hash.kind === kind)?.value;
  return kinds
    .map((kind) => ({ kind, left: of(left, kind), right: of(right, kind) }))
    .filter((hash) => hash.left !== hash.right);
}
