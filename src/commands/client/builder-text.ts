/** What the original's programs print. Pure. */
import type { WireJob } from "../../protocols/builder/job.ts";
import type { Message } from "../../protocols/builder/messages.ts";
import { printable } from "../table.ts";

type Info = Extract<Message, { type: "info-reply" }>;

/** `name hello on debian-12`, `name web, opam mirage-unikernel-web`. */
export function printJob(job: WireJob): string {
  const name = printable(job.name);
  if (job.type === "orb") return `name ${name}, opam ${printable(job.opamPackage)}`;
  return `name ${name} on ${printable(job.platform)}`;
}

/** RFC 3339 with the offset of nowhere, to the second. */
function printTime(at: number): string {
  return `${new Date(at).toISOString().slice(0, "2026-01-31T09:05:00".length)}-00:00`;
}

/** The answer to `info`. */
export function printInfo({ schedule, queues, running, dropped }: Info): string {
  const items = schedule.map(({ next, period, job }) => {
    return `${printJob(job)} next ${printTime(next)}, scheduled ${period}`;
  });
  const waiting = queues.map(({ platform, jobs }) => `${printable(platform)}:${listed(jobs.map(printJob))}`);
  const runs = running.map(
    ({ job, uuid, started }) =>
      `${printJob({ type: "script", ...job })} uuid ${uuid} started ${printTime(started)}`,
  );
  return [
    "info:",
    `dropped platforms: ${dropped.map(printable).join(" ")}`,
    "schedule:",
    items.join(";\n"),
    "queues:",
    waiting.join("\n"),
    "running:",
    runs.join(";\n"),
    "\n",
  ].join("\n");
}

function listed(jobs: readonly string[]): string {
  if (jobs.length === 0) return "";
  return jobs.length === 1 ? `\n${jobs[0]}` : ` ${jobs.join(";\n")}`;
}

const SECOND = 1_000_000_000n;

/** `0.500μs`, `12.345ms`, `1.500s`, `1m01s`, `1h02m`, `1d02h`, `1a2d`. */
export function sayDuration(nanoseconds: bigint): string {
  if (nanoseconds < 1_000_000n) return `${thousandths(nanoseconds)}μs`;
  if (nanoseconds < SECOND) return `${thousandths(nanoseconds / 1000n)}ms`;
  if (nanoseconds < 60n * SECOND) return `${thousandths(nanoseconds / 1_000_000n)}s`;
  const seconds = Number(nanoseconds / SECOND);
  const two = (value: number) => String(value).padStart(2, "0");
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)}h${two(minutes % 60)}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8766) return `${Math.floor(hours / 24)}d${two(hours % 24)}h`;
  const years = Math.floor(hours / 8766);
  return `${years}a${Math.floor((hours - years * 8766) / 24)}d`;
}

/** Cut off, not rounded, as the original has it. */
function thousandths(count: bigint): string {
  return `${count / 1000n}.${String(count % 1000n).padStart(3, "0")}`;
}
