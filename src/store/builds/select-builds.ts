/**
 * Which builds belong where: builder-web's rules of selection (its chapter 6). Builds are in the order of their starts
 * everywhere; of two that started together the one that came later counts as newer.
 */
import type { Database } from "bun:sqlite";
import { sha256Bytes, sha256Text } from "../../lib/sha256.ts";
import type {
  BuildId,
  BuildStore,
  BuildSummary,
  JobName,
  Neighbours,
  OutputGroup,
  Page,
  Platform,
  Reproductions,
  Sha256,
} from "../api.ts";
import { SUMMARY, type SummaryRow, summaryOf } from "./build-rows.ts";

type Value = string | number | Uint8Array | null;

/** Builds listed at most where a caller names no limit. */
const UNLIMITED = -1;
/** A build that was made again more often isn't listed more often. */
const REPRODUCTIONS = 1000;

const NEWEST_FIRST = "ORDER BY b.started_at DESC, b.id DESC";

/** What of a build the selections need. */
interface Place {
  id: number;
  job: number;
  platform: string;
  started_at: number;
  input_id: Uint8Array | null;
  main_sha256: Uint8Array | null;
}

export function selectBuilds(
  db: Database,
): Pick<
  BuildStore,
  "resolve" | "buildsOf" | "outputsOf" | "latest" | "neighbours" | "reproductions" | "failed" | "containing"
> {
  const list = (where: string, parameters: Value[]): BuildSummary[] =>
    db
      .query<SummaryRow, Value[]>(`SELECT ${SUMMARY} FROM build b ${where}`)
      .all(...parameters)
      .map(summaryOf);
  const first = (where: string, parameters: Value[]): BuildSummary | undefined =>
    list(`${where} LIMIT 1`, parameters)[0];
  const jobId = (name: JobName): number | undefined =>
    db.query<{ id: number }, [string]>("SELECT id FROM job WHERE name = ?").get(name)?.id;
  const placeOf = (id: BuildId): Place | undefined =>
    db
      .query<Place, [string]>(
        "SELECT id, job, platform, started_at, input_id, main_sha256 FROM build WHERE uuid = ?",
      )
      .get(id) ?? undefined;

  const latestOf = (job: number, platform?: string): BuildSummary | undefined =>
    platform === undefined
      ? first(`WHERE b.job = ? AND b.main_sha256 IS NOT NULL ${NEWEST_FIRST}`, [job])
      : first(`WHERE b.job = ? AND b.platform = ? AND b.main_sha256 IS NOT NULL ${NEWEST_FIRST}`, [
          job,
          platform,
        ]);

  return {
    resolve(prefix) {
      const start = prefix.toLowerCase();
      if (start.length < 4 || start.length > 36 || !/^[0-9a-f-]+$/.test(start)) return [];
      return list("WHERE b.uuid >= ? AND b.uuid < ? ORDER BY b.uuid LIMIT 20", [start, `${start}g`]);
    },

    buildsOf(name, { platform, kind = "all", limit, start = 0 }) {
      const job = jobId(name);
      if (job === undefined) return [];
      const wanted = {
        all: "",
        successful: "AND b.main_sha256 IS NOT NULL",
        failed: "AND b.main_sha256 IS NULL",
      };
      const where = `WHERE b.job = ? ${platform === undefined ? "" : "AND b.platform = ?"} ${wanted[kind]}`;
      return list(`${where} ${NEWEST_FIRST} LIMIT ? OFFSET ?`, [
        job,
        ...(platform === undefined ? [] : [platform]),
        limit,
        start,
      ]);
    },

    outputsOf(name, { platform, limit = UNLIMITED, start = 0 } = {}) {
      const job = jobId(name);
      return job === undefined ? [] : outputs(db, { job, platform, limit, start }, first);
    },

    latest(name, platform) {
      const job = jobId(name);
      return job === undefined ? undefined : latestOf(job, platform);
    },

    neighbours({ id }): Neighbours {
      const place = placeOf(id);
      if (place === undefined) return { previous: undefined, next: undefined, latest: undefined };
      const { job, platform, started_at, main_sha256 } = place;
      const beside = (relation: "<" | ">", order: "DESC" | "ASC") =>
        main_sha256 === null
          ? undefined
          : first(
              `WHERE b.job = ? AND b.platform = ? AND b.main_sha256 IS NOT NULL AND b.started_at ${relation} ?
                 AND b.main_sha256 <> ? ORDER BY b.started_at ${order}, b.id ${order}`,
              [job, platform, started_at, main_sha256],
            );
      return { previous: beside("<", "DESC"), next: beside(">", "ASC"), latest: latestOf(job, platform) };
    },

    reproductions({ id }): Reproductions {
      const place = placeOf(id);
      if (place === undefined || place.input_id === null || place.main_sha256 === null) {
        return { sameInputSameOutput: [], otherInputSameOutput: [], sameInputOtherOutput: [] };
      }
      const { input_id, main_sha256 } = place;
      return {
        sameInputSameOutput: list(
          `WHERE b.input_id = ? AND b.main_sha256 = ? AND b.id <> ? ${NEWEST_FIRST} LIMIT ${REPRODUCTIONS}`,
          [input_id, main_sha256, place.id],
        ),
        // In a group with one max(), the other columns are those of the row that has it.
        otherInputSameOutput: list(
          `WHERE b.id IN (SELECT id FROM (SELECT id, max(started_at) FROM build
             WHERE main_sha256 = ? AND input_id > ? GROUP BY input_id
             UNION ALL SELECT id, max(started_at) FROM build
             WHERE main_sha256 = ? AND input_id < ? GROUP BY input_id)) ${NEWEST_FIRST} LIMIT ${REPRODUCTIONS}`,
          [main_sha256, input_id, main_sha256, input_id],
        ),
        sameInputOtherOutput: list(
          `WHERE b.id IN (SELECT id FROM (SELECT id, max(started_at) FROM build
             WHERE input_id = ? AND main_sha256 > ? GROUP BY main_sha256
             UNION ALL SELECT id, max(started_at) FROM build
             WHERE input_id = ? AND main_sha256 < ? GROUP BY main_sha256)) ${NEWEST_FIRST} LIMIT ${REPRODUCTIONS}`,
          [input_id, main_sha256, input_id, main_sha256],
        ),
      };
    },

    failed({ limit, start = 0, platform }) {
      return platform === undefined
        ? list(`WHERE b.main_sha256 IS NULL ${NEWEST_FIRST} LIMIT ? OFFSET ?`, [limit, start])
        : list(`WHERE b.platform = ? AND b.main_sha256 IS NULL ${NEWEST_FIRST} LIMIT ? OFFSET ?`, [
            platform,
            limit,
            start,
          ]);
    },

    containing(sha256, limit = 100) {
      const key = sha256Bytes(sha256);
      const mains = list(`WHERE b.main_sha256 = ? ${NEWEST_FIRST} LIMIT ?`, [key, limit]);
      if (mains.length >= limit) return mains;
      // In two steps: what a list shows is looked up for those that it shows only.
      const others = list(
        `WHERE b.id IN (SELECT id FROM build WHERE id IN (SELECT build FROM artifact WHERE sha256 = ?)
           AND main_sha256 IS NOT ? ORDER BY started_at DESC, id DESC LIMIT ?) ${NEWEST_FIRST}`,
        [key, key, limit - mains.length],
      );
      return [...mains, ...others];
    },
  };
}

function outputs(
  db: Database,
  { job, platform, limit, start }: Required<Page> & { job: number; platform: Platform | undefined },
  first: (where: string, parameters: Value[]) => BuildSummary | undefined,
): OutputGroup[] {
  const onPlatform = platform === undefined ? "" : "AND platform = ?";
  const which: Value[] = platform === undefined ? [job] : [job, platform];
  const groups = db
    .query<{ output: Uint8Array; count: number; oldest: number; newest: number }, Value[]>(
      `SELECT main_sha256 AS output, count(*) AS count, min(started_at) AS oldest, max(started_at) AS newest
       FROM build WHERE job = ? ${onPlatform} AND main_sha256 IS NOT NULL
       GROUP BY main_sha256 ORDER BY newest DESC, main_sha256 LIMIT ? OFFSET ?`,
    )
    .all(...which, limit, start);
  return groups.map(({ output, count, oldest, newest }) => ({
    output: sha256Text(output) as Sha256,
    newest: first(
      `WHERE b.job = ? ${platform === undefined ? "" : "AND b.platform = ?"} AND b.main_sha256 = ?
         AND b.started_at = ? ORDER BY b.id DESC`,
      [...which, output, newest],
    )!,
    oldestAt: oldest,
    count,
  }));
}
