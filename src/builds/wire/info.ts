/** The state as `builder-client info` shows it. */
import type { WireJob } from "../../protocols/builder/job.ts";
import type { Message, RunningJob, ScheduleItem } from "../../protocols/builder/messages.ts";
import { NEVER } from "../../protocols/builder/times.ts";
import type { JobDefinition, Platform, Run } from "../api.ts";
import { nearestPeriod } from "../schedule/recurrence.ts";
import type { BuildService } from "../service.ts";

/** The reply; `isOld`: for clients before version 13, which know no `never`. */
export function infoReply(service: BuildService, isOld: boolean): Message {
  const jobs = new Map(service.jobs().map((job) => [job.name, job]));
  const schedule = [...jobs.values()].flatMap((job) => itemsOf(job));
  const queues = service
    .platforms()
    .toReversed()
    .map((platform) => ({
      platform: platform as string,
      jobs: queueJobs(service.queue(platform), jobs, platform),
    }));
  const running = service
    .runningAttempts()
    .map(({ uuid, startedAt, assignment: { job, script, platform } }): RunningJob => {
      return { started: startedAt, uuid, job: { name: job, script, platform } };
    })
    .sort((a, b) => (a.uuid < b.uuid ? 1 : -1));
  if (!isOld) {
    return { type: "info-reply", schedule, queues, running, dropped: service.droppedPlatforms() };
  }
  return {
    type: "info-reply-old",
    schedule: schedule.filter(({ period }) => period !== "never"),
    queues,
    running,
  };
}

/** A script job for several platforms is one job for each, of the same name. */
function itemsOf(job: JobDefinition): ScheduleItem[] {
  const isDue = job.isEnabled && job.nextAt !== null;
  const next = isDue ? Math.min(job.nextAt ?? NEVER, NEVER) : NEVER;
  const period = isDue ? nearestPeriod(job.recurrence, next) : ("never" as const);
  const platforms: readonly (Platform | undefined)[] = job.work.kind === "orb" ? [undefined] : job.platforms;
  return platforms.map((platform) => ({ next, period, job: wireJob(job, platform ?? "") }));
}

function wireJob({ name, work }: JobDefinition, platform: string): WireJob {
  if (work.kind === "orb") return { type: "orb", name, opamPackage: work.opamPackage };
  return { type: "script", name, script: work.script, platform };
}

/** Several builds of one job are one job that waits. */
function queueJobs(
  runs: readonly Run[],
  jobs: ReadonlyMap<string, JobDefinition>,
  platform: string,
): WireJob[] {
  const names = new Set<string>(runs.map(({ job }) => job));
  return [...names].flatMap((name) => {
    const job = jobs.get(name);
    return job === undefined ? [] : [wireJob(job, platform)];
  });
}
