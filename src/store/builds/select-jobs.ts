/** Jobs, and what lists show of them. */
import type { Database } from "bun:sqlite";
import type { BuildStore, BuildSummary, Job, JobName, JobOverview, Platform } from "../api.ts";
import { SUMMARY, type SummaryRow, summaryOf } from "./build-rows.ts";

interface JobRow {
  id: number;
  name: string;
  section: string | null;
  synopsis: string | null;
  description: string | null;
  readme: string | null;
}

/** Runs in a platform's strip of health. */
const RECENT = 10;
/** The section of jobs that have none. */
const NO_SECTION = "Uncategorized";

export function selectJobs(db: Database): Pick<BuildStore, "overview" | "jobs" | "job"> {
  return {
    overview({ activeSince = Number.NEGATIVE_INFINITY } = {}) {
      const jobs = db
        .query<Pick<JobRow, "id" | "name" | "section" | "synopsis">, [string]>(
          "SELECT id, name, section, synopsis FROM job ORDER BY coalesce(section, ?), name",
        )
        .all(NO_SECTION);
      return jobs.map((job) => overviewOf(db, job, activeSince)).filter(({ recent }) => recent.length > 0);
    },

    jobs: () =>
      db
        .query<{ name: string }, []>("SELECT name FROM job ORDER BY name")
        .all()
        .map(({ name }) => name as JobName),

    job(name) {
      const row = db
        .query<JobRow, [string]>(
          "SELECT id, name, section, synopsis, description, readme FROM job WHERE name = ?",
        )
        .get(name);
      return row === null ? undefined : jobOf(row, platformsOf(db, row.id));
    },
  };
}

/**
 * The platforms that a job was ever built on, ascending. Each is found by one step in an index: there are few of them,
 * and many builds.
 */
export function platformsOf(db: Database, job: number): Platform[] {
  return db
    .query<{ platform: string }, [number]>(
      `WITH RECURSIVE p (platform) AS (
         SELECT min(platform) FROM build WHERE job = ?1
         UNION ALL
         SELECT (SELECT min(platform) FROM build WHERE job = ?1 AND platform > p.platform)
         FROM p WHERE p.platform IS NOT NULL
       ) SELECT platform FROM p WHERE platform IS NOT NULL`,
    )
    .all(job)
    .map(({ platform }) => platform as Platform);
}

function overviewOf(
  db: Database,
  { id, name, section, synopsis }: Pick<JobRow, "id" | "name" | "section" | "synopsis">,
  activeSince: number,
): JobOverview {
  const latest: BuildSummary[] = [];
  const recent: { platform: Platform; builds: BuildSummary[] }[] = [];
  for (const platform of platformsOf(db, id)) {
    const builds = db
      .query<SummaryRow, [number, string, number]>(
        `SELECT ${SUMMARY} FROM build b WHERE b.job = ? AND b.platform = ?
         ORDER BY b.started_at DESC, b.id DESC LIMIT ?`,
      )
      .all(id, platform, RECENT)
      .map(summaryOf);
    const good = builds.find(({ main }) => main !== undefined) ?? latestGood(db, id, platform);
    // Without any success, the last try says whether somebody still works on it.
    const last = good ?? builds[0];
    if (last === undefined || last.finishedAt <= activeSince) continue;
    if (good !== undefined) latest.push(good);
    recent.push({ platform, builds });
  }
  const newest = latest.reduce<BuildSummary | undefined>(
    (newest, build) => (newest === undefined || build.startedAt > newest.startedAt ? build : newest),
    undefined,
  );
  return {
    name: name as JobName,
    section: section ?? undefined,
    synopsis: synopsis ?? undefined,
    latest,
    newest,
    recent,
  };
}

function latestGood(db: Database, job: number, platform: Platform): BuildSummary | undefined {
  const row = db
    .query<SummaryRow, [number, string]>(
      `SELECT ${SUMMARY} FROM build b WHERE b.job = ? AND b.platform = ? AND b.main_sha256 IS NOT NULL
       ORDER BY b.started_at DESC, b.id DESC LIMIT 1`,
    )
    .get(job, platform);
  return row === null ? undefined : summaryOf(row);
}

function jobOf(row: JobRow, platforms: readonly Platform[]): Job {
  return {
    name: row.name as JobName,
    section: row.section ?? undefined,
    synopsis: row.synopsis ?? undefined,
    description: row.description ?? undefined,
    readme: row.readme ?? undefined,
    platforms,
  };
}
