/** When a job is due. Pure: the time and the dice are given. */
import type { Recurrence } from "../api.ts";

const HOUR = 3_600_000;

/** The original's periods. */
const PERIOD_MS = { hourly: HOUR, daily: 24 * HOUR, weekly: 7 * 24 * HOUR } as const;

/** The times of a period that is counted from the last time; undefined for cron lines and never. */
export function periodMs(recurrence: Recurrence): number | undefined {
  return recurrence.kind === "cron" || recurrence.kind === "never" ? undefined : PERIOD_MS[recurrence.kind];
}

/** A line of cron: five fields or a nickname such as @daily. Undefined for what is none, or never comes. */
export function parseCron(line: string): Recurrence | undefined {
  const text = line.trim().replaceAll(/\s+/g, " ");
  if (text.length > 200) return undefined;
  try {
    // A fixed instant: whether a line can be read doesn't depend on when it is asked.
    if (Bun.cron.parse(text, new Date(0)) === null) return undefined;
  } catch {
    return undefined;
  }
  return { kind: "cron", line: text };
}

export interface Timing {
  readonly recurrence: Recurrence;
  readonly jitterMs: number;
}

/** The first time after `now`; null: never. `random` is in [0, 1). */
export function nextTime({ recurrence, jitterMs }: Timing, now: number, random: number): number | null {
  const base = baseTime(recurrence, now);
  return base === null ? null : base + Math.floor(random * jitterMs);
}

function baseTime(recurrence: Recurrence, now: number): number | null {
  if (recurrence.kind === "never") return null;
  if (recurrence.kind === "cron") {
    return Bun.cron.parse(recurrence.line, new Date(now))?.getTime() ?? null;
  }
  return now + PERIOD_MS[recurrence.kind];
}

/**
 * The time after one that has come. A period goes on from when it should have been, so that a daily job doesn't wander
 * through the day; what was missed without a server counts once.
 */
export function timeAfter(
  { recurrence, jitterMs }: Timing,
  due: number,
  now: number,
  random: number,
): number | null {
  const period = periodMs(recurrence);
  if (period === undefined) return nextTime({ recurrence, jitterMs }, now, random);
  // With jitter the times are as they come; without, they are a grid.
  if (jitterMs > 0) return nextTime({ recurrence, jitterMs }, now, random);
  const missed = Math.max(0, Math.floor((now - due) / period));
  return due + (missed + 1) * period;
}

/** Missed by so much, a time counts as one without a server. */
export const MISSED_MS = 5 * 60_000;

/** For people: daily, cron 0 3 * * *. */
export function sayRecurrence(recurrence: Recurrence): string {
  return recurrence.kind === "cron" ? `cron ${recurrence.line}` : recurrence.kind;
}

/** The original's word that says most nearly how often a job is due. */
export function nearestPeriod(recurrence: Recurrence, now: number): "hourly" | "daily" | "weekly" | "never" {
  if (recurrence.kind !== "cron") return recurrence.kind;
  const first = baseTime(recurrence, now);
  const second = first === null ? null : baseTime(recurrence, first);
  if (first === null || second === null) return "never";
  const span = second - first;
  if (span <= HOUR) return "hourly";
  return span <= 24 * HOUR ? "daily" : "weekly";
}
