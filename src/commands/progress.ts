/** A bar on standard error for work that takes longer than a moment, and only where somebody looks at it. */
import { isatty } from "node:tty";
import { formatSize } from "../lib/units.ts";
import { printError } from "../linux/libc.ts";

const STDERR = 2;
/** Work that is done before this shows nothing. */
const FIRST_MS = 300;
const EVERY_MS = 100;
const BAR = 24;
const CLEAR_LINE = "\r\u001b[K";

/** One line: how far, how much, how fast, how long still. `elapsed` in milliseconds, the others in bytes. Pure. */
export function progressLine(
  label: string,
  done: number,
  total: number | undefined,
  elapsed: number,
): string {
  const speed = elapsed > 0 ? (done * 1000) / elapsed : 0;
  const rate = `${formatSize(Math.round(speed))}/s`;
  if (total === undefined || total === 0) return `${label}  ${formatSize(done)}  ${rate}`;
  const part = Math.min(1, done / total);
  const full = Math.floor(part * BAR);
  const bar = `[${"=".repeat(full)}${" ".repeat(BAR - full)}]`;
  const left = speed > 0 ? Math.ceil(Math.max(0, total - done) / speed) : undefined;
  const rest = left === undefined ? "" : `  ${formatSeconds(left)} left`;
  const percent = `${Math.floor(part * 100)}%`.padStart(4);
  return `${label} ${bar}${percent}  ${formatSize(done)} of ${formatSize(total)}  ${rate}${rest}`;
}

function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes} min ${seconds % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Shows progress while `work` runs; `work` gets the function to tell it with. */
export async function withProgress<T>(
  label: string,
  work: (onProgress: (done: number, total: number | undefined) => void) => Promise<T>,
): Promise<T> {
  if (!isatty(STDERR) || process.env["TERM"] === "dumb") return work(() => undefined);
  const start = performance.now();
  let next = start + FIRST_MS;
  try {
    return await work((done, total) => {
      const now = performance.now();
      if (now < next) return;
      next = now + EVERY_MS;
      printError(`${CLEAR_LINE}${progressLine(label, done, total, now - start)}`);
    });
  } finally {
    if (next > start + FIRST_MS) printError(CLEAR_LINE);
  }
}
