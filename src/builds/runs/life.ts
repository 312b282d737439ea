/**
 * The life of a run as a pure state machine: `step(run, event, context)` gives the run as it is then, and what becomes
 * of the attempt that was going on. The shell writes both in one transaction, and acts afterwards.
 */
import type { BuildId, Run } from "../api.ts";

/** After so many attempts that ended without a result nothing is tried again. */
export const ATTEMPTS_MAX = 3;
const FIRST_WAIT_MS = 5000;
const HANG_WAIT_MS = 10 * 60_000;

export type RunEvent =
  | { readonly kind: "handed-out"; readonly uuid: BuildId; readonly worker: string }
  /** Its worker says how it ended. */
  | { readonly kind: "ended"; readonly outcome: string }
  /** Its worker is gone. */
  | { readonly kind: "lost"; readonly why: string }
  /** It took longer than it may, and its worker did nothing about that. */
  | { readonly kind: "hung" }
  | { readonly kind: "abort"; readonly who: string };

/** What becomes of the attempt: nothing; its worker ended it; nobody did, and it is kept with these words. */
export type AttemptEnd =
  { readonly kind: "none" } | { readonly kind: "ended" } | { readonly kind: "lost"; readonly why: string };

export interface RunStep {
  readonly run: Run;
  readonly attempt: AttemptEnd;
}

export interface RunContext {
  readonly now: number;
  /** In [0, 1). */
  readonly random: number;
}

/** One step. Undefined: the event doesn't fit the state, and nothing happens. */
export function step(run: Run, event: RunEvent, { now, random }: RunContext): RunStep | undefined {
  switch (event.kind) {
    case "handed-out": {
      if (run.state !== "queued") return undefined;
      const { uuid, worker } = event;
      const begun = {
        ...run,
        state: "running" as const,
        attempts: run.attempts + 1,
        uuid,
        worker,
        startedAt: now,
        // Whatever kept it from being handed out does no more.
        outcome: null,
      };
      return { run: begun, attempt: { kind: "none" } };
    }
    case "ended": {
      if (run.state !== "running") return undefined;
      const state = run.abortedBy === null ? ("finished" as const) : ("aborted" as const);
      return { run: { ...run, state, outcome: event.outcome, finishedAt: now }, attempt: { kind: "ended" } };
    }
    case "lost":
      return run.state === "running" ? giveBack(run, event.why, FIRST_WAIT_MS, now, random) : undefined;
    case "hung":
      // The original's word for it. Such a job would block one worker after the other, so it waits for longer.
      return run.state === "running" ? giveBack(run, "timeout", HANG_WAIT_MS, now, random) : undefined;
    case "abort":
      return onAbort(run, event.who, now);
  }
}

function giveBack(run: Run, why: string, wait: number, now: number, random: number): RunStep {
  const attempt: AttemptEnd = { kind: "lost", why };
  if (run.abortedBy !== null) {
    const outcome = `aborted by ${run.abortedBy}`;
    return { run: { ...run, state: "aborted", outcome, finishedAt: now }, attempt };
  }
  if (run.attempts >= ATTEMPTS_MAX) {
    const outcome = `execution aborted: ${why}, ${run.attempts} times`;
    return { run: { ...run, state: "finished", outcome, finishedAt: now }, attempt };
  }
  const delay = wait * 4 ** (run.attempts - 1) * (1 + random / 4);
  return { run: { ...run, state: "queued", worker: null, notBefore: now + Math.round(delay) }, attempt };
}

function onAbort(run: Run, who: string, now: number): RunStep | undefined {
  if (run.state === "queued") {
    const outcome = `aborted by ${who} before it began`;
    return {
      run: { ...run, state: "aborted", abortedBy: who, outcome, finishedAt: now },
      attempt: { kind: "none" },
    };
  }
  if (run.state !== "running" || run.abortedBy !== null) return undefined;
  return { run: { ...run, abortedBy: who }, attempt: { kind: "none" } };
}
