/** What came of building something again, as it was reported. */
import type { Database } from "bun:sqlite";
import { write } from "../db/open.ts";
import { sha256Bytes } from "../lib/sha256.ts";
import { sha256Of } from "../lib/sha256-of.ts";
import type { Attestation } from "./records.ts";

export type Verdict = "GOOD" | "BAD" | "FAIL" | "UNKNOWN";

export interface Reproduction {
  /** The build's UUID. */
  readonly build: string;
  /** Where the build was, when it isn't one of this server. */
  readonly source: string | undefined;
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly verdict: Verdict;
  /** What differs and where: JSON, as it was reported. */
  readonly report: unknown;
}

interface Row {
  readonly build: string;
  readonly source: string | null;
  readonly started_at: number;
  readonly finished_at: number;
  readonly verdict: Verdict;
  readonly report: string;
}

/** Keeps a report, with the statement that was signed for it. */
export function keepReproduction(
  db: Database,
  one: Reproduction,
  attestation: Attestation | undefined,
): void {
  const { build, source, startedAt, finishedAt, verdict, report } = one;
  const sha256 = attestation === undefined ? null : sha256Bytes(sha256Of(attestation.envelope));
  write(db, () =>
    db
      .query<unknown, (string | number | Uint8Array | null)[]>(
        `INSERT INTO reproduction (build, source, started_at, finished_at, verdict, report, attestation)
         VALUES (?, ?, ?, ?, ?, ?, (SELECT id FROM attestation WHERE sha256 = ?))`,
      )
      .run(build, source ?? null, startedAt, finishedAt, verdict, JSON.stringify(report), sha256),
  );
}

/** Of a build, the newest first. */
export function reproductionsOf(db: Database, build: string, limit = 50): Reproduction[] {
  return db
    .query<Row, [string, number]>(
      "SELECT * FROM reproduction WHERE build = ? ORDER BY finished_at DESC, id DESC LIMIT ?",
    )
    .all(build, limit)
    .map((row) => ({
      build: row.build,
      source: row.source ?? undefined,
      startedAt: row.started_at,
      finishedAt: row.finished_at,
      verdict: row.verdict,
      report: JSON.parse(row.report) as unknown,
    }));
}

/** A report's sentence; undefined where whoever reported it wrote none. */
export function summaryOf({ report }: Reproduction): string | undefined {
  const fields = typeof report === "object" && report !== null ? (report as Record<string, unknown>) : {};
  return typeof fields["summary"] === "string" ? fields["summary"] : undefined;
}

/** What rebuilds say of a build. */
export interface RebuildCounts {
  /** Those that gave the same. */
  readonly good: number;
  /** Whether the newest one that came to a verdict gave something else. */
  readonly isBad: boolean;
}

export function rebuildCounts(db: Database, build: string): RebuildCounts {
  const verdicts = db
    .query<{ verdict: Verdict }, [string]>(
      "SELECT verdict FROM reproduction WHERE build = ? AND verdict IN ('GOOD', 'BAD') ORDER BY finished_at DESC, id DESC",
    )
    .all(build);
  return {
    good: verdicts.filter(({ verdict }) => verdict === "GOOD").length,
    isBad: verdicts[0]?.verdict === "BAD",
  };
}
