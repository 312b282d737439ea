/** When a delivery that failed is tried again, and which events a hook wants. Pure. */

/** Seconds to wait after each failed attempt: a restart of the other side, an outage, a night. */
const WAITS_S = [5, 30, 120, 600, 3600, 3 * 3600, 8 * 3600];

/** The time of the next attempt after so many; undefined when it is given up. */
export function nextAttempt(attempts: number, now: number): number | undefined {
  const seconds = WAITS_S[attempts - 1];
  return seconds === undefined ? undefined : now + seconds * 1000;
}

/** Whether one of the patterns means the event: its name, `unikernel.*`, or `*`. */
export function wantsEvent(patterns: readonly string[], event: string): boolean {
  return patterns.some(
    (pattern) =>
      pattern === "*" ||
      pattern === event ||
      (pattern.endsWith(".*") && event.startsWith(pattern.slice(0, -1))),
  );
}
