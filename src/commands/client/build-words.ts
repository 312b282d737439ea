/** Words on the command line that name jobs, platforms and runs. They become a part of an address. Pure. */
import { UsageError } from "../../lib/errors.ts";
import { type JobName, type Platform, parseJobName, parsePlatform } from "../../store/api.ts";
import { ClientError } from "./client-error.ts";

const COPIES_MAX = 16;

/** Throws ClientError not-found: what can't be a name is no job's. */
export function jobWord(text: string): JobName {
  const name = parseJobName(text);
  if (name !== undefined) return name;
  throw new ClientError(3, "not-found", `there is no job ${text}`, { hint: "robur job ls" });
}

/** Throws UsageError. */
export function platformWord(text: string): Platform {
  const platform = parsePlatform(text);
  if (platform !== undefined) return platform;
  throw new UsageError(`${JSON.stringify(text)} can't be a platform's name`, {
    hint: "debian-12, freebsd-14",
  });
}

/** A run: JOB:NUMBER, a job for its newest, or a build's id or the beginning of one. Throws ClientError not-found. */
export function runWord(text: string): string {
  const [, job = text] = /^(.+):\d{1,9}$/.exec(text) ?? [];
  if (parseJobName(job) !== undefined) return text;
  throw new ClientError(3, "not-found", `there is no run ${text}`, { hint: "robur queue, robur build ls" });
}

/** How many builds at a time. Throws UsageError. */
export function copiesOf(count: number): number {
  if (Number.isSafeInteger(count) && count >= 1 && count <= COPIES_MAX) return count;
  throw new UsageError(`--copies ${count}: between 1 and ${COPIES_MAX} builds`, { hint: "--copies 2" });
}
