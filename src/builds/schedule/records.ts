/** Jobs, platforms and what waits, as the database has them. */
import type { Database } from "bun:sqlite";
import type { JobDefinition, JobName, Platform, Run, RunId } from "../api.ts";
import { type RunRow, putRun, runOf } from "../runs/records.ts";
import type { Change, Facts } from "./decide.ts";

interface JobRow {
  readonly name: JobName;
  readonly work: string;
  readonly platforms: string;
  readonly recurrence: string;
  readonly next_at: number | null;
  readonly timeout_ms: number;
  readonly limits: string;
  readonly network: string;
  readonly copies: number;
  readonly jitter_ms: number;
  readonly catch_up: "once" | "skip";
  readonly is_enabled: number;
  readonly created_at: number;
  readonly changed_at: number;
}

function jobOf(row: JobRow): JobDefinition {
  return {
    name: row.name,
    work: JSON.parse(row.work) as JobDefinition["work"],
    platforms: JSON.parse(row.platforms) as Platform[],
    recurrence: JSON.parse(row.recurrence) as JobDefinition["recurrence"],
    nextAt: row.next_at,
    timeoutMs: row.timeout_ms,
    limits: {
      ...{ memoryMb: undefined, cpus: undefined, processes: undefined, diskMb: undefined },
      ...(JSON.parse(row.limits) as JobDefinition["limits"]),
    },
    network: JSON.parse(row.network) as JobDefinition["network"],
    copies: row.copies,
    jitterMs: row.jitter_ms,
    catchUp: row.catch_up,
    isEnabled: row.is_enabled === 1,
    createdAt: row.created_at,
    changedAt: row.changed_at,
  };
}

/** The queries that are asked often; a test looks at their plans. */
export const QUERIES = {
  due: "SELECT * FROM job_definition WHERE next_at < ? AND is_enabled = 1 ORDER BY next_at LIMIT 50",
  nextDue:
    "SELECT next_at FROM job_definition WHERE next_at IS NOT NULL AND is_enabled = 1 ORDER BY next_at LIMIT 1",
  queued: "SELECT * FROM run WHERE state = 'queued' AND job = ? AND platform = ? ORDER BY position LIMIT 1",
  waitingJob: "SELECT * FROM run WHERE state = 'queued' AND job = ? ORDER BY position",
  waitingPlatform:
    "SELECT * FROM run WHERE state = 'queued' AND platform = ? ORDER BY priority DESC, position",
  first:
    "SELECT position FROM run WHERE state = 'queued' AND platform = ? AND priority = ? ORDER BY position LIMIT 1",
  last: "SELECT position FROM run WHERE state = 'queued' AND platform = ? AND priority = ? ORDER BY position DESC LIMIT 1",
  count: "SELECT count(*) AS count FROM run WHERE state = 'queued' AND platform = ?",
  most: "SELECT priority FROM run WHERE state = 'queued' AND platform = ? ORDER BY priority DESC LIMIT 1",
  before: `SELECT count(*) AS count FROM run WHERE state = 'queued' AND platform = $platform
    AND (priority > $priority OR (priority = $priority AND position < $position))`,
  next: "SELECT * FROM run WHERE state = 'queued' AND platform = ? AND not_before <= ? ORDER BY priority DESC, position LIMIT 1",
} as const;

/** The facts, read as they are asked for. */
export function factsOf(db: Database): Facts {
  return {
    job: (name) => {
      const row = db.query<JobRow, [string]>("SELECT * FROM job_definition WHERE name = ?").get(name);
      return row === null ? undefined : jobOf(row);
    },
    jobs: () => db.query<JobRow, []>("SELECT * FROM job_definition ORDER BY name").all().map(jobOf),
    due: (now) => db.query<JobRow, [number]>(QUERIES.due).all(now).map(jobOf),
    platform: (name) => {
      const row = db
        .query<{ is_dropped: number }, [string]>("SELECT is_dropped FROM worker_platform WHERE name = ?")
        .get(name);
      return row === null ? undefined : { isDropped: row.is_dropped === 1 };
    },
    platforms: () => platformNames(db, false),
    queued: (job, platform) => {
      const row = db.query<RunRow, [string, string]>(QUERIES.queued).get(job, platform);
      return row === null ? undefined : runOf(row);
    },
    waiting: (of) =>
      "job" in of
        ? db.query<RunRow, [string]>(QUERIES.waitingJob).all(of.job).map(runOf)
        : db.query<RunRow, [string]>(QUERIES.waitingPlatform).all(of.platform).map(runOf),
  };
}

/** By name. */
export function platformNames(db: Database, isDropped: boolean): Platform[] {
  return db
    .query<{ name: Platform }, [number]>(
      "SELECT name FROM worker_platform WHERE is_dropped = ? ORDER BY name",
    )
    .all(isDropped ? 1 : 0)
    .map(({ name }) => name);
}

/** When the next job is due; undefined: none is. */
export function nextDue(db: Database): number | undefined {
  return db.query<{ next_at: number }, []>(QUERIES.nextDue).get()?.next_at;
}

/** What a change did to runs, for whoever waits for them. */
export interface Performed {
  readonly queued: readonly Run[];
  readonly changed: readonly RunId[];
}

/** Writes changes; within the transaction in which they were decided on. */
export function perform(db: Database, changes: readonly Change[], now: number): Performed {
  const queued: Run[] = [];
  const changed: RunId[] = [];
  let batch: RunId | null = null;
  for (const change of changes) {
    switch (change.do) {
      case "put-job":
        putJob(db, change.job);
        break;
      case "remove-job":
        db.query("DELETE FROM job_definition WHERE name = ?").run(change.name);
        break;
      case "put-platform":
        putPlatform(db, change.platform, change.isDropped, now);
        break;
      case "queue": {
        const run = queueRun(db, change, change.copy === "another" ? batch : null, now);
        if (change.copy === "first") {
          batch = run.id;
          db.query("UPDATE run SET batch = id WHERE id = ?").run(run.id);
        }
        queued.push({ ...run, batch: change.copy === "alone" ? null : batch });
        break;
      }
      case "move": {
        const { run, place, priority } = change;
        const position = placeFor(db, run.platform, priority, place);
        db.query("UPDATE run SET position = ?, priority = ?, not_before = ? WHERE id = ?").run(
          ...([position, priority, Math.min(run.notBefore, now), run.id] as const),
        );
        queued.push({ ...run, position, priority, notBefore: Math.min(run.notBefore, now) });
        break;
      }
      case "unqueue": {
        const { run, why } = change;
        putRun(db, { ...run, state: "aborted", outcome: why, finishedAt: now });
        changed.push(run.id);
      }
    }
  }
  return { queued, changed };
}

function putPlatform(db: Database, platform: Platform, isDropped: boolean, now: number): void {
  db.query(
    `INSERT INTO worker_platform (name, is_dropped, seen_at) VALUES (?, ?, ?)
     ON CONFLICT (name) DO UPDATE SET is_dropped = excluded.is_dropped`,
  ).run(platform, isDropped ? 1 : 0, now);
}

function putJob(db: Database, job: JobDefinition): void {
  db.query(
    `INSERT INTO job_definition (name, work, platforms, recurrence, next_at, timeout_ms, limits, network, copies,
       jitter_ms, catch_up, is_enabled, created_at, changed_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (name) DO UPDATE SET work = excluded.work, platforms = excluded.platforms,
       recurrence = excluded.recurrence, next_at = excluded.next_at, timeout_ms = excluded.timeout_ms,
       limits = excluded.limits, network = excluded.network, copies = excluded.copies,
       jitter_ms = excluded.jitter_ms, catch_up = excluded.catch_up, is_enabled = excluded.is_enabled,
       changed_at = excluded.changed_at`,
  ).run(
    ...([job.name, JSON.stringify(job.work), JSON.stringify(job.platforms)] as const),
    ...([JSON.stringify(job.recurrence), job.nextAt, job.timeoutMs, JSON.stringify(job.limits)] as const),
    ...([JSON.stringify(job.network), job.copies, job.jitterMs, job.catchUp] as const),
    ...([job.isEnabled ? 1 : 0, job.createdAt, job.changedAt] as const),
  );
}

function queueRun(
  db: Database,
  change: Extract<Change, { do: "queue" }>,
  batch: RunId | null,
  now: number,
): Run {
  const { job, platform, reason, place, priority } = change;
  // A script job's platform is known from when it is queued for it.
  db.query("INSERT OR IGNORE INTO worker_platform (name, is_dropped, seen_at) VALUES (?, 0, ?)").run(
    platform,
    now,
  );
  const { last } = db
    .query<{ last: number }, [string]>(
      `INSERT INTO run_number (job, last) VALUES (?, 1)
       ON CONFLICT (job) DO UPDATE SET last = last + 1 RETURNING last`,
    )
    .get(job)!;
  const position = placeFor(db, platform, priority, place);
  const row = db
    .query<RunRow, [string, number, string, string, number, number, number, number, number | null]>(
      `INSERT INTO run (job, number, platform, reason, state, priority, position, queued_at, not_before, attempts, batch)
       VALUES (?, ?, ?, ?, 'queued', ?, ?, ?, ?, 0, ?) RETURNING *`,
    )
    .get(job, last, platform, reason, priority, position, now, now, batch)!;
  return runOf(row);
}

function placeFor(db: Database, platform: Platform, priority: number, place: "front" | "back"): number {
  const sql = place === "front" ? QUERIES.first : QUERIES.last;
  const row = db.query<{ position: number }, [string, number]>(sql).get(platform, priority);
  if (row === null) return 0;
  return place === "front" ? row.position - 1 : row.position + 1;
}

/** Runs that wait, in the order in which they are handed out. */
export function queueOf(db: Database, platform: Platform, limit = -1): Run[] {
  return db
    .query<RunRow, [string, number]>(`${QUERIES.waitingPlatform} LIMIT ?`)
    .all(platform, limit)
    .map(runOf);
}

export function countWaiting(db: Database, platform: Platform): number {
  return db.query<{ count: number }, [string]>(QUERIES.count).get(platform)!.count;
}

/** The priority of what is handed out next; 0 where nothing waits. */
export function highestPriority(db: Database, platform: Platform): number {
  return db.query<{ priority: number }, [string]>(QUERIES.most).get(platform)?.priority ?? 0;
}

/** How many are handed out before a run that waits. */
export function runsBefore(db: Database, { platform, priority, position }: Run): number {
  return db
    .query<{ count: number }, { platform: string; priority: number; position: number }>(QUERIES.before)
    .get({ platform, priority, position })!.count;
}
