/** The orchestrator as the server sees it: checks what is asked for, and has the supervisor do it. */
import type { Database } from "bun:sqlite";
import { join } from "node:path";
import { DatabaseError } from "../db/database-error.ts";
import { errorLine } from "../lib/errors.ts";
import { instanceOf } from "../network/names.ts";
import { Admission } from "./admission.ts";
import type {
  Actor,
  ConsoleItem,
  ConsoleQuery,
  CreateRequest,
  ImageView,
  Orchestrator,
  Outcome,
  PolicyPath,
  Started,
  UnikernelConfig,
  UnikernelId,
  UnikernelName,
  UnikernelView,
  UpdateRequest,
  Wait,
} from "./api.ts";
import type { Attachments } from "./attachments.ts";
import { CgroupTree } from "./cgroups.ts";
import { completeConfig } from "./config.ts";
import { ConsoleFollower } from "./console/follow.ts";
import { ConsoleStore } from "./console/store.ts";
import { EventLog } from "./events.ts";
import { firstLines } from "./first-lines.ts";
import { ImageStore } from "./images.ts";
import { initialLifecycle, mayHaveProcess } from "./lifecycle.ts";
import { ROOT_PATH, isNameWithin, pathOf } from "./names.ts";
import { conflict, notFound, ok, outside, refuse } from "./outcome.ts";
import { USUAL_RULES } from "./policies.ts";
import { policyMethods } from "./policy-methods.ts";
import { readUnikernels } from "./records.ts";
import { recover } from "./recover.ts";
import { type Host, readHost } from "./resources.ts";
import { StatsKeeper } from "./stats/keeper.ts";
import { Supervisor } from "./supervisor.ts";
import { volumesByPath } from "./volumes/limits.ts";
import { type Unit, untilStep, viewOf } from "./unit.ts";

export interface OrchestratorOptions {
  readonly db: Database;
  /** Consoles are kept in `consoles/` of it. */
  readonly dataDirectory: string;
  readonly attachments: Attachments;
  /** All policies above a path bind it. Default: true. */
  readonly policiesBindChildren?: boolean;
  /** Bytes kept of each console. Default: 4 MiB. */
  readonly consoleBytes?: number;
  /** What the machine has. Default: what this one has. */
  readonly host?: Host;
  /** Default: 10 s. */
  readonly statsIntervalMs?: number;
  /** Below /sys/fs/cgroup; default: where it can, none where it can't. */
  readonly useCgroups?: boolean;
  /** This boot of the machine; another one than recorded means that nothing can be running. For tests. */
  readonly boot?: string;
  readonly now?: () => number;
  readonly random?: () => number;
}

const GRACE_MS = 10_000;
const TICK_MS = 1000;
/** Unused images are looked for once in so many ticks. */
const COLLECT_EVERY = 600;

export interface OpenOrchestrator extends Orchestrator {
  /** Everything that should run was found running, was started, or has failed to. */
  readonly recovered: Promise<void>;
}

/**
 * Opens the orchestrator on a database of which this process has the server's lock. It answers at once; finding and
 * starting goes on behind it (`recovered`), and what is asked about a unikernel waits for it. Throws DatabaseError.
 */
export function openOrchestrator(options: OrchestratorOptions): OpenOrchestrator {
  return new Facade(options);
}

class Facade implements OpenOrchestrator {
  readonly #options: OrchestratorOptions;
  readonly #now: () => number;
  readonly #images: ImageStore;
  readonly #consoles: ConsoleStore;
  readonly #follower: ConsoleFollower;
  readonly #events: EventLog;
  readonly #hasNetwork = (name: string) => this.#options.attachments.hasNetwork(name);
  readonly #supervisor: Supervisor;
  readonly #admission: Admission;
  readonly #stats: StatsKeeper;
  readonly #cgroups: CgroupTree;
  readonly #ticker: ReturnType<typeof setInterval>;
  #ticks = 0;
  #hasShutDown = false;
  /** Images of unikernels, so that a list needs no database. */
  readonly #imageViews = new Map<string, ImageView>();
  readonly recovered: Promise<void>;

  constructor(options: OrchestratorOptions) {
    this.#options = options;
    const { db, dataDirectory, attachments, now = Date.now, random = Math.random } = options;
    const instance = instanceOf(dataDirectory);
    this.#now = now;
    this.#images = new ImageStore(db, now);
    this.#consoles = new ConsoleStore(db, join(dataDirectory, "consoles"), {
      now,
      ...(options.consoleBytes === undefined ? {} : { keep: options.consoleBytes }),
    });
    this.#events = new EventLog(db);
    this.#follower = new ConsoleFollower(this.#consoles, (id) => this.#isAlive(id));
    this.#cgroups = new CgroupTree(instance, options.useCgroups ?? true);
    this.#supervisor = new Supervisor({
      db,
      instance,
      images: this.#images,
      consoles: this.#consoles,
      events: this.#events,
      attachments,
      placeOnCpus: (record) => this.#admission.place(this.#supervisor.get(record.id)!),
      onProcess: ({ id, run, config, image }, pid) => {
        this.#cgroups.limit(id, pid, run?.config ?? config, this.#imageOf(image).target);
      },
      onEnd: ({ id }) => {
        this.#cgroups.remove(id);
        this.#stats.ended(id);
        this.#recordConsoles([id]);
      },
      onStep: ({ record }) => this.#follower.nudge(record.id),
      now,
      random,
    });
    this.#admission = new Admission({
      db,
      host: options.host ?? readHost(),
      rules: { bindsChildren: options.policiesBindChildren ?? USUAL_RULES.bindsChildren },
      units: () => this.#supervisor.units,
      targetOf: ({ record }) => this.#imageOf(record.image).target,
      volumes: () => volumesByPath(attachments.volumeSizes()),
    });
    this.policies = policyMethods(this.#admission, this.#supervisor);
    // Before anything that would go on by itself: what can't be read is thrown from here.
    for (const record of readUnikernels(db)) this.#supervisor.add(record, false);
    this.#stats = new StatsKeeper({
      db,
      units: () => this.#supervisor.units,
      intervalMs: options.statsIntervalMs ?? 10_000,
      now,
    });
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    this.recovered = recover(this.#supervisor, instance, attachments, options.boot).finally(() => {
      // Whatever went wrong: they can be asked for.
      for (const unit of this.#supervisor.units) unit.markReady();
    });
  }

  /* ---- life ---- */

  async create(actor: Actor, request: CreateRequest): Promise<Outcome<Started>> {
    const { name, start = true, wait = "started", replace = false } = request;
    if (!isNameWithin(name, actor.path)) return outside(actor, name);
    const before = this.#supervisor.find(name);
    if (before !== undefined) await before.ready;
    if (before !== undefined && !replace) return conflict(`there is a unikernel ${name} already`);
    const image = this.#images.inspect(request.image);
    if (!image.ok) return image;
    const config = completeConfig(name, request.config, image.value, this.#hasNetwork);
    if (!config.ok) return config;
    const candidate = { name, config: config.value, target: image.value.target };
    const refusal = start ? this.#admission.check(candidate, before) : undefined;
    if (refusal !== undefined) return refuse(refusal);
    if (before !== undefined) {
      const gone = await this.remove(actor, name, { force: true });
      if (!gone.ok && gone.refusal.code !== "not-found") return gone;
      if (this.#supervisor.find(name) !== undefined) return conflict(`there is a unikernel ${name} already`);
    }
    const unit = this.#make(name, request, config.value, start, actor.who);
    if (start) this.#supervisor.dispatch(unit, { kind: "start" }, actor.who);
    return ok(await this.#started(unit, start ? wait : "no"));
  }

  #make(
    name: UnikernelName,
    { image }: CreateRequest,
    config: UnikernelConfig,
    start: boolean,
    who: string,
  ): Unit {
    const now = this.#now();
    const id = crypto.getRandomValues(new Uint8Array(8)).toHex() as UnikernelId;
    const lifecycle = initialLifecycle(now, start ? "running" : "stopped");
    const record = { id, name, image, config, lifecycle, createdAt: now, run: null };
    const unit = this.#supervisor.add(record, true);
    try {
      this.#supervisor.put(unit, record, { kind: "created", text: "created", who });
    } catch (error) {
      this.#supervisor.drop(unit);
      throw error;
    }
    return unit;
  }

  async start(
    actor: Actor,
    name: UnikernelName,
    { wait = "started" }: { readonly wait?: Wait } = {},
  ): Promise<Outcome<Started>> {
    const unit = await this.#find(actor, name);
    if (unit === undefined) return notFound(name);
    const { config, image, lifecycle } = unit.record;
    if (lifecycle.phase.kind === "running") return conflict(`${name} runs already`);
    const refusal = this.#admission.check({ name, config, target: this.#imageOf(image).target }, unit);
    if (refusal !== undefined) return refuse(refusal);
    this.#supervisor.dispatch(unit, { kind: "start" }, actor.who);
    return ok(await this.#started(unit, wait));
  }

  async stop(
    actor: Actor,
    name: UnikernelName,
    { graceMs = GRACE_MS }: { readonly graceMs?: number } = {},
  ): Promise<Outcome<UnikernelView>> {
    const unit = await this.#find(actor, name);
    if (unit === undefined) return notFound(name);
    this.#supervisor.dispatch(unit, { kind: "stop", graceMs, next: "stop" }, actor.who);
    await untilStep(unit, () => unit.isGone || !mayHaveProcess(unit.record.lifecycle));
    await unit.releasing;
    return ok(this.#view(unit));
  }

  async restart(
    actor: Actor,
    name: UnikernelName,
    { wait = "started" }: { readonly wait?: Wait } = {},
  ): Promise<Outcome<Started>> {
    const unit = await this.#find(actor, name);
    if (unit === undefined) return notFound(name);
    const { config, image } = unit.record;
    const refusal = this.#admission.check({ name, config, target: this.#imageOf(image).target }, unit);
    if (refusal !== undefined) return refuse(refusal);
    this.#supervisor.dispatch(unit, { kind: "stop", graceMs: GRACE_MS, next: "restart" }, actor.who);
    return ok(await this.#started(unit, wait));
  }

  async remove(
    actor: Actor,
    name: UnikernelName,
    { force = false }: { readonly force?: boolean } = {},
  ): Promise<Outcome<UnikernelView>> {
    const unit = await this.#find(actor, name);
    if (unit === undefined) return notFound(name);
    if (!force && mayHaveProcess(unit.record.lifecycle)) {
      return conflict(`${name} is ${unit.record.lifecycle.phase.kind}`, `robur stop ${name}, or rm --force`);
    }
    const view = this.#view(unit);
    this.#supervisor.dispatch(unit, { kind: "remove", graceMs: GRACE_MS }, actor.who);
    await untilStep(unit, () => unit.isGone);
    await unit.releasing;
    this.#follower.nudge(unit.record.id);
    return ok(view);
  }

  async rename(actor: Actor, name: UnikernelName, to: UnikernelName): Promise<Outcome<UnikernelView>> {
    const unit = await this.#find(actor, name);
    if (unit === undefined) return notFound(name);
    if (!isNameWithin(to, actor.path)) return outside(actor, to);
    if (this.#supervisor.find(to) !== undefined) return conflict(`there is a unikernel ${to} already`);
    const { config, image, id, lifecycle } = unit.record;
    const isElsewhere = pathOf(to) !== pathOf(name);
    if (isElsewhere && config.blocks.length > 0)
      return conflict(`${name} has volumes, which belong to its path`);
    if (lifecycle.desired === "running" && isElsewhere) {
      const refusal = this.#admission.check({ name: to, config, target: this.#imageOf(image).target }, unit);
      if (refusal !== undefined) return refuse(refusal);
    }
    const text = `renamed from ${name} to ${to}`;
    this.#supervisor.put(unit, { ...unit.record, name: to }, { kind: "renamed", text, who: actor.who });
    if (unit.record.run === null) await this.#options.attachments.rename(id, name, to);
    return ok(this.#view(unit));
  }

  async updateConfig(actor: Actor, name: UnikernelName, request: UpdateRequest): Promise<Outcome<Started>> {
    const unit = await this.#find(actor, name);
    if (unit === undefined) return notFound(name);
    const image = this.#images.inspect(request.image ?? unit.record.image);
    if (!image.ok) return image;
    const config = completeConfig(
      name,
      request.config ?? {},
      image.value,
      this.#hasNetwork,
      unit.record.config,
    );
    if (!config.ok) return config;
    const candidate = { name, config: config.value, target: image.value.target };
    const isToRun = unit.record.lifecycle.desired === "running";
    const refusal = isToRun ? this.#admission.check(candidate, unit) : undefined;
    if (refusal !== undefined) return refuse(refusal);
    const { lifecycle, image: before } = unit.record;
    // Another image may know --name, and so may other arguments.
    const mayKnowName =
      request.image !== undefined || request.config?.args !== undefined || request.config?.addName;
    const record = {
      ...unit.record,
      config: config.value,
      image: image.value.sha256,
      lifecycle: mayKnowName ? { ...lifecycle, knowsNoName: false } : lifecycle,
    };
    const what =
      before === record.image ? "configuration changed" : `image changed to ${record.image.slice(0, 12)}`;
    this.#supervisor.put(unit, record, { kind: "updated", text: what, who: actor.who });
    const restarts = request.restart === true && mayHaveProcess(unit.record.lifecycle);
    if (!restarts) return ok(await this.#started(unit, "no"));
    return this.restart(actor, name, { wait: request.wait ?? "started" });
  }

  /** What became of a start, once it is known. */
  async #started(unit: Unit, wait: Wait): Promise<Started> {
    if (wait === "no") return { unikernel: this.#view(unit), console: [] };
    const isOver = () => unit.isGone || !isOnTheWay(unit);
    await untilStep(unit, isOver);
    const lines = await firstLines(unit, this.#consoles);
    return { unikernel: this.#view(unit), console: lines };
  }

  /* ---- looking ---- */

  list(actor: Actor, { path = ROOT_PATH }: { readonly path?: PolicyPath } = {}): readonly UnikernelView[] {
    const views: UnikernelView[] = [];
    for (const unit of this.#supervisor.units) {
      const { name } = unit.record;
      if (isNameWithin(name, actor.path) && isNameWithin(name, path)) views.push(this.#view(unit));
    }
    return views.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  inspect(actor: Actor, name: UnikernelName): Outcome<UnikernelView> {
    const unit = this.#visible(actor, name);
    return unit === undefined ? notFound(name) : ok(this.#view(unit));
  }

  #visible(actor: Actor, name: UnikernelName): Unit | undefined {
    return isNameWithin(name, actor.path) ? this.#supervisor.find(name) : undefined;
  }

  /** One that may be acted on: this server knows by now how it is. */
  async #find(actor: Actor, name: UnikernelName): Promise<Unit | undefined> {
    await this.#visible(actor, name)?.ready;
    return this.#visible(actor, name);
  }

  #view(unit: Unit): UnikernelView {
    const { id, image } = unit.record;
    const end = unit.isGone ? (0 as never) : this.#consoles.end(id);
    return viewOf(unit, this.#imageOf(image), end, this.#now());
  }

  #imageOf(sha256: UnikernelView["image"]["sha256"]): ImageView {
    const known = this.#imageViews.get(sha256);
    if (known !== undefined) return known;
    const found = this.#images.inspect(sha256);
    if (!found.ok) throw new Error(`the image ${sha256} is in use and isn't there`);
    const view = { ...found.value, usedBy: [] };
    this.#imageViews.set(sha256, view);
    return view;
  }

  #isAlive(id: UnikernelId): boolean | undefined {
    const unit = this.#supervisor.get(id);
    return unit === undefined ? undefined : mayHaveProcess(unit.record.lifecycle);
  }

  readonly console: Orchestrator["console"] = {
    read: (actor, name, query = {}) => {
      const unit = this.#visible(actor, name);
      if (unit === undefined) return notFound(name);
      const { id } = unit.record;
      return ok(this.#consoles.read(id, query, this.#isAlive(id) !== true));
    },
    follow: (
      actor: Actor,
      name: UnikernelName,
      query: ConsoleQuery,
      signal: AbortSignal,
    ): Outcome<AsyncIterable<ConsoleItem>> => {
      const unit = this.#visible(actor, name);
      return unit === undefined ? notFound(name) : ok(this.#follower.follow(unit.record.id, query, signal));
    },
  };

  readonly events: Orchestrator["events"] = {
    read: (actor, { name, ...query } = {}) => this.#events.read(actor, this.#only(actor, name, query)),
    follow: (actor, { name, ...query }, signal) =>
      this.#events.follow(actor, this.#only(actor, name, query), signal),
  };

  #only<T extends object>(
    actor: Actor,
    name: UnikernelName | undefined,
    query: T,
  ): T & { unikernel?: UnikernelId } {
    if (name === undefined) return query;
    return { ...query, unikernel: this.#visible(actor, name)?.record.id ?? ("" as UnikernelId) };
  }

  readonly stats: Orchestrator["stats"] = {
    latest: (actor) => this.#stats.latest(actor),
    series: (actor, name, { resolution, since }) => {
      const unit = this.#visible(actor, name);
      return unit === undefined
        ? notFound(name)
        : ok(this.#stats.series(unit.record.id, resolution, since ?? 0));
    },
    follow: (actor, signal) => this.#stats.follow(actor, signal),
    prometheus: () => this.#stats.prometheus(),
  };

  readonly policies: Orchestrator["policies"];

  readonly images: Orchestrator["images"] = {
    put: async (actor, bytes) => {
      const put = await this.#images.put(bytes);
      if (put.ok) {
        const text = `image ${put.value.sha256.slice(0, 12)} was put (${put.value.target})`;
        this.#supervisor.announce("image-put", text, actor.who, actor.path);
      }
      return put;
    },
    has: (sha256) => this.#images.has(sha256),
    inspect: (sha256) => this.#images.inspect(sha256),
    list: () => this.#images.list(),
    read: (sha256) => this.#images.read(sha256),
  };

  /* ---- the server's life ---- */

  #tick(): void {
    this.#ticks += 1;
    const running: UnikernelId[] = [];
    for (const { record } of this.#supervisor.units) {
      if (mayHaveProcess(record.lifecycle) || this.#ticks % 60 === 0) running.push(record.id);
    }
    this.#recordConsoles(running);
    if (this.#ticks % COLLECT_EVERY === 0) attempt(() => this.#collect());
  }

  #recordConsoles(ids: readonly UnikernelId[]): void {
    attempt(() => this.#consoles.keepTime(ids));
  }

  #collect(): void {
    for (const sha256 of this.#images.collect()) {
      this.#imageViews.delete(sha256);
      this.#supervisor.announce("image-removed", `image ${sha256.slice(0, 12)} was removed, nobody uses it`);
    }
  }

  tell(kind: Parameters<Orchestrator["tell"]>[0], text: string): void {
    this.#supervisor.announce(kind, text);
  }

  async shutdown({ stopUnikernels = false }: { readonly stopUnikernels?: boolean } = {}): Promise<void> {
    if (this.#hasShutDown) return;
    this.#hasShutDown = true;
    clearInterval(this.#ticker);
    this.#stats[Symbol.dispose]();
    await this.#supervisor.close(stopUnikernels, GRACE_MS);
    await this.recovered.catch(() => undefined);
    this.#tick();
    this.#supervisor.announce("server-stopped", stopUnikernels ? "stopped, with all unikernels" : "stopped");
    this.#follower[Symbol.dispose]();
    this.#images[Symbol.dispose]();
  }
}

/** A disk that is full now may have room the next time, and what is to be recorded is still there then. */
function attempt(action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    console.error(`robur: ${errorLine(error)}`);
  }
}

/** A start of it was decided on and has come to no end yet. */
function isOnTheWay({ record: { lifecycle } }: Unit): boolean {
  const { phase } = lifecycle;
  return phase.kind === "starting" || (phase.kind === "stopping" && phase.next === "restart");
}
