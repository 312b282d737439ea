/**
 * The messages of builder's protocol, client version 13 and worker version 5, with the older forms that peers of
 * versions 11 and 12 send or need. The tags 0, 1 and 8 were given up with version 0.1 and are errors here, where the
 * original's process ends.
 */
import {
  type Der,
  choice,
  decode,
  encode,
  explicit,
  map,
  named,
  optional,
  sequence,
  sequenceOf,
} from "../der/der.ts";
import { integer, nothing, smallInteger, utf8, utf8Bytes } from "../der/types.ts";
import { FILES, JOB, PERIOD, SCRIPT_JOB, orbJob } from "./job.ts";
import type { JobFile, OrbJob, Period, ScriptJob, WireJob } from "./job.ts";
import type { Result } from "./result-text.ts";
import { RESULT } from "./results.ts";
import { time, utcTime } from "./times.ts";
import { UUID } from "./uuid.ts";

/** The only versions that the originals of 0.4.0 talk to. */
export const CLIENT_VERSION = 13;
export const WORKER_VERSION = 5;

export interface ScheduleItem {
  /** Milliseconds since 1970. */
  readonly next: number;
  readonly period: Period;
  readonly job: WireJob;
}

export interface PlatformQueue {
  readonly platform: string;
  readonly jobs: readonly WireJob[];
}

export interface RunningJob {
  /** Milliseconds since 1970. */
  readonly started: number;
  readonly uuid: string;
  readonly job: ScriptJob;
}

/** Everything that travels. UUIDs are 36 characters, times milliseconds since 1970. */
export type Message =
  /** Server to worker. */
  | { readonly type: "job-schedule"; readonly uuid: string; readonly job: ScriptJob }
  /** Worker to server: the end. Its files are views of the frame. */
  | {
      readonly type: "job-finished";
      readonly uuid: string;
      readonly result: Result;
      readonly files: readonly JobFile[];
    }
  /** Worker to server without, server to client with a time: nanoseconds since the job's start. */
  | {
      readonly type: "output";
      readonly uuid: string;
      readonly output: Uint8Array;
      readonly timestamp: bigint | undefined;
    }
  /** Client to server, from here to `undrop-platform`, but for the replies. */
  | { readonly type: "schedule"; readonly period: Period; readonly job: ScriptJob }
  | { readonly type: "schedule-orb"; readonly period: Period; readonly job: OrbJob }
  | {
      readonly type: "reschedule";
      readonly name: string;
      readonly next: number;
      readonly period: Period | undefined;
    }
  | { readonly type: "unschedule"; readonly name: string }
  | { readonly type: "execute"; readonly name: string; readonly platform: string | undefined }
  /** Of clients before version 12: on no particular platform. */
  | { readonly type: "execute-old"; readonly name: string }
  | { readonly type: "info" }
  | { readonly type: "observe"; readonly uuid: string }
  | { readonly type: "drop-platform"; readonly platform: string }
  | { readonly type: "undrop-platform"; readonly platform: string }
  /** Client or worker to server: the first message. */
  | { readonly type: "client-hello"; readonly role: "client" | "worker"; readonly version: number }
  | { readonly type: "server-hello" }
  | { readonly type: "job-requested"; readonly platform: string }
  /** Server to client. */
  | { readonly type: "success" }
  | { readonly type: "failure"; readonly message: string }
  | {
      readonly type: "info-reply";
      readonly schedule: readonly ScheduleItem[];
      readonly queues: readonly PlatformQueue[];
      readonly running: readonly RunningJob[];
      readonly dropped: readonly string[];
    }
  /**
   * For clients before version 13. Its times are written as UTCTime, and it must have no period `never`: they know
   * neither.
   */
  | {
      readonly type: "info-reply-old";
      readonly schedule: readonly ScheduleItem[];
      readonly queues: readonly PlatformQueue[];
      readonly running: readonly RunningJob[];
    };

export type MessageType = Message["type"];

/** For the state file, too. */
export const SCHEDULE_ITEM: Der<ScheduleItem> = scheduleItem(time());
export const QUEUE: Der<PlatformQueue> = sequence({ platform: utf8(), jobs: sequenceOf(JOB) });

function scheduleItem(next: Der<number>): Der<ScheduleItem> {
  return sequence({ next, period: PERIOD, job: JOB });
}

function runningJob(started: Der<number>): Der<RunningJob> {
  return sequence({ started, uuid: UUID, job: SCRIPT_JOB });
}

const roles = choice({ client: explicit(0, nothing()), worker: explicit(1, nothing()) });
const ROLE: Der<"client" | "worker"> = map(
  roles,
  ({ type }): "client" | "worker" => type,
  (type) => ({ type }),
);

const MESSAGE: Der<Message> = choice({
  "job-schedule": explicit(2, sequence({ uuid: UUID, job: SCRIPT_JOB })),
  "job-finished": explicit(3, sequence({ uuid: UUID, result: RESULT, files: FILES })),
  output: explicit(4, sequence({ uuid: UUID, output: utf8Bytes(), timestamp: optional(integer()) })),
  schedule: explicit(5, sequence({ period: PERIOD, job: SCRIPT_JOB })),
  info: explicit(6, nothing()),
  "info-reply-old": explicit(
    7,
    sequence({
      schedule: sequenceOf(scheduleItem(utcTime())),
      queues: sequenceOf(QUEUE),
      running: sequenceOf(runningJob(utcTime())),
    }),
  ),
  unschedule: explicit(9, named("name", utf8())),
  observe: explicit(10, named("uuid", UUID)),
  "execute-old": explicit(11, named("name", utf8())),
  "schedule-orb": explicit(12, sequence({ period: PERIOD, job: orbJob() })),
  reschedule: explicit(13, sequence({ name: utf8(), next: time(), period: optional(PERIOD) })),
  "client-hello": explicit(14, sequence({ role: ROLE, version: smallInteger() })),
  "server-hello": explicit(15, nothing()),
  "job-requested": explicit(16, named("platform", utf8())),
  "drop-platform": explicit(17, named("platform", utf8())),
  success: explicit(18, nothing()),
  failure: explicit(19, named("message", utf8())),
  execute: explicit(20, sequence({ name: utf8(), platform: optional(utf8()) })),
  "undrop-platform": explicit(21, named("platform", utf8())),
  "info-reply": explicit(
    22,
    sequence({
      schedule: sequenceOf(SCHEDULE_ITEM),
      queues: sequenceOf(QUEUE),
      running: sequenceOf(runningJob(time())),
      dropped: sequenceOf(utf8()),
    }),
  ),
});

/** The message that a frame's payload is. Byte strings in it are views of the payload. Throws DerError. */
export function decodeMessage(payload: Uint8Array): Message {
  return decode(MESSAGE, payload);
}

/** A message as a frame's payload. Throws DerError for what can't be written: half a character, a year 10000. */
export function encodeMessage(message: Message): Uint8Array {
  return encode(MESSAGE, message);
}
