/**
 * What people type to find builds: words, and terms with a colon or a relation.
 *
 *     hello                   jobs by a part of their name or synopsis, builds of a platform of that name
 *     3bdbb4fe                builds by the beginning of a file's SHA-256, or of their UUID; sha256:3bdbb4fe as well
 *     platform:debian-12      builds on a platform
 *     since:2026-01-01        builds started then or later; before: earlier
 *     x509 < 0.11.0           builds whose switch has such a package; package:x509 for any version
 *
 * All terms must hold.
 */
import { OpamError } from "../../opam/opam-error.ts";
import { type PackageConstraint, parseConstraint } from "../../opam/version.ts";

export interface SearchQuery {
  /** In lower case. */
  readonly words: readonly string[];
  readonly platform?: string | undefined;
  /** Milliseconds since 1970. */
  readonly since?: number | undefined;
  /** Exclusive. */
  readonly before?: number | undefined;
  readonly packages: readonly PackageConstraint[];
}

/** As opam files and checksum lists write them. */
const SHA256 = /(?<![^\s])sha-?256[:=]([0-9a-f]{4,64})(?![^\s])/gi;
const OTHER_HASH = /^(md5|sha-?1|sha-?224|sha-?384|sha-?512|sha-?3\S*?|blake\w*|b2sum)[:=]/i;
const LONGEST_HASH = 64;

export type ParsedQuery =
  { readonly ok: true; readonly query: SearchQuery } | { readonly ok: false; readonly message: string };

/** Characters of a query. */
const LONGEST = 500;
/** Each word and each constraint is a part of one statement. */
const MOST_TERMS = 10;

const VERSION = "[A-Za-z0-9_+.~-]+";
const CONSTRAINT = new RegExp(
  `[A-Za-z0-9_+-]+\\s*(?:[<>]=?|!?=)\\s*${VERSION}(?:\\s*[&,]\\s*(?:[<>]=?|!?=)\\s*${VERSION})*`,
  "g",
);

/** Dates are days in UTC, `2026-01-31`, or instants with their zone. */
export function parseSearch(text: string): ParsedQuery {
  const other = otherHash(text);
  if (other !== undefined) return refused(other);
  if (text.length > LONGEST) return refused(`a search of ${text.length} characters; ${LONGEST} are taken`);
  const packages: PackageConstraint[] = [];
  try {
    const rest = text.replaceAll(SHA256, " $1 ").replaceAll(CONSTRAINT, (term) => {
      packages.push(parseConstraint(term));
      return " ";
    });
    return parseTerms(rest.split(/\s+/).filter(Boolean), packages);
  } catch (error) {
    if (error instanceof OpamError) return refused(error.message);
    throw error;
  }
}

function parseTerms(terms: readonly string[], packages: PackageConstraint[]): ParsedQuery {
  const words: string[] = [];
  const fields: { platform?: string; since?: number; before?: number } = {};
  for (const term of terms) {
    const [, name = "", value = ""] = /^(platform|since|before|package):(.+)$/.exec(term) ?? [];
    if (name === "platform") fields.platform = value;
    else if (name === "package") packages.push(parseConstraint(value));
    else if (name === "since" || name === "before") {
      const time = timeOf(value);
      if (time === undefined) return refused(`${value} is no date; write it as 2026-01-31`);
      fields[name] = time;
    } else if (/^(?:[<>]=?|!?=)$/.test(term))
      return refused(`${term} stands alone; write it as x509 < 0.11.0`);
    else words.push(term.toLowerCase());
  }
  if (words.length + packages.length > MOST_TERMS) return refused(`more than ${MOST_TERMS} terms`);
  return { ok: true, query: { words, ...fields, packages } };
}

/** What is wrong with a hash that can't be looked for, as a sentence; undefined where there is none in the text. */
export function otherHash(text: string): string | undefined {
  for (const word of text.split(/\s+/)) {
    const name = OTHER_HASH.exec(word)?.[1];
    if (name !== undefined) return `files are found by SHA-256, not by ${name}`;
    const digits = /^(?:sha-?256[:=])?([0-9a-f]+)$/i.exec(word)?.[1]?.length ?? 0;
    if (digits > LONGEST_HASH) {
      const kind = digits === 128 ? "as SHA-512 and BLAKE2b have it" : "too many";
      return `files are found by SHA-256, which has ${LONGEST_HASH} digits; this has ${digits}, ${kind}`;
    }
  }
  return undefined;
}

function timeOf(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d))?$/.test(text))
    return undefined;
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

function refused(message: string): ParsedQuery {
  return { ok: false, message };
}
