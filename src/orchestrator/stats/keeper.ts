/** Looks at every running unikernel each ten seconds, keeps the last ten minutes here and the rest in the database. */
import type { Database } from "bun:sqlite";
import { readSmallFile } from "../../linux/libc.ts";
import { findCounters } from "../../tender/read-counters.ts";
import type { Actor, UnikernelId, UnikernelName } from "../api.ts";
import { isNameWithin } from "../names.ts";
import type { Unit } from "../unit.ts";
import { parseNetDev } from "./parse.ts";
import { type PrometheusSubject, prometheusText } from "./prometheus.ts";
import { SPAN, pointBetween, rollUp, spanOf } from "./roll-up.ts";
import type { Resolution, StatsPoint, StatsSample, StatsSeries } from "./sample.ts";
import { takeSample } from "./sampler.ts";
import { readPoints, recordMinutes } from "./store.ts";

export interface KeeperOptions {
  readonly db: Database;
  readonly units: () => Iterable<Unit>;
  readonly intervalMs: number;
  readonly now: () => number;
}

const RAW_POINTS = 60;

interface Kept {
  /** Where the counters of a process are, looked for once; undefined where it has none. */
  counters: { readonly pid: number; readonly startedAt: number; readonly fd: number | undefined } | undefined;
  last: StatsSample | undefined;
  /** The newest is the last. */
  readonly raw: StatsPoint[];
  /** Of the minute that hasn't passed. */
  minute: StatsPoint[];
}

/** The descriptor of a tender's counters. Looked for again only until its guest runs: from then on it is there. */
function countersOf(kept: Kept, { run, lifecycle }: Unit["record"]): number | undefined {
  if (run === null || run.pid === null) return undefined;
  const { pid, startedAt } = run;
  const known = kept.counters;
  if (known?.pid === pid && known.startedAt === startedAt) return known.fd;
  const fd = findCounters(pid);
  if (fd !== undefined || lifecycle.phase.kind === "running") kept.counters = { pid, startedAt, fd };
  return fd;
}

export class StatsKeeper implements Disposable {
  readonly #options: KeeperOptions;
  readonly #kept = new Map<UnikernelId, Kept>();
  readonly #timer: ReturnType<typeof setInterval>;
  #unwritten = new Map<UnikernelId, StatsPoint>();
  #waiting = new Set<() => void>();
  #isOver = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.sample(), options.intervalMs);
  }

  /** One round. */
  sample(): void {
    const now = this.#options.now();
    const interfaces = parseNetDev(readSmallFile("/proc/net/dev") ?? "");
    const there = new Set<UnikernelId>();
    for (const { record } of this.#options.units()) {
      there.add(record.id);
      if (record.run === null || record.run.pid === null) continue;
      const { pid, startedAt, networks } = record.run;
      const kept = this.#keptOf(record.id);
      const counters = countersOf(kept, record);
      const sample = takeSample({ pid, startedAt, networks, counters }, kept.last, interfaces, now);
      if (sample !== undefined) this.#keep(record.id, kept, sample);
    }
    for (const id of this.#kept.keys()) if (!there.has(id)) this.#kept.delete(id);
    this.#record(now);
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const wake of waiting) wake();
  }

  #keptOf(id: UnikernelId): Kept {
    const known = this.#kept.get(id);
    if (known !== undefined) return known;
    const kept: Kept = { counters: undefined, last: undefined, raw: [], minute: [] };
    this.#kept.set(id, kept);
    return kept;
  }

  #keep(id: UnikernelId, kept: Kept, sample: StatsSample): void {
    const point = pointBetween(kept.last, sample);
    kept.last = sample;
    kept.raw.push(point);
    if (kept.raw.length > RAW_POINTS) kept.raw.shift();
    const [first] = kept.minute;
    const minute = spanOf(point.at, SPAN.minute.ms);
    if (first !== undefined && spanOf(first.at, SPAN.minute.ms) !== minute) this.#endMinute(id, kept);
    kept.minute.push(point);
  }

  #endMinute(id: UnikernelId, kept: Kept): void {
    const [first] = kept.minute;
    if (first === undefined) return;
    this.#unwritten.set(id, rollUp(kept.minute, spanOf(first.at, SPAN.minute.ms)));
    kept.minute = [];
  }

  /** What can't be written now is tried again with the next minute's, or is lost by then: it is only figures. */
  #record(now: number): void {
    try {
      recordMinutes(this.#options.db, this.#unwritten, now);
      this.#unwritten = new Map();
    } catch (error) {
      console.error(`robur: statistics: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** A unikernel's process has ended: its next one counts from zero. */
  ended(id: UnikernelId): void {
    const kept = this.#kept.get(id);
    if (kept !== undefined) kept.last = undefined;
  }

  latest(actor: Actor): Map<UnikernelName, StatsSample> {
    const latest = new Map<UnikernelName, StatsSample>();
    for (const { record } of this.#options.units()) {
      const sample = this.#kept.get(record.id)?.last;
      if (sample !== undefined && isNameWithin(record.name, actor.path)) latest.set(record.name, sample);
    }
    return latest;
  }

  series(id: UnikernelId, resolution: Resolution, since: number): StatsSeries {
    if (resolution === "raw") {
      const points = (this.#kept.get(id)?.raw ?? []).filter(({ at }) => at >= since);
      return { resolution, step: this.#options.intervalMs, points };
    }
    return {
      resolution,
      step: SPAN[resolution].ms,
      points: readPoints(this.#options.db, id, resolution, since),
    };
  }

  async *follow(actor: Actor, signal: AbortSignal): AsyncGenerator<ReadonlyMap<UnikernelName, StatsSample>> {
    while (!signal.aborted && !this.#isOver) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const stop = () => resolve();
      this.#waiting.add(stop);
      signal.addEventListener("abort", stop, { once: true });
      await promise;
      signal.removeEventListener("abort", stop);
      if (!signal.aborted && !this.#isOver) yield this.latest(actor);
    }
  }

  prometheus(): string {
    const subjects: PrometheusSubject[] = [];
    for (const { record } of this.#options.units()) {
      const { name, lifecycle, config } = record;
      subjects.push({
        name,
        state: lifecycle.phase.kind,
        restarts: lifecycle.restarts,
        memoryMb: config.memoryMb,
        sample: record.run === null ? undefined : this.#kept.get(record.id)?.last,
      });
    }
    return prometheusText(subjects);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#isOver = true;
    for (const [id, kept] of this.#kept) this.#endMinute(id, kept);
    this.#record(this.#options.now());
    for (const wake of this.#waiting) wake();
  }
}
