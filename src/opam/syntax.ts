/**
 * opam's file syntax as a tree: what opam-file-format calls an opamfile, without positions, so that two trees are
 * equal when they say the same.
 */

export type RelationOperator = "=" | "!=" | ">=" | ">" | "<=" | "<" | "~";
/** `=` is a relation wherever it stands: `[PATH = "bin"]` sets, `{os = "linux"}` asks. */
export type AssignmentOperator = "+=" | "=+" | "=+=" | ":=" | "=:";

export type OpamValue =
  | { readonly kind: "boolean"; readonly value: boolean }
  | { readonly kind: "integer"; readonly value: bigint }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "identifier"; readonly name: string }
  /** `[ … ]` */
  | { readonly kind: "list"; readonly values: readonly OpamValue[] }
  /** `( … )` */
  | { readonly kind: "group"; readonly values: readonly OpamValue[] }
  /** `"lwt" {>= "5.0"}` */
  | { readonly kind: "option"; readonly value: OpamValue; readonly options: readonly OpamValue[] }
  /** Two or more operands; the grammar is left-associative, so that `a & b & c` is one node. */
  | { readonly kind: "and" | "or"; readonly operands: readonly OpamValue[] }
  /** `!x`, `?x` */
  | { readonly kind: "prefix"; readonly operator: "!" | "?"; readonly value: OpamValue }
  /** `os = "linux"` */
  | {
      readonly kind: "relation";
      readonly operator: RelationOperator;
      readonly left: OpamValue;
      readonly right: OpamValue;
    }
  /** `>= "5.0"` */
  | { readonly kind: "constraint"; readonly operator: RelationOperator; readonly value: OpamValue }
  /** `PATH += "bin"` */
  | {
      readonly kind: "assignment";
      readonly target: OpamValue;
      readonly operator: AssignmentOperator;
      readonly value: OpamValue;
    };

export interface OpamField {
  readonly kind: "field";
  readonly name: string;
  readonly value: OpamValue;
}

/** `package "lwt" { … }`, `url { … }` */
export interface OpamSection {
  readonly kind: "section";
  readonly type: string;
  readonly name: string | undefined;
  readonly items: readonly OpamItem[];
}

export type OpamItem = OpamField | OpamSection;

export interface OpamFile {
  readonly items: readonly OpamItem[];
}

/** The value of a file's or a section's first field of that name. */
export function fieldOf({ items }: OpamFile, name: string): OpamValue | undefined {
  for (const item of items) if (item.kind === "field" && item.name === name) return item.value;
  return undefined;
}

/** All sections of that type, in order. */
export function sectionsOf({ items }: OpamFile, type: string): OpamSection[] {
  return items.filter((item): item is OpamSection => item.kind === "section" && item.type === type);
}

/** The elements of a list; any other value is a list of itself: opam leaves the brackets out around one element. */
export function elementsOf(value: OpamValue | undefined): readonly OpamValue[] {
  if (value === undefined) return [];
  return value.kind === "list" ? value.values : [value];
}

/** A field's text; undefined where there is none, or something else than a string. */
export function textOf(file: OpamFile, name: string): string | undefined {
  const value = fieldOf(file, name);
  return value?.kind === "string" ? value.value : undefined;
}

/** The value without `{ … }` behind it. */
export function withoutOptions(value: OpamValue): OpamValue {
  let inner = value;
  while (inner.kind === "option") inner = inner.value;
  return inner;
}
