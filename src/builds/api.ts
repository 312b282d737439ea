/**
 * What builds are made of: job definitions, runs of them, and the workers that make them. Expected outcomes are values;
 * only faults are thrown. Times are milliseconds since 1970, spans are milliseconds.
 */
import type { BuildId, BuildResult, JobName, Platform } from "../store/api.ts";
import type { JobLimits, JobNetwork } from "./sandbox/api.ts";

export type { BuildId, BuildResult, JobLimits, JobName, JobNetwork, Platform };

/** What a job does: a script, or an opam package that orb builds, by a script made when it is handed out. */
export type Work =
  | { readonly kind: "script"; readonly script: string }
  | {
      readonly kind: "orb";
      readonly opamPackage: string;
      /** NAME:URL each, the most important first. Without them: those that the template names. */
      readonly repositories?: readonly string[];
    };

/** When a job is due again. Cron lines are read in the server's time zone. */
export type Recurrence =
  | { readonly kind: "hourly" | "daily" | "weekly" | "never" }
  | { readonly kind: "cron"; readonly line: string };

/** All that a person decides about a job. */
export interface JobSettings {
  readonly work: Work;
  /** A script job has at least one; an orb job without any is built on every platform. */
  readonly platforms: readonly Platform[];
  readonly recurrence: Recurrence;
  readonly timeoutMs: number;
  readonly limits: JobLimits;
  readonly network: JobNetwork;
  /** Builds each time, 1 to 16. */
  readonly copies: number;
  /** Each time is put off by up to so much, so that many daily jobs don't begin together. */
  readonly jitterMs: number;
  /** After a time without a server: once for all that was missed, or not before the next time. */
  readonly catchUp: "once" | "skip";
  readonly isEnabled: boolean;
}

export interface JobDefinition extends JobSettings {
  readonly name: JobName;
  /** Null: never by itself. */
  readonly nextAt: number | null;
  readonly createdAt: number;
  readonly changedAt: number;
}

declare const brand: unique symbol;
export type RunId = number & { readonly [brand]: "RunId" };

export type RunState = "queued" | "running" | "finished" | "aborted";

/** A job that waits, runs or ran on one platform. */
export interface Run {
  readonly id: RunId;
  readonly job: JobName;
  /** 1, 2, 3, … a job. */
  readonly number: number;
  readonly platform: Platform;
  /** Why it was queued. */
  readonly reason: string;
  readonly state: RunState;
  /** Higher ones first. */
  readonly priority: number;
  /** Among those of equal priority: lower ones first. */
  readonly position: number;
  readonly queuedAt: number;
  /** It isn't handed out earlier. */
  readonly notBefore: number;
  readonly attempts: number;
  /** The newest attempt's; its build has the same. */
  readonly uuid: BuildId | null;
  readonly worker: string | null;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  /** Who wants it to end. */
  readonly abortedBy: string | null;
  /** `exited 0`, or why it ended; of one that waits: why it can't be handed out. */
  readonly outcome: string | null;
  /** Of its console. */
  readonly lines: number;
  /** The first of those that it was queued together with, to see whether their results are the same. */
  readonly batch: RunId | null;
}

/** What a worker gets. */
export interface Assignment {
  readonly run: RunId;
  /** Names the attempt: who posts must show it. */
  readonly uuid: BuildId;
  readonly job: JobName;
  readonly platform: Platform;
  readonly script: string;
  readonly timeoutMs: number;
  readonly limits: JobLimits;
  readonly network: JobNetwork;
}

/** Who asks for work. */
export interface WorkerIdentity {
  readonly name: string;
  /** Tells processes of one name apart. */
  readonly instance?: string | undefined;
  readonly platforms: readonly Platform[];
  readonly link: "http" | "builder";
  /** The other end, for lists: an address, or `local`. */
  readonly address: string;
}

/** A worker as lists show it. */
export interface WorkerView {
  readonly name: string;
  readonly platforms: readonly Platform[];
  readonly link: "http" | "builder";
  readonly address: string;
  readonly state: "waiting" | "building";
  readonly run: RunId | null;
  readonly seenAt: number;
}

/** One line of a run's console. */
export interface ConsoleLine {
  /** 0, 1, 2, … in the run. */
  readonly index: number;
  /** Nanoseconds since its attempt began. */
  readonly delta: bigint;
  /** Without the line end. */
  readonly text: Uint8Array;
}

/** Why something wasn't done. */
export interface Refusal {
  readonly code:
    | "not-found"
    | "exists"
    | "no-platform"
    | "other-platform"
    | "platform-dropped"
    | "ended"
    | "stale"
    | "invalid";
  readonly message: string;
  readonly hint?: string | undefined;
}

export type Outcome<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusal: Refusal };

export function done<T>(value: T): Outcome<T> {
  return { ok: true, value };
}

export function refuse(
  code: Refusal["code"],
  message: string,
  hint?: string,
): { ok: false; refusal: Refusal } {
  return { ok: false, refusal: hint === undefined ? { code, message } : { code, message, hint } };
}
