/** builder-server's state file: what is scheduled, what is queued, and the platforms that were dropped. */
import { type Der, choice, decode, encode, explicit, map, named, sequence, sequenceOf } from "../der/der.ts";
import { utf8 } from "../der/types.ts";
import { JOB, PERIOD, SCRIPT_JOB } from "./job.ts";
import { type PlatformQueue, QUEUE, SCHEDULE_ITEM, type ScheduleItem } from "./messages.ts";
import { time } from "./times.ts";

export interface BuilderState {
  readonly schedule: readonly ScheduleItem[];
  readonly queues: readonly PlatformQueue[];
  readonly dropped: readonly string[];
}

/** The first three are version 0.1's. */
const ITEM = choice({
  "queued-script": explicit(0, named("job", SCRIPT_JOB)),
  "scheduled-script": explicit(1, sequence({ next: time(), period: PERIOD, job: SCRIPT_JOB })),
  queued: explicit(2, named("job", JOB)),
  scheduled: explicit(3, SCHEDULE_ITEM),
  queue: explicit(4, QUEUE),
  dropped: explicit(5, named("platform", utf8())),
});

const STATE: Der<BuilderState> = map(
  sequenceOf(ITEM),
  (items) => {
    const schedule: ScheduleItem[] = [];
    const queues: PlatformQueue[] = [];
    const dropped: string[] = [];
    for (const item of items) {
      switch (item.type) {
        case "scheduled-script":
          schedule.push({ next: item.next, period: item.period, job: { type: "script", ...item.job } });
          break;
        case "scheduled":
          schedule.push({ next: item.next, period: item.period, job: item.job });
          break;
        case "queue":
          queues.push({ platform: item.platform, jobs: item.jobs });
          break;
        case "dropped":
          dropped.push(item.platform);
          break;
        // One queue for all platforms: the original drops these, too.
        case "queued-script":
        case "queued":
      }
    }
    return { schedule, queues, dropped };
  },
  ({ schedule, queues, dropped }) => [
    ...schedule.map((item) => ({ type: "scheduled", ...item }) as const),
    ...queues.map((queue) => ({ type: "queue", ...queue }) as const),
    ...dropped.map((platform) => ({ type: "dropped", platform }) as const),
  ],
);

/** Reads the state of any version. Throws DerError. */
export function decodeState(bytes: Uint8Array): BuilderState {
  return decode(STATE, bytes);
}

/** As 0.4.0 writes it. */
export function encodeState(state: BuilderState): Uint8Array {
  return encode(STATE, state);
}
