/** opam's record of what a package's installation changed: orb's NAME.build-hashes, opam's NAME.changes. */
import { OpamError } from "./opam-error.ts";
import { parseOpam } from "./parse-opam.ts";
import { type OpamFile, type OpamValue, elementsOf, fieldOf, withoutOptions } from "./syntax.ts";

export type InstalledFile =
  /** `digest`: the MD5 of a file's content. */
  | { readonly kind: "file"; readonly digest: string }
  /** Recorded without precise tracking: says nothing of the content. */
  | { readonly kind: "file-of-size"; readonly size: number }
  | { readonly kind: "directory" }
  | { readonly kind: "link"; readonly target: string }
  | { readonly kind: "special"; readonly device: string };

export type InstalledChange = "added" | "removed" | "contents-changed" | "perm-changed" | "kind-changed";

const CHANGES: readonly InstalledChange[] = [
  "added",
  "removed",
  "contents-changed",
  "perm-changed",
  "kind-changed",
];

/** By path, relative to the prefix. `file` is undefined for what was removed. */
export type ChangeRecord = ReadonlyMap<
  string,
  { readonly change: InstalledChange; readonly file: InstalledFile | undefined }
>;

/** Throws OpamError. */
export function readChangeRecord(text: string): ChangeRecord {
  const file = parseOpam(text);
  const record = new Map<string, { change: InstalledChange; file: InstalledFile | undefined }>();
  for (const change of CHANGES) {
    for (const [path, digest] of entriesOf(file, change)) record.set(path, { change, file: digest });
  }
  return record;
}

function entriesOf(file: OpamFile, change: InstalledChange): [string, InstalledFile | undefined][] {
  return elementsOf(fieldOf(file, change)).map((element) => {
    const path = withoutOptions(element);
    if (path.kind !== "string") throw bad(change);
    return [path.value, element.kind === "option" ? readDigest(change, element.options) : undefined];
  });
}

function readDigest(change: InstalledChange, options: readonly OpamValue[]): InstalledFile {
  const [digest] = options;
  if (digest?.kind !== "string") throw bad(change);
  const text = digest.value;
  if (text === "D") return { kind: "directory" };
  if (text.startsWith("L:")) return { kind: "link", target: text.slice(2) };
  if (text.startsWith("S:")) return { kind: "special", device: text.slice(2) };
  const [, size] = /^F:S([0-9]{1,15})T/.exec(text) ?? [];
  if (size !== undefined) return { kind: "file-of-size", size: Number(size) };
  if (/^F:[0-9a-f]{32}$/.test(text)) return { kind: "file", digest: text.slice(2) };
  throw bad(change);
}

const bad = (change: InstalledChange) =>
  new OpamError("bad-field", `${change}: an element is not a path with a digest`);

export interface ChangeRecordDifference {
  readonly path: string;
  readonly side: "left" | "right" | "both";
}

/** Paths that are in one record only, or otherwise in the other; by path. None: reproduced, as far as records say. */
export function compareChangeRecords(left: ChangeRecord, right: ChangeRecord): ChangeRecordDifference[] {
  const differences: ChangeRecordDifference[] = [];
  for (const [path, entry] of left) {
    const other = right.get(path);
    if (other === undefined) differences.push({ path, side: "left" });
    else if (!Bun.deepEquals(entry, other)) differences.push({ path, side: "both" });
  }
  for (const path of right.keys()) if (!left.has(path)) differences.push({ path, side: "right" });
  return differences.toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}
