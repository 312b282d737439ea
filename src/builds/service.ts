/**
 * The build service: jobs, queues and runs, in the database first and acted on afterwards. Workers of both protocols
 * are handed work here and bring back what became of it; an attempt's UUID is what they must show, so what comes from
 * an attempt that was given up changes nothing.
 */
import type { Database } from "bun:sqlite";
import { DatabaseError } from "../db/database-error.ts";
import { write } from "../db/open.ts";
import { errorLine } from "../lib/errors.ts";
import { resultText } from "../protocols/builder/result-text.ts";
import type { BuildStore, ContentSession, ContentStore } from "../store/api.ts";
import type { ConsoleLine, JobDefinition, JobName, Outcome, Platform, Run, RunId } from "./api.ts";
import { done, refuse } from "./api.ts";
import { isProcess, localWorkerPid } from "./local-workers.ts";
import { linesBetween } from "./runs/console.ts";
import { WorkerDesk } from "./runs/desk.ts";
import { dropConsoles, endOfLines } from "./runs/keep.ts";
import { nameOf } from "./runs/name.ts";
import { type OnKept, RunLedger } from "./runs/ledger.ts";
import { step } from "./runs/life.ts";
import {
  type Attempt,
  type ListRuns,
  attemptByUuid,
  listRuns,
  openAttempt,
  openAttempts,
  pruneRuns,
  putRun,
  runById,
  runByName,
} from "./runs/records.ts";
import { type Change, type ScheduleEvent, decide } from "./schedule/decide.ts";
import { type Performed, factsOf, nextDue, perform, platformNames, queueOf } from "./schedule/records.ts";
import { countWaiting, highestPriority, runsBefore } from "./schedule/records.ts";
import type { ScriptSource } from "./templates.ts";

export interface BuildServiceOptions {
  readonly db: Database;
  readonly contents: ContentStore;
  readonly builds: BuildStore;
  /** What becomes of an orb job on a platform. */
  readonly templates: ScriptSource;
  readonly now?: () => number;
  /** Milliseconds by a clock that nobody sets. Default: the machine's, or `now` where that is given. */
  readonly clock?: () => number;
  readonly random?: () => number;
  /**
   * A worker of this machine that says nothing for so long is gone; one that comes over a network may be silent ten
   * times as long: hours of work aren't thrown away for a cable that was pulled. Default: 30 s.
   */
  readonly lostAfterMs?: number;
  /** What nobody waits for and goes wrong. */
  readonly report: (text: string) => void;
  /** What the workers of this machine build for. Default: there are none. */
  readonly ownPlatforms?: readonly Platform[];
  /** Why the workers of this machine can't work. Default: they can. */
  readonly trouble?: () => string | undefined;
  /** A run ended. */
  readonly onEnd?: (run: Run) => void;
  /** An attempt became a build with files. */
  readonly onKept?: OnKept;
  /** There is something to do, or to be done later. */
  readonly onWork?: () => void;
}

const LOST_AFTER_MS = 30_000;
const REMOTE_PATIENCE = 10;
/**
 * A worker ends a job at its time-out; the server does so this much later, when the worker didn't. Making a platform's
 * root file system comes before and may take as long.
 */
const TIMEOUT_SLACK_MS = 15 * 60_000;
const TICK_MAX_MS = 60_000;
const RUNS_KEPT_MS = 30 * 24 * 3_600_000;
/** A build has its console; who watched its run to the end reads on for a while. */
const CONSOLES_KEPT_MS = 3_600_000;

/** Opens the service: takes up what an earlier server left. */
export function openBuildService(options: BuildServiceOptions): BuildService {
  return new BuildService(options);
}

export class BuildService implements AsyncDisposable {
  readonly #options: BuildServiceOptions;
  readonly #db: Database;
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #lostAfterMs: number;
  readonly #ledger: RunLedger;
  /** Where workers of both protocols come. */
  readonly desk: WorkerDesk;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #prunedAt = 0;

  constructor(options: BuildServiceOptions) {
    this.#options = options;
    this.#db = options.db;
    this.#now = options.now ?? Date.now;
    this.#random = options.random ?? Math.random;
    this.#lostAfterMs = options.lostAfterMs ?? LOST_AFTER_MS;
    const { db, builds, report, onEnd, onKept, templates } = options;
    const clock = options.clock ?? options.now ?? (() => performance.now());
    this.#ledger = new RunLedger({
      ...{ db, builds, report, onEnd, onKept, clock },
      ...{ now: this.#now, random: this.#random },
    });
    const dispatch = (event: ScheduleEvent) => this.dispatch(event);
    this.desk = new WorkerDesk({ ledger: this.#ledger, templates, dispatch });
    for (const attempt of openAttempts(this.#db)) {
      // The connection was all that there was of a worker of the original protocol.
      if (attempt.link === "builder")
        this.#ledger.step(attempt, { kind: "lost", why: "the server was restarted" });
      else this.#ledger.beat(attempt.uuid, Math.max(0, this.#now() - attempt.startedAt));
    }
    this.tick();
  }

  /* ---- jobs and queues ---- */

  /** Decides on an event and writes what follows from it; answers what was queued or moved. */
  dispatch(event: ScheduleEvent): Outcome<readonly Run[]> {
    const now = this.#now();
    const outcome = write(this.#db, (): Outcome<Performed> => {
      const decision = decide(event, factsOf(this.#db), { now, random: this.#random });
      return decision.ok ? done(this.#perform(decision.value, now)) : decision;
    });
    if (!outcome.ok) return outcome;
    for (const { platform } of outcome.value.queued) this.#ledger.work.wake(platform);
    for (const id of outcome.value.changed) this.#ledger.runs.wake(id);
    if (event.kind === "undrop") this.#ledger.work.wake(event.platform);
    if (event.kind !== "tick") this.#arm();
    if (event.kind === "define" || outcome.value.queued.length > 0) this.#options.onWork?.();
    return done(outcome.value.queued);
  }

  #perform(changes: readonly Change[], now: number): Performed {
    return changes.length === 0 ? { queued: [], changed: [] } : perform(this.#db, changes, now);
  }

  job(name: JobName): JobDefinition | undefined {
    return factsOf(this.#db).job(name);
  }

  jobs(): readonly JobDefinition[] {
    return factsOf(this.#db).jobs();
  }

  /** Ascending; each is a queue, also an empty one. */
  platforms(): readonly Platform[] {
    return platformNames(this.#db, false);
  }

  droppedPlatforms(): readonly Platform[] {
    return platformNames(this.#db, true);
  }

  /** What waits, in the order in which it is handed out; all, or so many. */
  queue(platform: Platform, limit?: number): readonly Run[] {
    return queueOf(this.#db, platform, limit);
  }

  /** What a script is for that names no platform: the one that this machine's workers build for, if it is one. */
  ownPlatform(): Platform | undefined {
    const { ownPlatforms = [] } = this.#options;
    return ownPlatforms.length === 1 ? ownPlatforms[0] : undefined;
  }

  /** Why nobody of this machine builds; undefined where nothing is known of that. */
  trouble(): string | undefined {
    return this.#options.trouble?.();
  }

  /** How many wait. */
  waiting(platform: Platform): number {
    return countWaiting(this.#db, platform);
  }

  /** How many are handed out before a run that waits; undefined for one that doesn't. */
  before(run: Run): number | undefined {
    return run.state === "queued" ? runsBefore(this.#db, run) : undefined;
  }

  /** Moves a run that waits. */
  move(run: Run, place: "front" | "back"): Outcome<Run> {
    if (run.state !== "queued") return refuse("ended", `${nameOf(run)} doesn't wait: it is ${run.state}`);
    const now = this.#now();
    const priority = place === "front" ? Math.max(run.priority, highestPriority(this.#db, run.platform)) : 0;
    write(this.#db, () => perform(this.#db, [{ do: "move", run, place, priority }], now));
    this.#ledger.work.wake(run.platform);
    return done(runById(this.#db, run.id)!);
  }

  /* ---- runs ---- */

  run(id: RunId): Run | undefined {
    return runById(this.#db, id);
  }

  /** By `JOB:NUMBER`, job, or UUID. */
  findRun(text: string): Run | undefined {
    return runByName(this.#db, text);
  }

  runs(options: ListRuns): readonly Run[] {
    return listRuns(this.#db, options);
  }

  /** The attempt, if it goes on. */
  runningAttempt(uuid: string): Attempt | undefined {
    return openAttempt(this.#db, uuid);
  }

  /** All attempts that go on. */
  runningAttempts(): readonly Attempt[] {
    return openAttempts(this.#db);
  }

  /** An attempt's lines as they come, some together, from the first, until it has ended and all were given. */
  async *followAttempt(attempt: Attempt, signal: AbortSignal): AsyncGenerator<readonly ConsoleLine[], void> {
    const either = AbortSignal.any([signal, this.#ledger.closing.signal]);
    for (let next = attempt.firstLine; !either.aborted;) {
      const isOpen = openAttempt(this.#db, attempt.uuid) !== undefined;
      const first = next;
      for (const lines of linesBetween(this.#db, attempt.run, next, endOfLines(this.#db, attempt))) {
        yield lines;
        next += lines.length;
      }
      if (next > first) continue;
      if (!isOpen) return;
      await this.#ledger.runs.wait([attempt.run], either, 1000);
    }
  }

  /** How and when an attempt ended, in the original's words. */
  attemptEnd({ uuid, run: id }: Attempt): { readonly text: string; readonly endedAt: number } {
    const attempt = attemptByUuid(this.#db, uuid);
    const run = runById(this.#db, id);
    const endedAt = attempt?.endedAt ?? this.#now();
    if (attempt?.lost !== null && attempt !== undefined) {
      return { text: resultText({ kind: "message", text: attempt.lost }), endedAt };
    }
    return { text: run?.outcome ?? "gone", endedAt };
  }

  /** For the files of a build that come in. */
  session(): ContentSession {
    return this.#options.contents.session();
  }

  /** One that waits never begins; one that runs is told to end. */
  abort(run: Run, who: string): Outcome<Run> {
    const current = runById(this.#db, run.id);
    if (current === undefined) return refuse("not-found", `there is no run ${nameOf(run)}`);
    if (current.state === "finished" || current.state === "aborted") {
      return refuse("ended", `${nameOf(run)} has ended: ${current.outcome ?? current.state}`);
    }
    const now = this.#now();
    const stepped = step(current, { kind: "abort", who }, { now, random: this.#random() });
    if (stepped !== undefined) {
      write(this.#db, () => putRun(this.#db, stepped.run));
      this.#ledger.told(stepped.run);
    }
    return done(runById(this.#db, run.id)!);
  }

  /** Resolves with the run when its state is one of these, or it is gone, or `signal` is aborted. */
  async untilState(
    id: RunId,
    states: readonly Run["state"][],
    signal: AbortSignal,
  ): Promise<Run | undefined> {
    const either = AbortSignal.any([signal, this.#ledger.closing.signal]);
    for (;;) {
      const run = runById(this.#db, id);
      if (run === undefined || states.includes(run.state) || either.aborted) return run;
      await this.#ledger.runs.wait([id], either);
    }
  }

  /** The lines that are there, from `from` on, some together. None: none yet, or they are in the build by now. */
  lines(id: RunId, from: number): Generator<readonly ConsoleLine[], void> {
    return linesBetween(this.#db, id, from);
  }

  /** Where the lines of a run's newest attempt begin, which are its build's. */
  firstLine({ uuid }: Run): number {
    return (uuid === null ? undefined : attemptByUuid(this.#db, uuid))?.firstLine ?? 0;
  }

  /** Lines as they come, some together, from `from` on, until the run has ended and all were given. */
  async *follow(id: RunId, from: number, signal: AbortSignal): AsyncGenerator<readonly ConsoleLine[], void> {
    const either = AbortSignal.any([signal, this.#ledger.closing.signal]);
    for (let next = from; !either.aborted;) {
      // In this order: what comes between the two is found by the next turn.
      const run = runById(this.#db, id);
      const first = next;
      for (const lines of linesBetween(this.#db, id, next)) {
        yield lines;
        next += lines.length;
      }
      if (next > first) continue;
      if (run === undefined || run.state === "finished" || run.state === "aborted") return;
      await this.#ledger.runs.wait([id], either, 1000);
    }
  }

  /* ---- time ---- */

  /** Does what is due: jobs whose time has come, workers that are silent, runs that take too long. */
  tick(): void {
    try {
      this.#tickNow();
    } catch (error) {
      // What can't be written now is due again in a moment.
      if (!(error instanceof DatabaseError)) throw error;
      this.#options.report(`the schedule waits: ${errorLine(error)}`);
    }
    this.#arm();
  }

  #tickNow(): void {
    const now = this.#now();
    const due = nextDue(this.#db);
    if (due !== undefined && due < now) this.dispatch({ kind: "tick" });
    for (const attempt of openAttempts(this.#db)) {
      if (this.#ledger.keeping.has(attempt.uuid)) continue;
      const clock = this.#ledger.clock();
      const { beganAt, heardAt } = this.#ledger.pulses.get(attempt.uuid) ?? this.#ledger.beat(attempt.uuid);
      if (attempt.link === "http" && this.#isGone(attempt, clock - heardAt)) {
        this.#ledger.step(attempt, { kind: "lost", why: "its worker is gone" });
      } else if (clock - beganAt > attempt.assignment.timeoutMs + this.#slack(attempt)) {
        this.#ledger.step(attempt, { kind: "hung" });
      }
    }
    this.#ledger.keepLost();
    this.desk.forgetSilent(now - 2 * this.#lostAfterMs);
    if (now - this.#prunedAt > 3_600_000) {
      this.#prunedAt = now;
      write(this.#db, () => pruneRuns(this.#db, now - RUNS_KEPT_MS));
      dropConsoles(this.#db, now - CONSOLES_KEPT_MS);
    }
  }

  /** `silence`: how long nothing was heard of its worker. */
  #isGone({ uuid, worker, run }: Attempt, silence: number): boolean {
    const own = localWorkerPid(worker);
    if (own !== undefined && !isProcess(own)) return true;
    if (silence <= this.#lostAfterMs) return false;
    // Nobody waits for one that is to end anyway.
    const isWanted = runById(this.#db, run)?.abortedBy === null;
    const isHere = own !== undefined || this.desk.isHere(uuid);
    return isHere || !isWanted || silence > REMOTE_PATIENCE * this.#lostAfterMs;
  }

  /** The original's workers end a job after an hour by themselves, and the original's server at the same moment. */
  #slack({ link }: Attempt): number {
    return link === "builder" ? 0 : TIMEOUT_SLACK_MS;
  }

  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#ledger.closing.signal.aborted) return;
    const now = this.#now();
    const due = (nextDue(this.#db) ?? Infinity) + 1 - now;
    const running = this.#ledger.pulses.size > 0 ? Math.min(this.#lostAfterMs / 4, 5000) : Infinity;
    const wait = Math.max(5, Math.min(TICK_MAX_MS, due, running));
    this.#timer = setTimeout(() => this.tick(), wait);
  }

  /** Ends the waiting; builds that are being kept are waited for. Runs go on with their workers. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    await this.#ledger.close();
  }
}
