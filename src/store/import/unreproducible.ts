/** Builds that had the same recorded inputs and gave something else: what makes a build not reproducible. */
import type { Database } from "bun:sqlite";
import { sha256Text } from "../../lib/sha256.ts";
import type { BuildId, JobName, Platform, Sha256 } from "../api.ts";

export interface Unreproducible {
  readonly inputId: Sha256;
  /** One for each output, the newest that gave it. */
  readonly builds: readonly {
    readonly id: BuildId;
    readonly job: JobName;
    readonly platform: Platform;
    readonly startedAt: number;
    readonly output: Sha256;
  }[];
}

interface Row {
  readonly input: Uint8Array;
  readonly id: BuildId;
  readonly job: JobName;
  readonly platform: Platform;
  readonly startedAt: number;
  readonly output: Uint8Array;
}

/** Every input id with more than one output, at most `limit` of them. */
export function unreproducible(db: Database, limit: number): Unreproducible[] {
  const rows = db
    .query<Row, [number]>(
      `SELECT build.input_id AS input, build.uuid AS id, job.name AS job, build.platform, build.main_sha256 AS output,
         max(build.started_at) AS startedAt
       FROM build JOIN job ON job.id = build.job
       WHERE build.input_id IN (
         SELECT input_id FROM build WHERE input_id IS NOT NULL AND main_sha256 IS NOT NULL
         GROUP BY input_id HAVING min(main_sha256) <> max(main_sha256) ORDER BY input_id LIMIT ?)
       AND build.main_sha256 IS NOT NULL
       GROUP BY build.input_id, build.main_sha256 ORDER BY build.input_id, startedAt DESC`,
    )
    .all(limit);
  return [...Map.groupBy(rows, ({ input }) => sha256Text(input))].map(([inputId, group]) => ({
    inputId,
    builds: group.map(({ id, job, platform, startedAt, output }) => ({
      ...{ id, job, platform, startedAt },
      output: sha256Text(output),
    })),
  }));
}
