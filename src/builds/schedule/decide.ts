/**
 * What happens to jobs and queues, decided and not done: `decide(event, facts, context)` reads through `facts` and
 * answers with changes, which are written in the same transaction. The rules are builder's, whose clients see them;
 * where they lose work there is a second way beside them.
 */
import type { JobDefinition, JobName, JobSettings, Outcome, Platform, Refusal, Run } from "../api.ts";
import { done, refuse } from "../api.ts";
import { MISSED_MS, nextTime, periodMs, timeAfter } from "./recurrence.ts";

/** What decisions are made on. */
export interface Facts {
  job(name: JobName): JobDefinition | undefined;
  /** All, by name. */
  jobs(): readonly JobDefinition[];
  /** Enabled ones whose time is before `now`, some at a time: what many jobs take together nobody should wait for. */
  due(now: number): readonly JobDefinition[];
  /** Undefined for one that nobody has heard of. */
  platform(name: Platform): { readonly isDropped: boolean } | undefined;
  /** Those with a queue: known and not dropped. */
  platforms(): readonly Platform[];
  /** The first that waits. */
  queued(job: JobName, platform: Platform): Run | undefined;
  /** All that wait of a job, or on a platform. */
  waiting(of: { readonly job: JobName } | { readonly platform: Platform }): readonly Run[];
}

export type ScheduleEvent =
  | {
      readonly kind: "define";
      readonly name: JobName;
      readonly settings: JobSettings;
      readonly isNew: boolean;
    }
  /** The original's: due one period from now, and queued at once. */
  | { readonly kind: "schedule"; readonly name: JobName; readonly settings: JobSettings }
  | { readonly kind: "forget"; readonly name: JobName }
  | {
      readonly kind: "start";
      readonly name: JobName;
      /** Undefined: all that the job is for. */
      readonly platform: Platform | undefined;
      readonly reason: string;
      readonly place: "front" | "back";
      readonly priority: number;
      /** Undefined: as the job says. */
      readonly copies: number | undefined;
      /** Of one that waits already nothing more is made: it goes to the front, as the original's `execute` has it. */
      readonly mayMove: boolean;
    }
  /** The original's, which stores one period more and queues at once. */
  | {
      readonly kind: "reschedule";
      readonly name: JobName;
      readonly next: number;
      readonly recurrence: JobSettings["recurrence"] | undefined;
      readonly who: string;
    }
  /** What its name says: the job is due then. */
  | { readonly kind: "set-next"; readonly name: JobName; readonly next: number }
  | { readonly kind: "enable"; readonly name: JobName; readonly isEnabled: boolean }
  | { readonly kind: "tick" }
  /** A worker asked for work of that platform. */
  | { readonly kind: "platform-asked"; readonly platform: Platform }
  /** Also of a platform that nobody has heard of, where that `mayBeNew`: it gets no work when it comes. */
  | { readonly kind: "drop"; readonly platform: Platform; readonly mayBeNew: boolean }
  | { readonly kind: "undrop"; readonly platform: Platform };

export type Change =
  | { readonly do: "put-job"; readonly job: JobDefinition }
  | { readonly do: "remove-job"; readonly name: JobName }
  | { readonly do: "put-platform"; readonly platform: Platform; readonly isDropped: boolean }
  | {
      readonly do: "queue";
      readonly job: JobName;
      readonly platform: Platform;
      readonly reason: string;
      readonly place: "front" | "back";
      readonly priority: number;
      /** Of several that are queued together, so that their results are compared: the others follow the first. */
      readonly copy: "alone" | "first" | "another";
    }
  | { readonly do: "move"; readonly run: Run; readonly place: "front" | "back"; readonly priority: number }
  | { readonly do: "unqueue"; readonly run: Run; readonly why: string };

export interface Context {
  readonly now: number;
  /** In [0, 1), another each time. */
  readonly random: () => number;
}

export type Decision = Outcome<readonly Change[]>;

/** Decides on one event. */
export function decide(event: ScheduleEvent, facts: Facts, context: Context): Decision {
  switch (event.kind) {
    case "define":
      return define(event.name, event.settings, event.isNew, facts, context);
    case "schedule":
      return schedule(event.name, event.settings, facts, context);
    case "forget":
      return forget(event.name, facts);
    case "start":
      return start(event, facts);
    case "reschedule":
      return reschedule(event, facts, context);
    case "set-next":
      return change(event.name, facts, (job) => ({ ...job, nextAt: event.next, changedAt: context.now }));
    case "enable":
      return change(event.name, facts, (job) => enabled(job, event.isEnabled, context));
    case "tick":
      return done(facts.due(context.now).flatMap((job) => comeDue(job, facts, context)));
    case "platform-asked":
      return done(platformAsked(event.platform, facts));
    case "drop":
      return drop(event, facts, context);
    case "undrop":
      return undrop(event.platform, facts);
  }
}

const unknownJob = (name: JobName): { ok: false; refusal: Refusal } =>
  refuse("not-found", `there is no job ${name}`, "robur job ls");

function change(name: JobName, facts: Facts, how: (job: JobDefinition) => JobDefinition): Decision {
  const job = facts.job(name);
  return job === undefined ? unknownJob(name) : done([{ do: "put-job", job: how(job) }]);
}

function enabled(job: JobDefinition, isEnabled: boolean, { now, random }: Context): JobDefinition {
  if (job.isEnabled === isEnabled) return job;
  // What went by while it was off isn't made up for.
  const nextAt = isEnabled ? nextTime(job, now, random()) : job.nextAt;
  return { ...job, isEnabled, nextAt, changedAt: now };
}

function define(
  name: JobName,
  settings: JobSettings,
  isNew: boolean,
  facts: Facts,
  context: Context,
): Decision {
  const known = facts.job(name);
  if (isNew && known !== undefined)
    return refuse("exists", `there is a job ${name} already`, `robur job edit ${name}`);
  if (!isNew && known === undefined) return unknownJob(name);
  const { now, random } = context;
  const isSameTiming =
    known !== undefined &&
    Bun.deepEquals(known.recurrence, settings.recurrence) &&
    known.jitterMs === settings.jitterMs;
  const job: JobDefinition = {
    ...settings,
    name,
    nextAt: isSameTiming ? known.nextAt : nextTime(settings, now, random()),
    createdAt: known?.createdAt ?? now,
    changedAt: now,
  };
  // What waits for a platform that the job is no longer for would never fit a worker's answer.
  const gone =
    known === undefined || settings.platforms.length === 0
      ? []
      : facts.waiting({ job: name }).filter(({ platform }) => !settings.platforms.includes(platform));
  return done([
    { do: "put-job", job },
    ...gone.map((run): Change => ({ do: "unqueue", run, why: "the job is no longer for this platform" })),
  ]);
}

function schedule(name: JobName, settings: JobSettings, facts: Facts, context: Context): Decision {
  const [platform] = settings.platforms;
  if (platform !== undefined && facts.platform(platform)?.isDropped === true) {
    return refuse("platform-dropped", "platform dropped; can't schedule jobs");
  }
  if (facts.job(name) !== undefined) return refuse("exists", "job name already used");
  const { now, random } = context;
  const nextAt = nextTime(settings, now, random());
  const job: JobDefinition = { ...settings, name, nextAt, createdAt: now, changedAt: now };
  return done([{ do: "put-job", job }, ...enqueue(job, facts, "scheduled")]);
}

function forget(name: JobName, facts: Facts): Decision {
  if (facts.job(name) === undefined) return unknownJob(name);
  const waiting = facts.waiting({ job: name });
  return done([
    { do: "remove-job", name },
    ...waiting.map((run): Change => ({ do: "unqueue", run, why: "the job was removed" })),
  ]);
}

/** Where a job is built: its platforms, or for an orb job without any, all that have a queue. Dropped ones never. */
function platformsOf(job: JobDefinition, facts: Facts): readonly Platform[] {
  if (job.platforms.length === 0) return facts.platforms();
  return job.platforms.filter((platform) => facts.platform(platform)?.isDropped !== true);
}

/** At the end of all its queues, but not where it waits already. */
function enqueue(job: JobDefinition, facts: Facts, reason: string): Change[] {
  return platformsOf(job, facts)
    .filter((platform) => facts.queued(job.name, platform) === undefined)
    .flatMap((platform) => entries(job.name, platform, reason, job.copies, "back", 0));
}

function entries(
  job: JobName,
  platform: Platform,
  reason: string,
  copies: number,
  place: "front" | "back",
  priority: number,
): Change[] {
  return Array.from({ length: copies }, (_, i) => ({
    do: "queue" as const,
    ...{ job, platform, place, priority },
    reason: copies === 1 ? reason : `${reason}, ${i + 1} of ${copies}`,
    copy: copies === 1 ? ("alone" as const) : i === 0 ? ("first" as const) : ("another" as const),
  }));
}

function comeDue(job: JobDefinition, facts: Facts, { now, random }: Context): Change[] {
  const due = job.nextAt ?? now;
  const nextAt = timeAfter(job, due, now, random());
  const put: Change = { do: "put-job", job: { ...job, nextAt } };
  const wasMissed = now - due > MISSED_MS;
  if (wasMissed && job.catchUp === "skip") return [put];
  return [put, ...enqueue(job, facts, wasMissed ? "schedule, late" : "schedule")];
}

function start(event: Extract<ScheduleEvent, { kind: "start" }>, facts: Facts): Decision {
  const { name, reason, place, priority } = event;
  const job = facts.job(name);
  if (job === undefined) return unknownJob(name);
  const where = startPlatforms(job, event.platform, facts);
  if (!where.ok) return where;
  const copies = event.copies ?? job.copies;
  return done(
    where.value.flatMap((platform): Change[] => {
      const run = event.mayMove ? facts.queued(name, platform) : undefined;
      if (run !== undefined) return [{ do: "move", run, place, priority: Math.max(priority, run.priority) }];
      return entries(name, platform, reason, copies, place, priority);
    }),
  );
}

function startPlatforms(
  job: JobDefinition,
  wanted: Platform | undefined,
  facts: Facts,
): Outcome<readonly Platform[]> {
  if (wanted !== undefined) {
    if (job.platforms.length > 0 && !job.platforms.includes(wanted)) {
      return refuse("other-platform", `${job.name} is for ${job.platforms.join(", ")}, not ${wanted}`);
    }
    if (facts.platform(wanted)?.isDropped === true) {
      return refuse("platform-dropped", `platform ${wanted} was dropped`, `robur queue undrop ${wanted}`);
    }
    return done([wanted]);
  }
  const all = platformsOf(job, facts);
  if (all.length > 0) return done(all);
  return job.platforms.length > 0
    ? refuse("platform-dropped", `the platforms of ${job.name} were dropped`, "robur queue")
    : refuse(
        "no-platform",
        "no platform has a worker yet, and the job names none",
        "robur worker --platform debian-12",
      );
}

function reschedule(
  event: Extract<ScheduleEvent, { kind: "reschedule" }>,
  facts: Facts,
  { now }: Context,
): Decision {
  const job = facts.job(event.name);
  if (job === undefined) return unknownJob(event.name);
  const recurrence = event.recurrence ?? job.recurrence;
  const period = periodMs(recurrence);
  // A cron line has no period to add: it goes on from the time that was given.
  const nextAt =
    period === undefined ? nextTime({ recurrence, jitterMs: 0 }, event.next, 0) : event.next + period;
  const changed: JobDefinition = { ...job, recurrence, nextAt, changedAt: now };
  return done([{ do: "put-job", job: changed }, ...enqueue(changed, facts, `rescheduled by ${event.who}`)]);
}

/**
 * The first worker of a platform gets each job that is for all of them once, behind what somebody asked for: what was
 * just built elsewhere was not built there.
 */
function platformAsked(platform: Platform, facts: Facts): Change[] {
  if (facts.platform(platform) !== undefined) return [];
  return [{ do: "put-platform", platform, isDropped: false }, ...fill(platform, facts)];
}

function fill(platform: Platform, facts: Facts): Change[] {
  return facts
    .jobs()
    .filter(({ isEnabled, platforms }) => isEnabled && platforms.length === 0)
    .filter(({ name }) => facts.queued(name, platform) === undefined)
    .flatMap(({ name, copies }) => entries(name, platform, `new platform ${platform}`, copies, "back", -1));
}

function drop(
  { platform, mayBeNew }: Extract<ScheduleEvent, { kind: "drop" }>,
  facts: Facts,
  { now }: Context,
): Decision {
  const known = facts.platform(platform);
  if (known === undefined ? !mayBeNew : known.isDropped) {
    return refuse("no-platform", `unknown platform ${platform}`);
  }
  const changes: Change[] = [{ do: "put-platform", platform, isDropped: true }];
  for (const run of facts.waiting({ platform })) {
    changes.push({ do: "unqueue", run, why: `platform ${platform} was dropped` });
  }
  for (const job of facts.jobs()) {
    if (!job.platforms.includes(platform)) continue;
    const platforms = job.platforms.filter((other) => other !== platform);
    const isOver = platforms.length === 0 && job.work.kind === "script";
    // An orb job for this platform alone stays, switched off: without any platform it would be for all.
    const isEnabled = job.isEnabled && platforms.length > 0;
    changes.push(
      isOver
        ? { do: "remove-job", name: job.name }
        : {
            do: "put-job",
            job: {
              ...job,
              platforms: platforms.length > 0 ? platforms : job.platforms,
              isEnabled,
              changedAt: now,
            },
          },
    );
  }
  return done(changes);
}

function undrop(platform: Platform, facts: Facts): Decision {
  if (facts.platform(platform)?.isDropped !== true)
    return refuse("no-platform", `unknown platform ${platform}`);
  return done([{ do: "put-platform", platform, isDropped: false }, ...fill(platform, facts)]);
}
