/**
 * opam's order of versions, which is Debian's without epochs: `~` comes before everything, even the end; letters come
 * before other signs; runs of digits count as numbers. What follows the last `-` decides only between equals.
 */
import { OpamError } from "./opam-error.ts";
import { type OpamPackage, parsePackage } from "./switch-export.ts";

/** Negative, zero or positive. Versions may be equal in order without being the same text: 1.0 and 1.00. */
export function compareVersions(left: string, right: string): number {
  if (left === right) return 0;
  const [leftMain, leftRevision] = parts(left);
  const [rightMain, rightRevision] = parts(right);
  return comparePart(leftMain, rightMain) || comparePart(leftRevision, rightRevision);
}

function parts(version: string): [string, string] {
  const dash = version.lastIndexOf("-");
  return dash < 0 ? [version, ""] : [version.slice(0, dash), version.slice(dash + 1)];
}

function comparePart(left: string, right: string): number {
  let l = 0;
  let r = 0;
  while (l < left.length || r < right.length) {
    while ((l < left.length && !isDigit(left, l)) || (r < right.length && !isDigit(right, r))) {
      const order = weight(left, l) - weight(right, r);
      if (order !== 0) return order;
      l++;
      r++;
    }
    while (left[l] === "0") l++;
    while (right[r] === "0") r++;
    const leftEnd = endOfDigits(left, l);
    const rightEnd = endOfDigits(right, r);
    if (leftEnd - l !== rightEnd - r) return leftEnd - l - (rightEnd - r);
    for (; l < leftEnd; l++, r++) {
      const order = left.charCodeAt(l) - right.charCodeAt(r);
      if (order !== 0) return order;
    }
  }
  return 0;
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 48 && code <= 57;
}

function endOfDigits(text: string, from: number): number {
  let end = from;
  while (end < text.length && isDigit(text, end)) end++;
  return end;
}

/** `~`, then the end or a digit, then letters, then all else. */
function weight(text: string, at: number): number {
  if (at >= text.length || isDigit(text, at)) return 0;
  const code = text.charCodeAt(at);
  if (code === 126) return -1;
  return (code >= 65 && code <= 90) || (code >= 97 && code <= 122) ? code : code + 0x10000;
}

export type VersionRelation = "=" | "!=" | ">=" | ">" | "<=" | "<";

/** `x509 < 0.11.0`: a package, and what its version must be. No conditions: any version. */
export interface PackageConstraint {
  readonly name: string;
  readonly conditions: readonly { readonly relation: VersionRelation; readonly version: string }[];
}

const NAME = /^[A-Za-z0-9_+-]+$/;
const CONSTRAINT = /^\s*([A-Za-z0-9_+-]+)\s*((?:[<>=!].*)?)$/s;
const CONDITION = /^\s*(=|!=|>=|>|<=|<)\s*"?([A-Za-z0-9_+.~-]+)"?\s*$/;
/** Longer ones are no question of people. */
const LONGEST = 1000;

/**
 * Reads `x509`, `x509.0.11.0`, `x509 < 0.11.0`, `x509 >= 0.9 & < 0.11.0` (or with a comma); versions may be in quotes.
 * Throws OpamError bad-constraint.
 */
export function parseConstraint(text: string): PackageConstraint {
  const trimmed = text.trim();
  const exact = parsePackage(trimmed);
  if (exact !== undefined && NAME.test(exact.name) && /^[A-Za-z0-9_+.~-]+$/.test(exact.version)) {
    return { name: exact.name, conditions: [{ relation: "=", version: exact.version }] };
  }
  const found = trimmed.length > LONGEST ? null : CONSTRAINT.exec(trimmed);
  const [, name, rest = ""] = found ?? [];
  if (name === undefined) throw badConstraint(text);
  if (rest === "") return { name, conditions: [] };
  const conditions = rest.split(/[&,]/).map((condition) => {
    const [, relation, version] = CONDITION.exec(condition) ?? [];
    if (relation === undefined || version === undefined) throw badConstraint(text);
    return { relation: relation as VersionRelation, version };
  });
  return { name, conditions };
}

function badConstraint(text: string): OpamError {
  const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return new OpamError("bad-constraint", `${JSON.stringify(shown)} names no package and versions`, {
    hint: "write it like: x509 < 0.11.0",
  });
}

/** Whether a package is one that the constraint asks for. */
export function matches(constraint: PackageConstraint, { name, version }: OpamPackage): boolean {
  return name === constraint.name && matchesVersion(constraint, version);
}

/** The same for a version of the constraint's package. */
export function matchesVersion({ conditions }: PackageConstraint, version: string): boolean {
  return conditions.every(({ relation, version: other }) => holds(relation, compareVersions(version, other)));
}

/** Whether a relation holds between two versions in that order, as compareVersions says it. */
export function holds(relation: VersionRelation, order: number): boolean {
  switch (relation) {
    case "=":
      return order === 0;
    case "!=":
      return order !== 0;
    case ">=":
      return order >= 0;
    case ">":
      return order > 0;
    case "<=":
      return order <= 0;
    case "<":
      return order < 0;
  }
}
