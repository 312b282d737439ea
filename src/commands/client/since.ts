/** Points in time as people write them. */
import { UsageError } from "../../lib/errors.ts";

const UNITS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Milliseconds since 1970 for `10m`, `2h`, `1d` before now, or a time as RFC 3339 has it. Throws UsageError. */
export function parseSince(text: string, now: number): number {
  const [, count, unit = ""] = /^(\d{1,9})([smhdw])$/.exec(text) ?? [];
  if (count !== undefined) return Math.max(0, now - Number(count) * UNITS[unit]!);
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(at)) return Math.max(0, at);
  throw new UsageError(`${text} is no time`, { hint: "10m, 2h, 1d, or 2026-01-31T09:05:00Z" });
}
