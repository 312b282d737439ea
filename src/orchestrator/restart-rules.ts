/**
 * Whether a unikernel that ended is started again, and when. The statuses are those of the originals: 1 is a tender's
 * or Solo5's own failure, 60 to 62 are reserved, 63 is "help was shown", 64 an error in the arguments. None of them
 * gets better by another try. Pure.
 */
import { describeExit } from "../tender/spt/exit.ts";
import type { Exit, RestartPolicy } from "./api.ts";

/** The first retry comes after about a quarter of a second, each further one after four times as long. */
const FIRST_DELAY_MS = 250;
const FACTOR = 4;
export const LONGEST_DELAY_MS = 300_000;
/** A run as long as this was none of those that fail at once: counting starts anew. */
export const STABLE_MS = 60_000;
/** So many ends in a row, each soon after its start, are a loop. */
export const LOOP_AFTER = 5;

const STATUS_MEANING: Readonly<Record<number, string>> = {
  0: "by itself",
  1: "its tender or Solo5 could not go on",
  2: "an uncaught exception, or out of memory",
  60: "a reserved status",
  61: "a reserved status",
  62: "a reserved status",
  63: "it was asked for its help or version",
  64: "an error in its arguments",
  124: "an error in its arguments",
  255: "it aborted: an uncaught exception, out of memory, or a trap",
};

/** Guests that read their arguments with cmdliner say by these that they don't know one. */
export function isArgumentError(exit: Exit): boolean {
  return exit.kind === "status" && (exit.status === 64 || exit.status === 124);
}

/** A sentence's beginning: `ended with status 255 (it aborted: …)`. */
export function sayExit(exit: Exit): string {
  if (exit.kind === "unknown") return "ended while the server was away, so its status is not known";
  if (exit.kind === "signal") {
    const signal = exit.signal as NodeJS.Signals;
    return `was ${describeExit({ signal }) ?? `killed by ${signal}`}`;
  }
  const meaning = STATUS_MEANING[exit.status];
  return `ended with status ${exit.status}${meaning === undefined ? "" : ` (${meaning})`}`;
}

/** Whether a status is one after which the originals never restart. */
export function isFinal(exit: Exit): boolean {
  return exit.kind === "status" && (exit.status === 1 || (exit.status >= 60 && exit.status <= 64));
}

export type Verdict =
  | { readonly kind: "restart" }
  /** It did what it was to do. */
  | { readonly kind: "done" }
  /** It failed and is left so. */
  | { readonly kind: "give-up"; readonly why: string };

/** What follows from an end that nobody asked for. `failures` is how many there were in a row, this one included. */
export function judgeExit(policy: RestartPolicy, exit: Exit, failures: number): Verdict {
  const isSuccess = exit.kind === "status" && exit.status === 0;
  if (isFinal(exit)) return { kind: "give-up", why: "after this status it is never restarted" };
  switch (policy.kind) {
    case "no":
      return isSuccess ? { kind: "done" } : { kind: "give-up", why: "its restart policy is no" };
    case "always":
      return { kind: "restart" };
    case "on-failure":
      if (isSuccess) return { kind: "done" };
      if (policy.limit !== null && failures > policy.limit) {
        return { kind: "give-up", why: `it was restarted ${policy.limit} times in a row` };
      }
      return { kind: "restart" };
    case "albatross": {
      if (exit.kind === "signal") return { kind: "give-up", why: "after a signal it is not restarted" };
      const isListed =
        policy.codes === null || (exit.kind === "status" && policy.codes.includes(exit.status));
      if (isListed || exit.kind === "unknown") return { kind: "restart" };
      return isSuccess
        ? { kind: "done" }
        : { kind: "give-up", why: "the status is not one to restart after" };
    }
  }
}

/** Milliseconds to wait before the next try. `random` is in [0, 1) and moves it by up to a quarter either way. */
export function backOff(failures: number, random: number): number {
  const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * FACTOR ** Math.min(failures - 1, 20));
  return Math.round(Math.min(LONGEST_DELAY_MS, delay * (0.75 + random / 2)));
}
