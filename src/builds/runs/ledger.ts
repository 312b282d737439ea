/**
 * Steps of runs: written with what becomes of their attempts, then told to whoever waits; and attempts that become
 * builds. Both the schedule and the workers' side go through it.
 */
import type { Database } from "bun:sqlite";
import { write } from "../../db/open.ts";
import { errorLine } from "../../lib/errors.ts";
import type { BuildStore } from "../../store/api.ts";
import type { BuildId, BuildResult, Outcome, Platform, Run, RunId } from "../api.ts";
import type { SandboxOrigin } from "../sandbox/api.ts";
import { perform } from "../schedule/records.ts";
import { type CollectedFile, keepAttempt } from "./keep.ts";
import { type RunEvent, step } from "./life.ts";
import { type Attempt, endAttempt, markKept, putRun, runById, unkeptAttempts } from "./records.ts";
import { Waiters } from "./waiters.ts";

export interface LedgerOptions {
  readonly db: Database;
  readonly builds: BuildStore;
  readonly now: () => number;
  /** Milliseconds by a clock that nobody sets. */
  readonly clock: () => number;
  readonly random: () => number;
  readonly report: (text: string) => void;
  /** A run ended. */
  readonly onEnd?: ((run: Run) => void) | undefined;
  /** An attempt became a build with files. */
  readonly onKept?: OnKept | undefined;
}

/** `sandbox`: what the worker says that it ran in. */
export type OnKept = (attempt: Attempt, sandbox: SandboxOrigin | undefined) => Promise<void>;

export interface Pulse {
  readonly beganAt: number;
  readonly heardAt: number;
}

export class RunLedger {
  readonly db: Database;
  readonly now: () => number;
  readonly clock: () => number;
  readonly random: () => number;
  readonly report: (text: string) => void;
  /** Who waits for work of a platform. */
  readonly work = new Waiters<Platform>();
  /** Who waits for a run to go on. */
  readonly runs = new Waiters<RunId>();
  /** Attempts that go on: since when, and when their worker was last heard of, by the clock that nobody sets. */
  readonly pulses = new Map<BuildId, Pulse>();
  /** Attempts that are becoming builds. */
  readonly keeping = new Set<BuildId>();
  readonly closing = new AbortController();
  readonly #options: LedgerOptions;
  readonly #inFlight = new Set<Promise<unknown>>();

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.db = options.db;
    this.now = options.now;
    this.clock = options.clock;
    this.random = options.random;
    this.report = options.report;
  }

  /** The worker of an attempt was heard of. `age`: how long the attempt goes on already, when that is new. */
  beat(uuid: BuildId, age = 0): Pulse {
    const now = this.clock();
    const pulse = { beganAt: this.pulses.get(uuid)?.beganAt ?? now - age, heardAt: now };
    this.pulses.set(uuid, pulse);
    return pulse;
  }

  /** One step of the run whose attempt this is; nothing, when another attempt has taken its place. */
  step(attempt: Attempt, event: RunEvent): void {
    const now = this.now();
    const run = runById(this.db, attempt.run);
    if (run === undefined || run.uuid !== attempt.uuid) return;
    const stepped = step(run, event, { now, random: this.random() });
    if (stepped === undefined) return;
    const { attempt: end } = stepped;
    write(this.db, () => {
      putRun(this.db, stepped.run);
      // It goes behind those that wait, as one that is queued anew.
      if (stepped.run.state === "queued") {
        perform(
          this.db,
          [{ do: "move", run: stepped.run, place: "back", priority: 0 }],
          stepped.run.notBefore,
        );
      }
      if (end.kind === "ended") endAttempt(this.db, attempt.uuid, now, null, true);
      if (end.kind === "lost") endAttempt(this.db, attempt.uuid, now, end.why, false);
    });
    this.pulses.delete(attempt.uuid);
    this.told(stepped.run);
    this.work.wake(run.platform);
    if (end.kind === "lost") this.keepLost();
  }

  /** Something was written about a run. */
  told(run: Run): void {
    this.runs.wake(run.id);
    if (run.finishedAt !== null) this.#options.onEnd?.(run);
  }

  /** Makes an attempt a build. Throws StoreError. */
  keep(
    attempt: Attempt,
    result: BuildResult,
    files: readonly CollectedFile[],
    sandbox?: SandboxOrigin,
  ): Promise<Outcome<BuildId>> {
    return this.#track(this.#keep(attempt, result, files, sandbox));
  }

  async #keep(
    attempt: Attempt,
    result: BuildResult,
    files: readonly CollectedFile[],
    sandbox: SandboxOrigin | undefined,
  ): Promise<Outcome<BuildId>> {
    const { db, builds, onKept } = this.#options;
    const finishedAt = attempt.endedAt ?? this.now();
    const kept = await keepAttempt({ db, builds }, attempt, { result, files, finishedAt, sandbox });
    // Before the worker is told that all is well: it says so again after a crash, and the statement is made then.
    if (kept.ok && files.length > 0) await onKept?.(attempt, sandbox);
    return kept;
  }

  /** What nobody ended is kept with what there is of its console. */
  keepLost(): void {
    for (const attempt of unkeptAttempts(this.db)) {
      if (this.keeping.has(attempt.uuid)) continue;
      this.keeping.add(attempt.uuid);
      void this.#track(this.#keepLost(attempt));
    }
  }

  async #keepLost(attempt: Attempt): Promise<void> {
    try {
      const kept = await this.keep(attempt, { kind: "message", text: attempt.lost ?? "lost" }, []);
      if (kept.ok) write(this.db, () => markKept(this.db, attempt.uuid));
      else this.report(`build ${attempt.uuid} can't be kept: ${kept.refusal.message}`);
    } catch (error) {
      // The next tick tries again.
      this.report(`build ${attempt.uuid} can't be kept yet: ${errorLine(error)}`);
    } finally {
      this.keeping.delete(attempt.uuid);
    }
  }

  #track<T>(work: Promise<T>): Promise<T> {
    this.#inFlight.add(work);
    const forget = () => void this.#inFlight.delete(work);
    work.then(forget, forget);
    return work;
  }

  /** Ends the waiting, and waits for what is becoming a build. */
  async close(): Promise<void> {
    this.closing.abort();
    this.work.wakeAll();
    this.runs.wakeAll();
    await Promise.allSettled(this.#inFlight);
  }
}
