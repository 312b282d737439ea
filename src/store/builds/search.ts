/**
 * Finds jobs and builds. Every condition on builds is answered from an index; jobs, of which there are hundreds where
 * there are many, are looked through.
 */
import type { Database } from "bun:sqlite";
import { type PackageConstraint, matchesVersion } from "../../opam/version.ts";
import { type Sha256, sha256Text } from "../../lib/sha256.ts";
import type { BuildSummary, JobName, Page } from "../api.ts";
import { SUMMARY, type SummaryRow, summaryOf } from "./build-rows.ts";
import { type ParsedQuery, type SearchQuery, otherHash, parseSearch } from "./search-query.ts";

export { type SearchQuery, otherHash, parseSearch };

export interface JobHit {
  readonly name: JobName;
  readonly section: string | undefined;
  readonly synopsis: string | undefined;
}

export interface SearchResult {
  /** Jobs that have all the words, by name; the first page has them. */
  readonly jobs: readonly JobHit[];
  /** Those whose main binary was meant by its hash first, then the newest first. */
  readonly builds: readonly BuildSummary[];
  /** Whether there are builds beyond the page. */
  readonly hasMore: boolean;
}

export type SearchOutcome =
  { readonly ok: true; readonly value: SearchResult } | Extract<ParsedQuery, { readonly ok: false }>;

type Value = string | number | Uint8Array;

interface Condition {
  readonly sql: string;
  readonly parameters: readonly Value[];
}

const MOST_JOBS = 100;

/** Answers what people type; an empty search finds nothing. */
export function searchText(db: Database, text: string, page: Page): SearchOutcome {
  const parsed = parseSearch(text);
  return parsed.ok ? { ok: true, value: search(db, parsed.query, page) } : parsed;
}

export function search(db: Database, query: SearchQuery, { limit, start = 0 }: Page): SearchResult {
  const conditions = conditionsOf(db, query);
  const jobs = start === 0 && query.words.length > 0 ? findJobs(db, query.words) : [];
  if (conditions.length === 0) return { jobs, builds: [], hasMore: false };
  const hash = query.words.map(hashRange).find((range) => range !== undefined);
  const rank = hash === undefined ? "" : "(b.main_sha256 >= ? AND b.main_sha256 <= ?) IS TRUE DESC, ";
  const order = `ORDER BY ${rank}b.started_at DESC, b.id DESC`;
  // In two steps: what a list shows is looked up for those that it shows only.
  const rows = db
    .query<SummaryRow, Value[]>(
      `SELECT ${SUMMARY} FROM build b WHERE b.id IN (
         SELECT b.id FROM build b WHERE ${conditions.map(({ sql }) => sql).join(" AND ")} ${order} LIMIT ? OFFSET ?
       ) ${order}`,
    )
    .all(
      ...conditions.flatMap(({ parameters }) => parameters),
      ...(hash ?? []),
      limit + 1,
      start,
      ...(hash ?? []),
    );
  return { jobs, builds: rows.slice(0, limit).map(summaryOf), hasMore: rows.length > limit };
}

function conditionsOf(db: Database, query: SearchQuery): Condition[] {
  const { words, platform, since, before, packages } = query;
  const conditions = [
    ...words.map(wordCondition),
    ...packages.map((constraint) => hasPackage(db, constraint)),
  ];
  if (platform !== undefined) conditions.push({ sql: "b.platform = ?", parameters: [platform] });
  if (since !== undefined) conditions.push({ sql: "b.started_at >= ?", parameters: [since] });
  if (before !== undefined) conditions.push({ sql: "b.started_at < ?", parameters: [before] });
  return conditions;
}

/** A word may mean a job, or a platform, or a hash, or a UUID. */
function wordCondition(word: string): Condition {
  const parts: Condition[] = [
    {
      sql: "SELECT id FROM build WHERE job IN (SELECT id FROM job WHERE instr(lower(name), ?) OR instr(lower(synopsis), ?))",
      parameters: [word, word],
    },
    { sql: "SELECT id FROM build WHERE platform = ?", parameters: [word] },
  ];
  if (/^[0-9a-f-]{4,36}$/.test(word)) {
    parts.push({ sql: "SELECT id FROM build WHERE uuid >= ? AND uuid < ?", parameters: [word, `${word}g`] });
  }
  const hash = hashRange(word);
  if (hash !== undefined) {
    parts.push(
      { sql: "SELECT id FROM build WHERE main_sha256 >= ? AND main_sha256 <= ?", parameters: hash },
      { sql: "SELECT build FROM artifact WHERE sha256 >= ? AND sha256 <= ?", parameters: hash },
    );
  }
  return {
    sql: `b.id IN (${parts.map(({ sql }) => sql).join(" UNION ")})`,
    parameters: parts.flatMap(({ parameters }) => parameters),
  };
}

/** The first and the last hash that begin so; undefined for what begins none. */
function hashRange(word: string): [Uint8Array, Uint8Array] | undefined {
  if (!/^[0-9a-f]{4,64}$/.test(word)) return undefined;
  const bytes = (fill: string) => new Uint8Array(Buffer.from(word.padEnd(64, fill), "hex"));
  return [bytes("0"), bytes("f")];
}

/** The SHA-256 of files that begin so, two at most: whether it is one or several. Nothing for what begins none. */
export function hashesBeginning(db: Database, text: string): Sha256[] {
  const range = hashRange(text.toLowerCase());
  if (range === undefined) return [];
  return db
    .query<{ sha256: Uint8Array }, Uint8Array[]>(
      "SELECT DISTINCT sha256 FROM artifact WHERE sha256 >= ? AND sha256 <= ? LIMIT 2",
    )
    .all(...range)
    .map(({ sha256 }) => sha256Text(sha256));
}

function hasPackage(db: Database, constraint: PackageConstraint): Condition {
  const ids = db
    .query<{ id: number; version: string }, [string]>("SELECT id, version FROM package WHERE name = ?")
    .all(constraint.name)
    .filter(({ version }) => matchesVersion(constraint, version))
    .map(({ id }) => id);
  return {
    sql: `b.id IN (SELECT a.build FROM json_each(?) p CROSS JOIN switch_package s ON s.package = p.value
           CROSS JOIN artifact a ON a.sha256 = s.switch AND a.path = 'opam-switch')`,
    parameters: [JSON.stringify(ids)],
  };
}

function findJobs(db: Database, words: readonly string[]): JobHit[] {
  const where = words.map(() => "(instr(lower(name), ?) OR instr(lower(synopsis), ?))").join(" AND ");
  return db
    .query<{ name: string; section: string | null; synopsis: string | null }, Value[]>(
      `SELECT name, section, synopsis FROM job WHERE ${where} ORDER BY name LIMIT ${MOST_JOBS}`,
    )
    .all(...words.flatMap((word) => [word, word]))
    .map(({ name, section, synopsis }) => ({
      name: name as JobName,
      section: section ?? undefined,
      synopsis: synopsis ?? undefined,
    }));
}
