/** What the handlers about runs and jobs begin and end with. */
import type { JobDefinition, JobName, Outcome, Platform, Refusal, Run } from "../../builds/api.ts";
import { sayRecurrence } from "../../builds/schedule/recurrence.ts";
import { readJobName, readPlatform } from "../../builds/schedule/settings.ts";
import type { BuildService } from "../../builds/service.ts";
import { visitOf } from "../access/visit.ts";
import { HttpError, notFound } from "../http/http-error.ts";

const STATUS: Record<Refusal["code"], number> = {
  "not-found": 404,
  exists: 409,
  "no-platform": 409,
  "other-platform": 422,
  "platform-dropped": 409,
  ended: 409,
  stale: 409,
  invalid: 422,
};

/** What was asked for. Throws HttpError for a refusal. */
export function given<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value;
  const { code, message, hint } = outcome.refusal;
  throw new HttpError(STATUS[code], code, message, hint === undefined ? {} : { hint });
}

/** The name in an address. Throws HttpError 404: what can't be a name is no job's. */
export function jobNameIn(text: string): JobName {
  const name = readJobName(text);
  if (name.ok) return name.value;
  throw notFound(`job ${text}`);
}

/** Throws HttpError 422. */
export function platformIn(text: string): Platform {
  return given(readPlatform(text));
}

/** A run by `JOB:NUMBER`, job, UUID, or its number in the database. Throws HttpError 404. */
export function runIn(service: BuildService, text: string): Run {
  const run = service.findRun(text);
  if (run !== undefined) return run;
  throw notFound(`run ${text}`);
}

/** A run as programs see it. */
export function runJson(run: Run) {
  return { ...run, name: `${run.job}:${run.number}` };
}

/** The same for whoever asks: people and workers are not named to strangers. */
export function runSeenBy(request: Request, run: Run) {
  const shown = runJson(run);
  return visitOf(request).principal.kind === "anonymous"
    ? {
        ...shown,
        reason: "",
        worker: null,
        abortedBy: null,
        ...(run.state === "queued" ? { outcome: null } : {}),
      }
    : shown;
}

/** A job as programs see it. */
export function jobJson(job: JobDefinition) {
  return { ...job, schedule: sayRecurrence(job.recurrence) };
}
