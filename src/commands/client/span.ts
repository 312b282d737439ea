/** Spans of time as people write them. */
import { UsageError } from "../../lib/errors.ts";

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds in `90s`, `30m`, `1h`, `1h30m`, `2d`. Throws UsageError, which names the flag. */
export function parseSpan(flag: string, text: string): number {
  const parts = [...text.matchAll(/(\d{1,6})([smhd])/g)];
  if (parts.length > 0 && parts.map(([part]) => part).join("") === text) {
    return parts.reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit!]!, 0);
  }
  throw new UsageError(`${flag} ${text}: not a span of time`, { hint: `${flag} 30m, 1h, 1h30m, 2d` });
}

/** A span for people, exactly: 1h30m. */
export function saySpan(milliseconds: number): string {
  let rest = milliseconds;
  const parts = Object.entries(UNITS)
    .toReversed()
    .flatMap(([unit, size]) => {
      const count = Math.floor(rest / size);
      rest -= count * size;
      return count === 0 ? [] : [`${count}${unit}`];
    });
  return parts.length === 0 ? "0s" : parts.join("");
}
