/** One unikernel as the supervisor has it in memory: its record, and what only this server knows of it. */
import type { ConsoleCursor, ImageView, UnikernelView } from "./api.ts";
import { isLooping, mayHaveProcess, stateOf } from "./lifecycle.ts";
import type { WatchedProcess } from "./process/watch.ts";
import type { UnikernelRecord } from "./records.ts";

export interface Unit {
  record: UnikernelRecord;
  process: WatchedProcess | undefined;
  /** `performance.now()` of its process's start, as far as it is known: the clock on the wall may be set. */
  startedMono: number;
  timer: ReturnType<typeof setTimeout> | undefined;
  /** What its last run was given is being taken back. */
  releasing: Promise<void>;
  launching: Promise<void> | undefined;
  /** Where the console of its last start begins. */
  consoleStart: number;
  /** This server has found out about it; until then nothing is asked of it. */
  readonly ready: Promise<void>;
  readonly markReady: () => void;
  /** Called after each step of its life. */
  readonly watchers: Set<() => void>;
  /** It is removed. */
  isGone: boolean;
}

/** A unit for a record. */
export function unitFor(record: UnikernelRecord, isReady: boolean): Unit {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (isReady) resolve();
  return {
    record,
    process: undefined,
    startedMono: performance.now(),
    timer: undefined,
    releasing: Promise.resolve(),
    launching: undefined,
    consoleStart: record.run?.consoleStart ?? 0,
    ready: promise,
    markReady: resolve,
    watchers: new Set(),
    isGone: false,
  };
}

/** Waits until `condition` holds, looking after each step. */
export async function untilStep(unit: Unit, condition: () => boolean): Promise<void> {
  while (!condition()) {
    const { promise, resolve } = Promise.withResolvers<void>();
    unit.watchers.add(resolve);
    await promise;
    unit.watchers.delete(resolve);
  }
}

/** What people are shown of it. */
export function viewOf(unit: Unit, image: ImageView, consoleEnd: ConsoleCursor, now: number): UnikernelView {
  const { id, name, config, createdAt, lifecycle, run } = unit.record;
  const { phase } = lifecycle;
  const has = mayHaveProcess(lifecycle) && run !== null && run.pid !== null;
  return {
    id,
    name,
    image,
    config,
    state: stateOf(lifecycle),
    reason: lifecycle.reason,
    desired: lifecycle.desired,
    isLooping: isLooping(lifecycle, now),
    createdAt,
    since: lifecycle.since,
    startedAt: has ? run.startedAt : null,
    exit: lifecycle.exit,
    exitedAt: lifecycle.exitedAt,
    restarts: lifecycle.restarts,
    nextRetryAt: phase.kind === "backing-off" ? phase.until : null,
    pid: has ? run.pid : null,
    cpus: has ? run.cpus : null,
    networks: has ? run.networks : [],
    publish: has ? run.config.publish : [],
    consoleEnd,
    hasPendingChanges: has && (run.image !== unit.record.image || !Bun.deepEquals(run.config, config)),
  };
}
