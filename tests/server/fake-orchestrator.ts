/** An orchestrator without unikernels: it answers as the real one does, keeps what it was asked, and starts nothing. */
import {
  type Actor,
  type ConsoleCursor,
  type ConsoleItem,
  type ConsoleLine,
  DEFAULT_CONFIG,
  type ImageView,
  type Orchestrator,
  type OrchestratorEvent,
  type Outcome,
  type Refusal,
  type Sha256,
  type Started,
  type UnikernelId,
  type UnikernelName,
  type UnikernelView,
} from "../../src/orchestrator/api.ts";
import { ROOT_PATH, isNameWithin } from "../../src/orchestrator/names.ts";

export const SHA = "ab".repeat(32) as Sha256;
const AT = 1_700_000_000_000;

export const IMAGE: ImageView = {
  sha256: SHA,
  size: 5,
  target: "spt",
  abiVersion: 2,
  devices: [
    { name: "service", type: "net" },
    { name: "data", type: "block" },
  ],
  createdAt: AT,
  usedBy: ["alice:web" as UnikernelName],
};

export function view(name: string, more: Partial<UnikernelView> = {}): UnikernelView {
  return {
    id: `id-${name}` as UnikernelId,
    name: name as UnikernelName,
    image: IMAGE,
    config: DEFAULT_CONFIG,
    state: "running",
    reason: null,
    desired: "running",
    isLooping: false,
    createdAt: AT,
    since: AT,
    startedAt: AT,
    exit: null,
    exitedAt: null,
    restarts: 0,
    nextRetryAt: null,
    pid: 4711,
    cpus: [0],
    networks: [],
    publish: [],
    consoleEnd: 0 as ConsoleCursor,
    hasPendingChanges: false,
    ...more,
  };
}

export function line(cursor: number, text: string | Uint8Array): ConsoleItem {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  const item: ConsoleLine = { cursor: cursor as ConsoleCursor, at: AT, bytes, isWhole: true };
  return { kind: "line", line: item };
}

export class FakeOrchestrator implements Orchestrator {
  readonly told: { readonly kind: string; readonly text: string }[] = [];
  readonly unikernels = [view("alice:web"), view("bob:web")];
  readonly lines: ConsoleItem[] = [line(10, "one"), line(20, "two"), line(30, "three")];
  readonly happened: OrchestratorEvent[] = [];
  /** What was asked, in order. */
  readonly asked: { readonly what: string; readonly actor: Actor; readonly more?: unknown }[] = [];
  /** What the next create answers. */
  refusal: Refusal | undefined;
  /** Bytes of images that were put. */
  received = 0;
  /** Streams that are open. */
  open = 0;
  hasShutDown = false;

  tell(kind: string, text: string): void {
    this.told.push({ kind, text });
  }

  #find(actor: Actor, name: UnikernelName): Outcome<UnikernelView> {
    const found = this.unikernels.find((candidate) => candidate.name === name);
    if (found !== undefined && isNameWithin(name, actor.path)) return { ok: true, value: found };
    return { ok: false, refusal: { code: "not-found", message: `there is no unikernel ${name}` } };
  }

  #do(what: string, actor: Actor, name: UnikernelName, more?: unknown): Outcome<UnikernelView> {
    this.asked.push({ what, actor, more });
    return this.#find(actor, name);
  }

  #started(outcome: Outcome<UnikernelView>): Outcome<Started> {
    return outcome.ok ? { ok: true, value: { unikernel: outcome.value, console: [] } } : outcome;
  }

  create: Orchestrator["create"] = async (actor, request) => {
    this.asked.push({ what: "create", actor, more: request });
    if (this.refusal !== undefined) return { ok: false, refusal: this.refusal };
    if (!isNameWithin(request.name, actor.path)) {
      return {
        ok: false,
        refusal: { code: "not-permitted", message: `${request.name} is not in your path` },
      };
    }
    return { ok: true, value: { unikernel: view(request.name), console: [] } };
  };
  start: Orchestrator["start"] = async (actor, name) => this.#started(this.#do("start", actor, name));
  stop: Orchestrator["stop"] = async (actor, name) => this.#do("stop", actor, name);
  restart: Orchestrator["restart"] = async (actor, name) => this.#started(this.#do("restart", actor, name));
  remove: Orchestrator["remove"] = async (actor, name, more) => this.#do("remove", actor, name, more);
  rename: Orchestrator["rename"] = async (actor, name, to) => this.#do("rename", actor, name, to);
  updateConfig: Orchestrator["updateConfig"] = async (actor, name, more) =>
    this.#started(this.#do("update", actor, name, more));
  list: Orchestrator["list"] = ({ path }) => this.unikernels.filter(({ name }) => isNameWithin(name, path));
  inspect: Orchestrator["inspect"] = (actor, name) => this.#find(actor, name);

  readonly console: Orchestrator["console"] = {
    read: (actor, name, query = {}) => {
      const found = this.#find(actor, name);
      if (found.ok === false) return found;
      const items = this.#after(query.after ?? 0).slice(-(query.tail ?? 1000));
      return { ok: true, value: { items, next: 30 as ConsoleCursor, end: 30 as ConsoleCursor } };
    },
    follow: (actor, name, query, signal) => {
      const found = this.#find(actor, name);
      if (!found.ok) return found;
      return { ok: true, value: this.#stream(this.#after(query.after ?? 0), signal) };
    },
  };

  readonly events: Orchestrator["events"] = {
    read: (actor, { after = 0 } = {}) => this.#eventsOf(actor).filter(({ id }) => id > after),
    follow: (actor, { after = 0 }, signal) =>
      this.#stream(
        this.#eventsOf(actor).filter(({ id }) => id > after),
        signal,
      ),
  };

  readonly stats: Orchestrator["stats"] = {
    latest: () => new Map(),
    series: (actor, name, { resolution }) => {
      const found = this.#find(actor, name);
      return found.ok ? { ok: true, value: { resolution, step: 10_000, points: [] } } : found;
    },
    follow: (_, signal) => this.#stream([], signal),
    prometheus: () => "robur_of_all 1\n",
  };

  readonly policies: Orchestrator["policies"] = {
    list: () => [],
    set: (_, path, policy) => ({
      ok: true,
      value: { path, policy, used: { unikernels: 0, memoryMb: 0, blockMb: 0 } },
    }),
    remove: (_, path) => ({
      ok: true,
      value: {
        path,
        policy: { unikernels: 1, memoryMb: 1, cpus: [], blockMb: null, bridges: [] },
        used: { unikernels: 0, memoryMb: 0, blockMb: 0 },
      },
    }),
  };

  readonly images: Orchestrator["images"] = {
    put: async (actor, bytes) => {
      this.asked.push({ what: "put", actor });
      if (bytes instanceof Uint8Array) this.received += bytes.length;
      else for await (const piece of bytes) this.received += piece.length;
      return { ok: true, value: IMAGE };
    },
    has: (sha256) => sha256 === SHA,
    inspect: (sha256) =>
      sha256 === SHA
        ? { ok: true, value: IMAGE }
        : { ok: false, refusal: { code: "image-missing", message: `there is no image ${sha256}` } },
    list: () => [IMAGE],
    read: () => ({ ok: true, value: new Response("image").body! }),
  };

  shutdown: Orchestrator["shutdown"] = async () => {
    this.hasShutDown = true;
  };

  #eventsOf({ path }: Actor): OrchestratorEvent[] {
    return this.happened.filter(({ unikernel }) =>
      unikernel === null ? path === ROOT_PATH : isNameWithin(unikernel.name, path),
    );
  }

  #after(cursor: number): ConsoleItem[] {
    return this.lines.filter((item) => item.kind === "line" && item.line.cursor > cursor);
  }

  /** What there is, and then silence until somebody ends it. */
  async *#stream<T>(items: readonly T[], signal: AbortSignal): AsyncGenerator<T> {
    this.open += 1;
    try {
      yield* items;
      if (signal.aborted) return;
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    } finally {
      this.open -= 1;
    }
  }
}
