/**
 * The shell around the state machine: it writes each step to the database and only then performs it. A server may be
 * killed at any point in here. What it was about to do is in the database; a tender that it started and didn't get to
 * record is found by its token, which was recorded before.
 */
import type { Database } from "bun:sqlite";
import { DatabaseError } from "../db/database-error.ts";
import { write } from "../db/open.ts";
import { RoburError, errorLine } from "../lib/errors.ts";
import { close, readSmallFile } from "../linux/libc.ts";
import { TenderError, type TenderErrorCode } from "../tender/tender-error.ts";
import { ImageError } from "../image/image-error.ts";
import type { EventKind, Exit, UnikernelId, UnikernelName } from "./api.ts";
import type { Attachments, Prepared } from "./attachments.ts";
import { printable } from "../lib/printable.ts";
import type { ConsoleStore } from "./console/store.ts";
import type { EventLog } from "./events.ts";
import type { ImageStore } from "./images.ts";
import { type Launched, launchTender, untilGuestRuns } from "./launch.ts";
import { type LifecycleAction, type LifecycleEvent, mayHaveProcess, step, timerOf } from "./lifecycle.ts";
import { ROOT_PATH, labelOf, pathOf } from "./names.ts";
import { bootId, findTenders, newToken } from "./process/identity.ts";
import { ProcessWatch, type WatchedProcess } from "./process/watch.ts";
import { type RunRecord, type UnikernelRecord, deleteUnikernel, putUnikernel } from "./records.ts";
import { type Unit, unitFor, untilStep } from "./unit.ts";

export interface SupervisorOptions {
  readonly db: Database;
  /** Eight hexadecimal digits: see process/identity.ts. */
  readonly instance: string;
  readonly images: ImageStore;
  readonly consoles: ConsoleStore;
  readonly events: EventLog;
  readonly attachments: Attachments;
  /** Chooses the processors for a start, null for all of them. */
  readonly placeOnCpus: (record: UnikernelRecord) => readonly number[] | null;
  /** A process was started or adopted for a unikernel: limits, accounts. */
  readonly onProcess?: (record: UnikernelRecord, pid: number) => void;
  /** It ended. */
  readonly onEnd?: (record: UnikernelRecord) => void;
  /** A step of its life was made. */
  readonly onStep?: (unit: Unit) => void;
  readonly now: () => number;
  readonly random: () => number;
}

/** In whose name things happen that nobody asked for. */
export const SYSTEM = "system";
/** How many are started at the same time. */
const STARTS_AT_ONCE = 4;
/** A step that could not be written is tried again after this. */
const WRITE_RETRY_MS = 1000;
/** How long to wait for a log that something still holds. */
const HELD_ATTEMPTS = 40;
const HELD_PAUSE_MS = 50;
/** What of a guest's last line is told as a reason. */
const LAST_WORDS_MAX = 300;

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #units = new Map<UnikernelId, Unit>();
  readonly #names = new Map<UnikernelName, Unit>();
  readonly #watch = new ProcessWatch();
  readonly #waitingStarts: (() => void)[] = [];
  #starts = 0;
  #isClosing = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** A living process that is no unikernel's. */
  stranger(pid: number, startTicks: number): WatchedProcess | undefined {
    return this.#watch.adopt(pid, startTicks);
  }

  get units(): Iterable<Unit> {
    return this.#units.values();
  }

  find(name: UnikernelName): Unit | undefined {
    return this.#names.get(name);
  }

  get(id: UnikernelId): Unit | undefined {
    return this.#units.get(id);
  }

  /** Takes a record into memory. */
  add(record: UnikernelRecord, isReady: boolean): Unit {
    const unit = unitFor(record, isReady);
    this.#units.set(record.id, unit);
    this.#names.set(record.name, unit);
    return unit;
  }

  /** Forgets one that never came to be. */
  drop(unit: Unit): void {
    unit.isGone = true;
    this.#units.delete(unit.record.id);
    this.#names.delete(unit.record.name);
  }

  /* ---- steps ---- */

  /**
   * One step of a unikernel's life: written, then told, then performed. `change` is written with it. Throws
   * DatabaseError; then nothing has happened.
   */
  dispatch(
    unit: Unit,
    event: LifecycleEvent,
    who: string,
    change: Partial<Pick<UnikernelRecord, "run" | "config" | "image">> = {},
  ): void {
    if (unit.isGone) return;
    const { now, random } = this.#options;
    const context = {
      now: now(),
      random: random(),
      restart: unit.record.config.restart,
      wasNamed: unit.record.run?.isNamed ?? false,
    };
    const { state, actions } = step(unit.record.lifecycle, event, context);
    const isForgotten = actions.some((action) => action.do === "forget");
    this.#write(unit, { ...unit.record, ...change, lifecycle: state }, actions, who, isForgotten);
    if (isForgotten) this.#forget(unit);
    this.#setTimer(unit);
    for (const action of actions) this.#perform(unit, action);
    for (const wake of unit.watchers) wake();
    this.#options.onStep?.(unit);
  }

  #write(
    unit: Unit,
    record: UnikernelRecord,
    actions: readonly LifecycleAction[],
    who: string,
    isForgotten: boolean,
  ): void {
    const { db, now } = this.#options;
    const isNews = isForgotten || actions.some((action) => action.do === "tell");
    if (!isNews && Bun.deepEquals(record, unit.record)) return;
    write(db, () => {
      if (isForgotten) deleteUnikernel(db, record.id);
      else putUnikernel(db, record);
      for (const action of actions) {
        if (action.do === "tell") this.#tell(record, action.kind, action.text, who, now());
      }
      if (isForgotten) this.#tell(record, "removed", "removed", who, now());
    });
    unit.record = record;
    if (isNews) this.#options.events.announce();
  }

  #tell({ id, name }: UnikernelRecord, kind: EventKind, text: string, who: string, at: number): void {
    this.#options.events.add({ kind, text, who, path: pathOf(name), unikernel: { id, name } }, at);
  }

  /** A step that nobody waits for: what can't be written now is tried again, in order. */
  post(unit: Unit, event: LifecycleEvent, change: Partial<Pick<UnikernelRecord, "run">> = {}): void {
    if (this.#isClosing) return;
    try {
      this.dispatch(unit, event, SYSTEM, change);
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      console.error(`robur: ${unit.record.name}: ${errorLine(error)}; trying again`);
      setTimeout(() => this.post(unit, event, change), WRITE_RETRY_MS);
    }
  }

  /** Writes a record without a step. Throws DatabaseError. */
  put(unit: Unit, record: UnikernelRecord, tell?: { kind: EventKind; text: string; who: string }): void {
    const { db, now, events } = this.#options;
    write(db, () => {
      putUnikernel(db, record);
      if (tell !== undefined) this.#tell(record, tell.kind, tell.text, tell.who, now());
    });
    if (record.name !== unit.record.name) {
      this.#names.delete(unit.record.name);
      this.#names.set(record.name, unit);
    }
    unit.record = record;
    if (tell !== undefined) events.announce();
  }

  #perform(unit: Unit, action: LifecycleAction): void {
    switch (action.do) {
      case "launch":
        unit.launching = this.#launch(unit);
        return;
      case "signal":
        unit.process?.signal(action.signal);
        return;
      case "forget":
      case "tell":
    }
  }

  #setTimer(unit: Unit): void {
    clearTimeout(unit.timer);
    unit.timer = undefined;
    const at = timerOf(unit.record.lifecycle);
    if (at === null || unit.isGone || this.#isClosing) return;
    const delay = Math.max(0, at - this.#options.now());
    unit.timer = setTimeout(() => this.post(unit, { kind: "due" }), delay);
  }

  #forget(unit: Unit): void {
    const { id, name } = unit.record;
    const { attachments, consoles } = this.#options;
    unit.isGone = true;
    this.#units.delete(id);
    this.#names.delete(name);
    unit.releasing = unit.releasing.then(() => attachments.forget(id, name)).catch(report(name));
    consoles.remove(id);
  }

  /* ---- starting ---- */

  /** Never throws: what keeps a unikernel from starting is a step of its life. */
  async #launch(unit: Unit): Promise<void> {
    await this.#takeTurn();
    try {
      await unit.releasing;
      await this.#launchNow(unit);
    } catch (error) {
      // What the file system says is an error of another class; a fault of robur's own must not end the server.
      if (!(error instanceof RoburError)) console.error(`robur: ${unit.record.name}:`, error);
      const reason =
        error instanceof Error && !(error instanceof RoburError) ? error.message : errorLine(error);
      this.#refuse(unit, reason, !(error instanceof RoburError) || mayPass(error));
    } finally {
      this.#starts -= 1;
      this.#waitingStarts.shift()?.();
    }
  }

  async #takeTurn(): Promise<void> {
    if (this.#starts >= STARTS_AT_ONCE) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waitingStarts.push(resolve);
      await promise;
    }
    this.#starts += 1;
  }

  #refuse(unit: Unit, reason: string, mayPass: boolean): void {
    this.post(unit, { kind: "refused", reason, mayPass }, { run: null });
  }

  async #launchNow(unit: Unit): Promise<void> {
    const { images, attachments } = this.#options;
    if (!this.#isWanted(unit)) return;
    // What is started is what is recorded now; it may be changed while this waits.
    const { record } = unit;
    const { id, name, config } = record;
    using image = images.borrow(record.image);
    if (image === undefined) return this.#refuse(unit, `its image ${record.image} is gone`, false);
    const log = await this.#openLog(unit);
    if (log === undefined) return;
    try {
      const devices = image.unikernel.manifest.entries.flatMap(({ name, type }) =>
        type === "NET_BASIC" || type === "BLOCK_BASIC"
          ? [{ name, type: type === "NET_BASIC" ? ("net" as const) : ("block" as const) }]
          : [],
      );
      const prepared = await attachments.prepare({ id, name, devices, ...config });
      let launched: Launched;
      try {
        if (!this.#isWanted(unit)) throw new NotWanted();
        const run = this.#runFor(record, prepared, log.start);
        const args = [
          ...(run.isNamed ? [`--name=${labelOf(name)}`] : []),
          ...prepared.bootArguments,
          ...config.args,
        ];
        this.put(unit, { ...unit.record, run });
        const { token, cpus } = run;
        launched = launchTender({ name, token, image, config, args, prepared, console: log.fd, cpus });
      } catch (error) {
        for (const fd of prepared.held) close(fd);
        await attachments.release(id, name);
        if (error instanceof NotWanted) return;
        throw error;
      }
      unit.consoleStart = log.start;
      this.#began(unit, launched);
      await prepared.started(launched.process.pid).catch(report(name));
    } finally {
      close(log.fd);
    }
  }

  /** It is still to be started; otherwise what was wanted instead is done. */
  #isWanted(unit: Unit): boolean {
    if (!unit.isGone && unit.record.lifecycle.phase.kind === "starting" && !this.#isClosing) return true;
    this.#refuse(unit, "stopped before it was started", false);
    return false;
  }

  async #openLog(unit: Unit): Promise<{ readonly fd: number; readonly start: number } | undefined> {
    const { consoles, instance } = this.#options;
    const { id, run } = unit.record;
    for (let attempt = 0; attempt < HELD_ATTEMPTS; attempt++) {
      const log = consoles.openForStart(id);
      if (log !== undefined) return log;
      // A tender of its own holds it, of which nobody knew: it was being started when the server was killed.
      const found = run === null ? undefined : findTenders(instance).get(run.token);
      if (found !== undefined && this.adopt(unit, found.pid, found.startTicks)) {
        this.post(unit, { kind: "recovered", process: "alive", rebooted: false });
        return undefined;
      }
      await Bun.sleep(HELD_PAUSE_MS);
    }
    this.#refuse(unit, "an earlier process of it is still there and holds its console", true);
    return undefined;
  }

  #runFor(record: UnikernelRecord, prepared: Prepared, consoleStart: number): RunRecord {
    const { instance, now, placeOnCpus } = this.#options;
    const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
    return {
      name: record.name,
      token: newToken(instance, random),
      pid: null,
      startTicks: null,
      boot: bootId(),
      startedAt: now(),
      image: record.image,
      config: record.config,
      cpus: placeOnCpus(record),
      networks: prepared.networks,
      isNamed: record.config.addName && !record.lifecycle.knowsNoName,
      consoleStart,
    };
  }

  #began(unit: Unit, { process, startTicks }: Launched): void {
    unit.startedMono = performance.now();
    const run: RunRecord = { ...unit.record.run!, pid: process.pid, startTicks };
    this.#supervise(unit, process);
    this.post(unit, { kind: "launched" }, { run });
    void untilGuestRuns(process).then((runs) => {
      if (runs && unit.process === process) this.post(unit, { kind: "ran" });
      return undefined;
    });
  }

  #supervise(unit: Unit, process: WatchedProcess): void {
    unit.process = process;
    this.#options.onProcess?.(unit.record, process.pid);
    void process.ended.then((exit) => this.#ended(unit, process, exit));
  }

  #ended(unit: Unit, process: WatchedProcess, exit: Exit): void {
    if (this.#isClosing && !this.#isSuspending(unit)) return;
    if (unit.process !== process) return;
    unit.process = undefined;
    this.#options.onEnd?.(unit.record);
    const { name, run } = unit.record;
    unit.releasing = unit.releasing.then(() => this.#release(unit, run?.name ?? name)).catch(report(name));
    const ranForMs = Math.max(0, performance.now() - unit.startedMono);
    // A tender that gives up says why, on the console.
    const lastWords = exit.kind === "status" && exit.status === 1 ? this.lastWords(unit) : undefined;
    this.post(unit, { kind: "exited", exit, ranForMs, lastWords }, { run: null });
  }

  /** The last line of its last start's console, safe to show. */
  lastWords(unit: Unit): string | undefined {
    const { items } = this.#options.consoles.read(unit.record.id, { tail: 1 }, true);
    const last = items.at(-1);
    if (last?.kind !== "line" || last.line.cursor <= unit.consoleStart) return undefined;
    return printable(last.line.bytes).slice(0, LAST_WORDS_MAX);
  }

  /** Takes back what it was given, under the name that it had then. */
  async #release({ record: { id, name } }: Unit, given: UnikernelName): Promise<void> {
    const { attachments } = this.#options;
    await attachments.release(id, given);
    if (given !== name) await attachments.rename(id, given, name);
  }

  #isSuspending(unit: Unit): boolean {
    const { phase } = unit.record.lifecycle;
    return phase.kind === "stopping" && phase.next === "suspend";
  }

  /** Supervises a living process that another server started. False when it has ended meanwhile. */
  adopt(unit: Unit, pid: number, startTicks: number): boolean {
    const process = this.#watch.adopt(pid, startTicks);
    if (process === undefined || unit.record.run === null) return false;
    const age = uptimeMs() - startTicks * 10;
    unit.startedMono = performance.now() - Math.max(0, age);
    unit.record = { ...unit.record, run: { ...unit.record.run, pid, startTicks } };
    this.#supervise(unit, process);
    return true;
  }

  /* ---- the server's own life ---- */

  /** Something that its owner should know, and nobody asked for. */
  warn(text: string): void {
    console.error(`robur: ${text}`);
    try {
      this.announce("warning", text);
    } catch (error) {
      // It was said on standard error, and what can't be written is no reason to do nothing else.
      if (!(error instanceof DatabaseError)) throw error;
      console.error(`robur: ${errorLine(error)}`);
    }
  }

  /** An event of the server's own. */
  announce(kind: EventKind, text: string, who = SYSTEM, path = ROOT_PATH): void {
    const { db, events, now } = this.#options;
    write(db, () => events.add({ kind, text, who, path, unikernel: null }, now()));
    events.announce();
  }

  /** Ends supervision; with `suspend` also every process, to be started again by the next server. */
  async close(suspend: boolean, graceMs: number): Promise<void> {
    if (suspend) {
      const units = [...this.#units.values()].filter(({ record }) => mayHaveProcess(record.lifecycle));
      for (const unit of units) {
        this.dispatch(unit, { kind: "stop", graceMs, next: "suspend" }, SYSTEM);
      }
      await Promise.all(units.map((unit) => untilStep(unit, () => !mayHaveProcess(unit.record.lifecycle))));
      await Promise.all(units.map((unit) => unit.releasing));
    }
    this.#isClosing = true;
    this.#watch[Symbol.dispose]();
    for (const unit of this.#units.values()) {
      clearTimeout(unit.timer);
      for (const wake of unit.watchers) wake();
    }
    await Promise.all([...this.#units.values()].map(({ launching }) => launching));
  }
}

/** What another try can't mend. */
const FINAL: ReadonlySet<TenderErrorCode> = new Set<TenderErrorCode>([
  ...(["not-declared", "not-attached", "bad-option", "bad-memory", "arguments-too-long"] as const),
  ...(["kvm-missing", "kvm-not-permitted", "unknown-user", "privileges"] as const),
]);

function mayPass(error: RoburError): boolean {
  return !(error instanceof ImageError) && !(error instanceof TenderError && FINAL.has(error.code));
}

/** A start that was overtaken by a stop. */
class NotWanted extends Error {}

/** Milliseconds since the boot, on the clock of process start times. */
function uptimeMs(): number {
  return Number((readSmallFile("/proc/uptime") ?? "0").split(" ")[0]) * 1000;
}

/** For what is done after the fact, when nobody is there any more to be told but the log. */
function report(name: UnikernelName): (error: unknown) => void {
  return (error) => console.error(`robur: ${name}: ${errorLine(error)}`);
}
