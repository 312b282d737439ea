/**
 * Since when a job's output is offered. It is written down when it is offered first: the same output again is no new
 * package, also when the builds that had it first were removed meanwhile.
 */
import type { Database } from "bun:sqlite";
import { write } from "../../db/open.ts";
import { sha256Bytes, sha256Text } from "../../lib/sha256.ts";
import type { BuildStore, BuildSummary, Sha256 } from "../api.ts";

/** An output that came again and again before it was offered is as old as the first time, as far back as this. */
const STREAK = 200;

/** When the output of a job's newest build was built, in milliseconds since 1970. `main`: that build's. */
export function publishedSince(
  db: Database,
  builds: Pick<BuildStore, "buildsOf">,
  build: BuildSummary,
  main: Sha256,
): number {
  const { job, platform } = build;
  const row = db
    .query<{ sha256: Uint8Array; builtAt: number }, [string, string]>(
      `SELECT sha256, built_at AS builtAt FROM published_package
       WHERE job = (SELECT id FROM job WHERE name = ?) AND platform = ?`,
    )
    .get(job, platform);
  if (row !== null && sha256Text(row.sha256) === main) return row.builtAt;
  const before = builds.buildsOf(job, { platform, kind: "successful", limit: STREAK });
  const other = before.findIndex((earlier) => earlier.main?.sha256 !== main);
  const first = (other < 0 ? before : before.slice(0, other)).at(-1) ?? build;
  write(db, () =>
    db
      .query(
        `INSERT INTO published_package (job, platform, sha256, built_at) SELECT id, ?, ?, ? FROM job WHERE name = ?
         ON CONFLICT (job, platform) DO UPDATE SET sha256 = excluded.sha256, built_at = excluded.built_at`,
      )
      .run(platform, sha256Bytes(main), first.startedAt, job),
  );
  return first.startedAt;
}
