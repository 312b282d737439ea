/**
 * The workers' side: hands work out and takes back what became of it, for both protocols. An attempt's UUID is what
 * a worker must show, so what comes from an attempt that was given up changes nothing.
 */
import { write } from "../../db/open.ts";
import { resultText } from "../../protocols/builder/result-text.ts";
import type {
  Assignment,
  BuildId,
  BuildResult,
  Outcome,
  Platform,
  Run,
  WorkerIdentity,
  WorkerView,
} from "../api.ts";
import { done } from "../api.ts";
import type { ScheduleEvent } from "../schedule/decide.ts";
import type { SandboxOrigin } from "../sandbox/api.ts";
import { QUERIES, factsOf } from "../schedule/records.ts";
import { type ScriptSource, scriptFor } from "../templates.ts";
import { type SentLine, appendLines } from "./console.ts";
import type { CollectedFile } from "./keep.ts";
import type { RunLedger } from "./ledger.ts";
import { type RunEvent, step } from "./life.ts";
import {
  type RunRow,
  addAttempt,
  attemptByTicket,
  attemptByUuid,
  openAttempt,
  openAttempts,
  putRun,
  runById,
  runOf,
} from "./records.ts";
import { WorkerList } from "./worker-list.ts";

export interface DeskOptions {
  readonly ledger: RunLedger;
  /** What becomes of an orb job on a platform. */
  readonly templates: ScriptSource;
  readonly dispatch: (event: ScheduleEvent) => unknown;
}

/** A queue is looked at this often also when nobody says that something came. */
const LOOK_MS = 60_000;

export class WorkerDesk {
  readonly #options: DeskOptions;
  readonly #ledger: RunLedger;
  readonly #workers = new WorkerList();

  constructor(options: DeskOptions) {
    this.#options = options;
    this.#ledger = options.ledger;
  }

  /** Work for a worker, as soon as there is some; undefined after `waitMs`, or when `signal` is aborted. */
  async take(
    identity: WorkerIdentity,
    options: { readonly ticket?: string; readonly waitMs?: number; readonly signal: AbortSignal },
  ): Promise<Assignment | undefined> {
    const signal = AbortSignal.any([options.signal, this.#ledger.closing.signal]);
    const again = options.ticket === undefined ? undefined : attemptByTicket(this.#ledger.db, options.ticket);
    if (again !== undefined) return again.assignment;
    const seen = this.#workers.meet(identity, this.#ledger.now());
    for (const platform of identity.platforms) this.#options.dispatch({ kind: "platform-asked", platform });
    const end = this.#ledger.clock() + (options.waitMs ?? Number.MAX_SAFE_INTEGER);
    seen.waiting += 1;
    try {
      while (!signal.aborted) {
        const assignment = this.#claim(identity, options.ticket);
        if (assignment !== undefined) {
          this.#workers.give(seen, assignment.uuid, assignment.run);
          return assignment;
        }
        const left = end - this.#ledger.clock();
        if (left <= 0) return undefined;
        await this.#ledger.work.wait(
          identity.platforms,
          signal,
          Math.min(left, this.#nextNotBefore(identity)),
        );
        seen.seenAt = this.#ledger.now();
      }
      return undefined;
    } finally {
      seen.waiting -= 1;
    }
  }

  #nextNotBefore({ platforms }: WorkerIdentity): number {
    const now = this.#ledger.now();
    const waits = platforms.flatMap((platform) => {
      const row = this.#ledger.db
        .query<{ at: number | null }, [string]>(
          "SELECT min(not_before) AS at FROM run WHERE state = 'queued' AND platform = ?",
        )
        .get(platform);
      return row?.at === null || row?.at === undefined ? [] : [Math.max(10, row.at - now)];
    });
    return Math.min(LOOK_MS, ...waits);
  }

  #claim(identity: WorkerIdentity, ticket: string | undefined): Assignment | undefined {
    const now = this.#ledger.now();
    for (const run of this.#candidates(identity.platforms, now)) {
      const job = factsOf(this.#ledger.db).job(run.job);
      const script =
        job === undefined ? undefined : scriptFor(job.work, run.platform, this.#options.templates);
      if (job === undefined || script === undefined || !script.ok) {
        // Nothing is lost by a template that can't be read: the run says so, and waits for it to be mended.
        this.#postpone(
          run,
          script?.ok === false ? script.refusal.message : "the job is gone",
          job === undefined,
        );
        continue;
      }
      const uuid = crypto.randomUUID() as BuildId;
      const assignment: Assignment = {
        ...{ run: run.id, uuid, job: run.job, platform: run.platform, script: script.value },
        ...{ timeoutMs: job.timeoutMs, limits: job.limits, network: job.network },
      };
      const event: RunEvent = { kind: "handed-out", uuid, worker: identity.name };
      const begun = step(run, event, { now, random: this.#ledger.random() });
      if (begun === undefined) continue;
      write(this.#ledger.db, () => {
        putRun(this.#ledger.db, begun.run);
        addAttempt(
          this.#ledger.db,
          {
            ...{ uuid, run: run.id, number: begun.run.attempts, worker: identity.name, link: identity.link },
            ...{ assignment, startedAt: now, endedAt: null, lost: null, isKept: false },
            ...{ firstLine: run.lines, taken: 0 },
          },
          ticket,
        );
      });
      this.#ledger.beat(uuid);
      this.#ledger.runs.wake(run.id);
      return assignment;
    }
    return undefined;
  }

  /** The next run of each platform, the most urgent first. */
  #candidates(platforms: readonly Platform[], now: number): Run[] {
    return platforms
      .flatMap((platform) => {
        const row = this.#ledger.db.query<RunRow, [string, number]>(QUERIES.next).get(platform, now);
        return row === null ? [] : [runOf(row)];
      })
      .sort((a, b) => b.priority - a.priority || a.queuedAt - b.queuedAt);
  }

  #postpone(run: Run, why: string, isOver: boolean): void {
    const now = this.#ledger.now();
    // Once, not each time that it is looked at.
    if (run.outcome !== why) this.#ledger.report(`${run.job}:${run.number}: ${why}`);
    const changed: Run = isOver
      ? { ...run, state: "aborted", outcome: why, finishedAt: now }
      : { ...run, notBefore: now + LOOK_MS, outcome: why };
    write(this.#ledger.db, () => putRun(this.#ledger.db, changed));
    this.#ledger.runs.wake(run.id);
  }

  /** A worker lives. Answers whether its attempt still goes on, and whether it is to end it. */
  heard(uuid: BuildId): Outcome<{ readonly abort: string | null }> {
    const attempt = openAttempt(this.#ledger.db, uuid);
    const run = attempt === undefined ? undefined : runById(this.#ledger.db, attempt.run);
    if (attempt === undefined || run === undefined || run.uuid !== uuid) return stale();
    this.#ledger.beat(uuid);
    const { worker: name, link } = attempt;
    const identity = { name, platforms: [run.platform], link, address: "" };
    this.#workers.hear(uuid, run, identity, this.#ledger.now());
    return done({ abort: run.abortedBy });
  }

  /**
   * Console lines; `from`: how many of this attempt's came before. What is here already is not taken twice. Answers
   * how many are here then, all of them durable: a worker that answers a smaller number than it sent sends again.
   */
  append(
    uuid: BuildId,
    from: number,
    lines: readonly SentLine[],
  ): Outcome<{ readonly taken: number; readonly abort: string | null }> {
    const heard = this.heard(uuid);
    if (!heard.ok) return heard;
    const attempt = attemptByUuid(this.#ledger.db, uuid)!;
    const known = attempt.taken - from;
    const answer = (taken: number) => done({ taken, abort: heard.value.abort });
    if (known < 0 || known >= lines.length) return answer(attempt.taken);
    const taken = from + lines.length;
    write(this.#ledger.db, () => {
      appendLines(this.#ledger.db, attempt.run, known === 0 ? lines : lines.slice(known));
      this.#ledger.db.query("UPDATE run_attempt SET taken = ? WHERE uuid = ?").run(taken, uuid);
    });
    this.#ledger.runs.wake(attempt.run);
    return answer(taken);
  }

  /** Before a build is sent: the build, if its end is known already; nothing, when it may be sent. */
  ended(uuid: BuildId): Outcome<{ readonly build: BuildId } | undefined> {
    const attempt = attemptByUuid(this.#ledger.db, uuid);
    if (attempt === undefined) return stale();
    if (attempt.isKept && attempt.lost === null) return done({ build: uuid });
    const heard = this.heard(uuid);
    return heard.ok ? done(undefined) : heard;
  }

  /**
   * The end of an attempt, with the files that it made, which `session` holds. Saying it twice is saying it once.
   * Throws StoreError; the attempt goes on then.
   */
  async finish(
    uuid: BuildId,
    result: BuildResult,
    files: readonly CollectedFile[],
    sandbox?: SandboxOrigin,
  ): Promise<Outcome<{ readonly build: BuildId }>> {
    const attempt = attemptByUuid(this.#ledger.db, uuid);
    if (attempt === undefined) return stale();
    if (attempt.isKept && attempt.lost === null) return done({ build: uuid });
    const run = runById(this.#ledger.db, attempt.run);
    if (attempt.endedAt !== null || run?.uuid !== uuid || this.#ledger.keeping.has(uuid)) return stale();
    this.#ledger.keeping.add(uuid);
    try {
      const said: BuildResult =
        run.abortedBy === null ? result : { kind: "message", text: `aborted by ${run.abortedBy}` };
      const kept = await this.#ledger.keep(attempt, said, files, sandbox);
      if (!kept.ok) return kept;
      this.#ledger.step(attempt, { kind: "ended", outcome: resultText(said) });
      return done({ build: uuid });
    } finally {
      this.#ledger.keeping.delete(uuid);
      if (this.#ledger.pulses.has(uuid)) this.#ledger.beat(uuid);
    }
  }

  /** A worker's connection broke, and it was all there was of the worker. */
  lose(uuid: BuildId, why: string): void {
    const attempt = openAttempt(this.#ledger.db, uuid);
    if (attempt !== undefined && !this.#ledger.keeping.has(uuid))
      this.#ledger.step(attempt, { kind: "lost", why });
  }

  /** Everything that a worker was doing is lost: its process has ended. */
  loseWorker(name: string, why: string): void {
    for (const attempt of openAttempts(this.#ledger.db))
      if (attempt.worker === name) this.lose(attempt.uuid, why);
    this.#workers.forget(name);
  }

  /** Of a connection that ended while it waited. */
  leave(identity: WorkerIdentity): void {
    this.#workers.leave(identity);
  }

  /** By name. */
  workers(): readonly WorkerView[] {
    return this.#workers.views((id) => runById(this.#ledger.db, id));
  }

  /** Each of these has a worker. */
  mannedPlatforms(): ReadonlySet<Platform> {
    return this.#workers.platforms();
  }

  /** Whether the worker of an attempt is known to be on this machine. */
  isHere(uuid: BuildId): boolean {
    return this.#workers.isHere(uuid);
  }

  /** Forgets those that were not heard of since. */
  forgetSilent(since: number): void {
    this.#workers.forgetSilent(since, (uuid) => this.#ledger.pulses.has(uuid));
  }
}

function stale(): { ok: false; refusal: { code: "stale"; message: string } } {
  return {
    ok: false,
    refusal: { code: "stale", message: "this attempt was given up: nothing of it is taken" },
  };
}
