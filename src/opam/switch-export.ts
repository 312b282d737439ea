/**
 * A switch export: what an opam switch had installed, with the whole opam file of each package, as
 * `opam switch export --full --freeze` and orb write it. It is one of a build's three inputs.
 */
import { OpamError } from "./opam-error.ts";
import { parseOpam } from "./parse-opam.ts";
import { type OpamFile, type OpamValue, elementsOf, fieldOf } from "./syntax.ts";

export interface OpamPackage {
  readonly name: string;
  readonly version: string;
}

export interface SwitchExport {
  readonly roots: readonly OpamPackage[];
  readonly installed: readonly OpamPackage[];
  readonly pinned: readonly OpamPackage[];
  readonly compiler: readonly OpamPackage[];
  /** The opam file of each package, by name, in the export's order. */
  readonly packages: ReadonlyMap<string, OpamFile>;
  /** Files that package repositories keep beside opam files: Base64 by their hash, `md5=…`. */
  readonly extraFiles: ReadonlyMap<string, string>;
}

/**
 * Reads a switch export. Lists may lack their brackets, as opam has it for one element; unknown fields are passed
 * over. Throws OpamError.
 */
export function readSwitchExport(text: string): SwitchExport {
  const file = parseOpam(text);
  const packages = new Map<string, OpamFile>();
  for (const item of file.items) {
    if (item.kind !== "section" || item.type !== "package" || item.name === undefined) continue;
    if (packages.has(item.name)) badField("package", `${item.name} is there twice`);
    packages.set(item.name, { items: item.items });
  }
  return {
    roots: packagesOf(file, "roots"),
    installed: packagesOf(file, "installed"),
    pinned: packagesOf(file, "pinned"),
    compiler: packagesOf(file, "compiler"),
    packages,
    extraFiles: extraFilesOf(fieldOf(file, "extra-files")),
  };
}

/** `lwt.5.7.0`: names have no dot. Undefined where there is no name or no version. */
export function parsePackage(text: string): OpamPackage | undefined {
  const dot = text.indexOf(".");
  if (dot <= 0 || dot === text.length - 1) return undefined;
  return { name: text.slice(0, dot), version: text.slice(dot + 1) };
}

/** As people and opam write it. */
export const formatPackage = ({ name, version }: OpamPackage) => `${name}.${version}`;

/** opam's order of names: without regard to case, then capital letters first. */
export function comparePackageNames(left: string, right: string): number {
  const folded = compareText(left.toLowerCase(), right.toLowerCase());
  return folded === 0 ? compareText(left, right) : folded;
}

const compareText = (left: string, right: string) => (left < right ? -1 : left > right ? 1 : 0);

function packagesOf(file: OpamFile, field: string): OpamPackage[] {
  return elementsOf(fieldOf(file, field)).map((element) => {
    const parsed = element.kind === "string" ? parsePackage(element.value) : undefined;
    return parsed ?? badField(field, "an element is not of the form NAME.VERSION");
  });
}

/** `[["md5=…" "BASE64"] …]`, or one pair without the outer brackets. */
function extraFilesOf(value: OpamValue | undefined): ReadonlyMap<string, string> {
  const elements = elementsOf(value);
  const pairs = elements.every(({ kind }) => kind === "string") ? [elements] : elements.map(elementsOf);
  const files = new Map<string, string>();
  for (const pair of pairs) {
    if (pair.length === 0) continue;
    const [hash, content] = pair;
    if (hash?.kind !== "string" || content?.kind !== "string" || pair.length !== 2)
      badField("extra-files", "an element is not a hash and a content");
    files.set(hash.value, content.value);
  }
  return files;
}

function badField(field: string, what: string): never {
  throw new OpamError("bad-field", `${field}: ${what}`);
}
