/** Numbers and times as people read them. Pure: "now" is a parameter. */
import { formatSize } from "../../src/lib/units.ts";

const STEPS: readonly (readonly [limit: number, unit: number, word: string])[] = [
  [60, 1, "s"],
  [3600, 60, "min"],
  [86_400, 3600, "h"],
  [Infinity, 86_400, "d"],
];

/** `12 s`, `3 min`, `5 h`, `12 d`. */
export function span(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const [, unit, word] = STEPS.find(([limit]) => seconds < limit)!;
  return `${Math.floor(seconds / unit)} ${word}`;
}

/** `3 min ago`, `in 12 s`, `just now`. */
export function relative(at: number, now: number): string {
  const passed = now - at;
  if (Math.abs(passed) < 5000) return "just now";
  return passed < 0 ? `in ${span(-passed)}` : `${span(passed)} ago`;
}

/** `2026-11-21 04:20:07 UTC` */
export function moment(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** `2026-11-21 04:20`, in UTC. */
export function minute(at: number): string {
  return moment(at).slice(0, 16);
}

/** `04:20:07`, in UTC where no browser knows better. */
export function clock(at: number): string {
  return new Date(at).toISOString().slice(11, 19);
}

/** A share of one processor: `3 %`, `0.4 %`, `180 %`. */
export function percent(share: number): string {
  const value = share * 100;
  return `${value !== 0 && value < 1 ? value.toFixed(1) : Math.round(value)} %`;
}

/** Memory that is counted in MiB. */
export function mebibytes(count: number): string {
  return formatSize(count * 1024 * 1024);
}

export { formatSize };
