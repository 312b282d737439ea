/** Runs and their attempts, as the database has them. */
import type { Database } from "bun:sqlite";
import type { Assignment, BuildId, JobName, Platform, Run, RunId, RunState } from "../api.ts";

export interface RunRow {
  readonly id: RunId;
  readonly job: JobName;
  readonly number: number;
  readonly platform: Platform;
  readonly reason: string;
  readonly state: RunState;
  readonly priority: number;
  readonly position: number;
  readonly queued_at: number;
  readonly not_before: number;
  readonly attempts: number;
  readonly uuid: BuildId | null;
  readonly worker: string | null;
  readonly started_at: number | null;
  readonly finished_at: number | null;
  readonly aborted_by: string | null;
  readonly outcome: string | null;
  readonly lines: number;
  readonly batch: RunId | null;
}

export function runOf(row: RunRow): Run {
  return {
    ...{ id: row.id, job: row.job, number: row.number, platform: row.platform, reason: row.reason },
    ...{ state: row.state, priority: row.priority, position: row.position, attempts: row.attempts },
    ...{ queuedAt: row.queued_at, notBefore: row.not_before, uuid: row.uuid, worker: row.worker },
    ...{ startedAt: row.started_at, finishedAt: row.finished_at, abortedBy: row.aborted_by },
    ...{ outcome: row.outcome, lines: row.lines, batch: row.batch },
  };
}

/** Writes what steps of its life change. */
export function putRun(db: Database, run: Run): void {
  db.query(
    `UPDATE run SET state = ?, not_before = ?, attempts = ?, uuid = ?, worker = ?, started_at = ?, finished_at = ?,
       aborted_by = ?, outcome = ? WHERE id = ?`,
  ).run(
    ...([
      run.state,
      run.notBefore,
      run.attempts,
      run.uuid,
      run.worker,
      run.startedAt,
      run.finishedAt,
    ] as const),
    ...([run.abortedBy, run.outcome, run.id] as const),
  );
}

export function runById(db: Database, id: number): Run | undefined {
  const row = db.query<RunRow, [number]>("SELECT * FROM run WHERE id = ?").get(id);
  return row === null ? undefined : runOf(row);
}

/** A run by `JOB:NUMBER`, by its job's name alone (its newest), or by its newest attempt's UUID or the begin of it. */
export function runByName(db: Database, text: string): Run | undefined {
  const [, job, number] = /^(.+):(\d{1,9})$/.exec(text) ?? [];
  const named = db
    .query<RunRow, [string, number]>("SELECT * FROM run WHERE job = ? AND number = ?")
    .get(job ?? "", Number(number ?? 0));
  if (named !== null) return runOf(named);
  const newest = db
    .query<RunRow, [string]>("SELECT * FROM run WHERE job = ? ORDER BY number DESC LIMIT 1")
    .get(text);
  if (newest !== null) return runOf(newest);
  if (!/^[0-9a-fA-F-]{4,36}$/.test(text)) return undefined;
  const from = text.toLowerCase();
  const found = db
    .query<RunRow, [string, string]>("SELECT * FROM run WHERE uuid >= ? AND uuid < ? LIMIT 2")
    .all(from, `${from}g`);
  return found.length === 1 ? runOf(found[0]!) : undefined;
}

export interface ListRuns {
  readonly job?: JobName | undefined;
  readonly states?: readonly RunState[] | undefined;
  readonly limit: number;
}

/** Running ones first, then what waits in its order, then what ended, newest first. */
export function listRuns(db: Database, { job, states, limit }: ListRuns): Run[] {
  const wanted = new Set(states ?? ["running", "queued", "finished", "aborted"]);
  const all: Run[] = [];
  const take = (sql: string) => {
    if (all.length >= limit) return;
    const filter = job === undefined ? "" : "AND job = $job";
    const rows = db
      .query<RunRow, { limit: number; job?: string }>(sql.replace("AND $filter", filter))
      .all(job === undefined ? { limit: limit - all.length } : { limit: limit - all.length, job });
    all.push(...rows.map(runOf));
  };
  if (wanted.has("running"))
    take("SELECT * FROM run WHERE state = 'running' AND $filter ORDER BY id LIMIT $limit");
  if (wanted.has("queued")) {
    take(
      "SELECT * FROM run WHERE state = 'queued' AND $filter ORDER BY platform, priority DESC, position LIMIT $limit",
    );
  }
  const ended = ["finished", "aborted"].filter((state) => wanted.has(state as RunState));
  if (ended.length > 0) {
    const only = ended.length === 1 ? `AND state = '${ended[0]}'` : "";
    take(
      `SELECT * FROM run WHERE finished_at IS NOT NULL ${only} AND $filter ORDER BY finished_at DESC, id DESC LIMIT $limit`,
    );
  }
  return all;
}

/* ---- attempts ---- */

export interface Attempt {
  readonly uuid: BuildId;
  readonly run: RunId;
  readonly number: number;
  readonly worker: string;
  readonly link: "http" | "builder";
  readonly assignment: Assignment;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly lost: string | null;
  readonly isKept: boolean;
  readonly firstLine: number;
  readonly taken: number;
}

interface AttemptRow {
  readonly uuid: BuildId;
  readonly run: RunId;
  readonly number: number;
  readonly worker: string;
  readonly link: "http" | "builder";
  readonly assignment: string;
  readonly started_at: number;
  readonly ended_at: number | null;
  readonly lost: string | null;
  readonly is_kept: number;
  readonly first_line: number;
  readonly taken: number;
}

function attemptOf(row: AttemptRow): Attempt {
  return {
    ...{ uuid: row.uuid, run: row.run, number: row.number, worker: row.worker, link: row.link },
    assignment: JSON.parse(row.assignment) as Assignment,
    ...{ startedAt: row.started_at, endedAt: row.ended_at, lost: row.lost, isKept: row.is_kept === 1 },
    ...{ firstLine: row.first_line, taken: row.taken },
  };
}

export function addAttempt(db: Database, attempt: Attempt, ticket: string | undefined): void {
  const { uuid, run, number, worker, link, assignment, startedAt, firstLine } = attempt;
  db.query(
    `INSERT INTO run_attempt (uuid, run, number, worker, link, ticket, assignment, started_at, first_line)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    ...([uuid, run, number, worker, link, ticket ?? null] as const),
    ...([JSON.stringify(assignment), startedAt, firstLine] as const),
  );
}

export function attemptByUuid(db: Database, uuid: string): Attempt | undefined {
  const row = db.query<AttemptRow, [string]>("SELECT * FROM run_attempt WHERE uuid = ?").get(uuid);
  return row === null ? undefined : attemptOf(row);
}

/** The attempt, if it goes on. */
export function openAttempt(db: Database, uuid: string): Attempt | undefined {
  const attempt = attemptByUuid(db, uuid);
  return attempt?.endedAt === null ? attempt : undefined;
}

/** The attempt that a worker's request was answered with, if it still goes on. */
export function attemptByTicket(db: Database, ticket: string): Attempt | undefined {
  const row = db
    .query<AttemptRow, [string]>("SELECT * FROM run_attempt WHERE ticket = ? AND ended_at IS NULL")
    .get(ticket);
  return row === null ? undefined : attemptOf(row);
}

/** All that go on. */
export function openAttempts(db: Database): Attempt[] {
  return db
    .query<AttemptRow, []>(
      "SELECT run_attempt.* FROM run JOIN run_attempt ON run_attempt.uuid = run.uuid WHERE run.state = 'running'",
    )
    .all()
    .map(attemptOf);
}

/** Attempts that nobody ended and that are to be kept as builds. */
export function unkeptAttempts(db: Database): Attempt[] {
  return db
    .query<AttemptRow, []>(
      "SELECT * FROM run_attempt WHERE ended_at IS NOT NULL AND is_kept = 0 ORDER BY ended_at",
    )
    .all()
    .map(attemptOf);
}

export function endAttempt(
  db: Database,
  uuid: BuildId,
  at: number,
  lost: string | null,
  isKept: boolean,
): void {
  db.query("UPDATE run_attempt SET ended_at = ?, lost = ?, is_kept = ? WHERE uuid = ?").run(
    ...([at, lost, isKept ? 1 : 0, uuid] as const),
  );
}

export function markKept(db: Database, uuid: BuildId): void {
  db.query("UPDATE run_attempt SET is_kept = 1 WHERE uuid = ?").run(uuid);
}

/** Forgets runs that ended before `before`, with their consoles; builds stay. Answers how many. */
export function pruneRuns(db: Database, before: number): number {
  return db
    .query(
      `DELETE FROM run WHERE finished_at < ? AND NOT EXISTS
         (SELECT 1 FROM run_attempt WHERE run_attempt.run = run.id AND is_kept = 0)`,
    )
    .run(before).changes;
}
