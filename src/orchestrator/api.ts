/**
 * What the orchestrator offers to the server: types, and what a configuration is by default. Expected outcomes (not found, conflict, over a policy, no
 * room) are values, a `Refusal`; only faults are thrown. Times are milliseconds since 1970, memory is in MiB as it is
 * in albatross, other sizes are bytes.
 *
 * Every method takes the actor in whose name it acts. A unikernel outside of the actor's path is not there for it:
 * not-found, not forbidden.
 */
import type { ConsoleCursor, ConsoleItem, ConsoleLine, ConsolePage, ConsoleQuery } from "./console/line.ts";
import type { Sha256 } from "../lib/sha256.ts";
import type { PolicyPath, UnikernelName } from "./names.ts";
import type { Resolution, StatsSample, StatsSeries } from "./stats/sample.ts";

export type { ConsoleCursor, ConsoleItem, ConsoleLine, ConsolePage, ConsoleQuery };
export type { PolicyPath, Sha256, UnikernelName };
export type { Resolution, StatsSample, StatsSeries };

declare const brand: unique symbol;

/** Stays the same for a unikernel's life, through renames. */
export type UnikernelId = string & { readonly [brand]: "UnikernelId" };

/* ---- who ---- */

/** In whose name something is done. */
export interface Actor {
  /** For the record of changes: a user's name, `token NAME`, `system`. */
  readonly who: string;
  /** What it may see and touch: everything at or below this path. The root's path is everything. */
  readonly path: PolicyPath;
}

/* ---- what a unikernel is made of ---- */

export type RestartPolicy =
  | { readonly kind: "no" }
  | {
      /** After an end that wasn't a success: any status but 0, or a signal. */
      readonly kind: "on-failure";
      /** How often in a row it is tried again; null for no limit. */
      readonly limit: number | null;
    }
  | {
      /** After every end that wasn't asked for. */
      readonly kind: "always";
    }
  | {
      /** albatross's: after these statuses (null: all), at once the first time, never after a signal. */
      readonly kind: "albatross";
      readonly codes: readonly number[] | null;
    };

export interface NetworkConfig {
  /** The device's name in the image's manifest. */
  readonly device: string;
  /** A network's name; null for one of the device's name, the first device being on `service` where there is none. */
  readonly network: string | null;
  /** `xx:xx:xx:xx:xx:xx`; null for the one that follows from name and device. */
  readonly mac: string | null;
  /** An IPv4 address in the network; null for the one that the network leases. */
  readonly address: string | null;
}

export interface BlockConfig {
  /** The device's name in the image's manifest. */
  readonly device: string;
  /** The volume's name. */
  readonly volume: string;
  /** Bytes; null for 512. */
  readonly sectorSize: number | null;
}

export interface PublishConfig {
  readonly protocol: "tcp" | "udp";
  /** The host's address to listen on; null for all. */
  readonly hostAddress: string | null;
  readonly hostPort: number;
  readonly guestPort: number;
}

/** Everything that can be changed without another image. */
export interface UnikernelConfig {
  readonly memoryMb: number;
  /** The processors it may run on; null: robur chooses the least loaded of those that its policy allows. */
  readonly cpus: readonly number[] | null;
  /** The guest's arguments, without `--name` and without those for addresses. */
  readonly args: readonly string[];
  /** Tell the guest its name by `--name=LABEL`. Taken back for good when the guest turns out not to know it. */
  readonly addName: boolean;
  /** Tell the guest its address by `--ipv4=` and `--ipv4-gateway=` where its network leases one. */
  readonly addAddress: boolean;
  readonly networks: readonly NetworkConfig[];
  readonly blocks: readonly BlockConfig[];
  readonly publish: readonly PublishConfig[];
  readonly restart: RestartPolicy;
  /** 0 to 1000; smaller starts earlier when the server starts. */
  readonly priority: number;
  /** Free words of the owner's. */
  readonly labels: Readonly<Record<string, string>>;
}

/** What a field is that nobody gave. Networks and blocks are matched with the manifest where that is unambiguous. */
export const DEFAULT_CONFIG: UnikernelConfig = {
  memoryMb: 32,
  cpus: null,
  args: [],
  addName: true,
  addAddress: true,
  networks: [],
  blocks: [],
  publish: [],
  restart: { kind: "on-failure", limit: null },
  priority: 50,
  labels: {},
};

/* ---- how it is doing ---- */

export type UnikernelState =
  "created" | "starting" | "running" | "stopping" | "stopped" | "failed" | "backing-off";

/** How its process ended. */
export type Exit =
  | { readonly kind: "status"; readonly status: number }
  /** `SIGSEGV`, or `signal 40` for one without a name. */
  | { readonly kind: "signal"; readonly signal: string }
  /** It ended while no server was there to see it. */
  | { readonly kind: "unknown" };

export interface UnikernelView {
  readonly id: UnikernelId;
  readonly name: UnikernelName;
  readonly image: ImageView;
  readonly config: UnikernelConfig;
  readonly state: UnikernelState;
  /** One sentence on why it is in this state, for people; null where there is nothing to say. */
  readonly reason: string | null;
  /** What its owner wants. */
  readonly desired: "running" | "stopped";
  /** It fails again and again soon after its start. */
  readonly isLooping: boolean;
  readonly createdAt: number;
  /** When the state last changed. */
  readonly since: number;
  /** When the guest that runs now was started; null where none runs. */
  readonly startedAt: number | null;
  /** The last end of its process; null before the first. */
  readonly exit: Exit | null;
  readonly exitedAt: number | null;
  /** Starts that nobody asked for, since it was created. */
  readonly restarts: number;
  /** When it is tried again; null outside of backing-off. */
  readonly nextRetryAt: number | null;
  readonly pid: number | null;
  /** The processors that it runs on now. */
  readonly cpus: readonly number[] | null;
  /** What it was given, while it has a process. */
  readonly networks: readonly NetworkView[];
  readonly publish: readonly PublishConfig[];
  /** Behind the last byte of its console that the server has seen. */
  readonly consoleEnd: ConsoleCursor;
  /** The configuration or image was changed since it was started: a restart would make it count. */
  readonly hasPendingChanges: boolean;
}

export interface NetworkView {
  readonly device: string;
  readonly network: string;
  readonly mac: string;
  /** With the prefix's length: `10.44.0.7/24`. */
  readonly address: string | null;
  readonly gateway: string | null;
  /** The host's interface. */
  readonly tap: string | null;
}

export interface ImageView {
  readonly sha256: Sha256;
  /** Bytes. */
  readonly size: number;
  readonly target: "hvt" | "spt";
  readonly abiVersion: number;
  readonly devices: readonly { readonly name: string; readonly type: "net" | "block" }[];
  readonly createdAt: number;
  readonly usedBy: readonly UnikernelName[];
}

/* ---- what can be asked ---- */

/** `started`: the answer comes once the guest runs or has failed, with its first console lines. */
export type Wait = "started" | "no";

export interface CreateRequest {
  readonly name: UnikernelName;
  /** An image that was put before. */
  readonly image: Sha256;
  readonly config: Partial<UnikernelConfig>;
  /** Default: true. */
  readonly start?: boolean;
  readonly wait?: Wait;
  /**
   * A unikernel of this name is replaced, and stopped only once everything about the new one is known to be in
   * order. Default: false, and such a one is a conflict.
   */
  readonly replace?: boolean;
}

export interface UpdateRequest {
  readonly config?: Partial<UnikernelConfig>;
  readonly image?: Sha256;
  /** Restart it to make the change count, if it runs. Default: false. */
  readonly restart?: boolean;
  readonly wait?: Wait;
}

/** What became of a start. */
export interface Started {
  readonly unikernel: UnikernelView;
  /** The first lines of this start, if it was waited for. */
  readonly console: readonly ConsoleLine[];
}

export type Refusal =
  | { readonly code: "not-found"; readonly message: string; readonly hint?: string }
  /** The name is taken, or the unikernel is in a state in which this makes no sense. */
  | { readonly code: "conflict"; readonly message: string; readonly hint?: string }
  | {
      readonly code: "over-policy";
      readonly path: PolicyPath;
      readonly limit: PolicyLimit;
      readonly message: string;
      readonly hint?: string;
    }
  /** The machine has not enough of it. */
  | {
      readonly code: "no-resources";
      readonly resource: "memory" | "cpu" | "disk";
      readonly message: string;
      readonly hint?: string;
    }
  /** No image of that hash was put. */
  | { readonly code: "image-missing"; readonly message: string; readonly hint?: string }
  /** The bytes are no unikernel that this machine can run. */
  | { readonly code: "bad-image"; readonly message: string; readonly hint?: string }
  /** A value is out of range, or the devices don't match the image's manifest. */
  | { readonly code: "bad-config"; readonly message: string; readonly hint?: string }
  /** The actor's path doesn't reach so far. */
  | { readonly code: "not-permitted"; readonly message: string; readonly hint?: string };

export type Outcome<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusal: Refusal };

/* ---- policies ---- */

/** What the unikernels at or below a path may use together, as albatross has it. */
export interface Policy {
  /** How many may run at once. */
  readonly unikernels: number;
  readonly memoryMb: number;
  readonly cpus: readonly number[];
  /** MiB of all volumes; null for none at all. */
  readonly blockMb: number | null;
  /** Networks and bridges. */
  readonly bridges: readonly string[];
}

export type PolicyLimit = "unikernels" | "memory" | "cpus" | "block" | "bridges";

export interface PolicyView {
  readonly path: PolicyPath;
  readonly policy: Policy;
  /** What is used of it now. */
  readonly used: { readonly unikernels: number; readonly memoryMb: number; readonly blockMb: number };
}

/* ---- what happened ---- */

export type EventKind =
  | "created"
  | "starting"
  | "running"
  | "stopping"
  | "stopped"
  | "failed"
  | "backing-off"
  | "looping"
  | "adopted"
  | "updated"
  | "renamed"
  | "removed"
  | "policy-set"
  | "policy-removed"
  | "image-put"
  | "image-removed"
  | "server-started"
  | "server-stopped"
  | "backup-failed"
  | "build-finished"
  | "build-failed"
  | "build-differs"
  | "warning";

export interface OrchestratorEvent {
  /** Grows by each event; the cursor of a stream. */
  readonly id: number;
  readonly at: number;
  readonly kind: EventKind;
  /** Whose event it is: a unikernel's path, the policy's own, the root's for the server's. */
  readonly path: PolicyPath;
  readonly unikernel: { readonly id: UnikernelId; readonly name: UnikernelName } | null;
  /** One sentence. */
  readonly text: string;
  /** Who asked for it. */
  readonly who: string;
}

/* ---- the whole ---- */

export interface Orchestrator {
  create(actor: Actor, request: CreateRequest): Promise<Outcome<Started>>;
  start(actor: Actor, name: UnikernelName, options?: { readonly wait?: Wait }): Promise<Outcome<Started>>;
  /** Answers once its process is gone: SIGTERM, and SIGKILL after `graceMs` (default 10 s). */
  stop(
    actor: Actor,
    name: UnikernelName,
    options?: { readonly graceMs?: number },
  ): Promise<Outcome<UnikernelView>>;
  restart(actor: Actor, name: UnikernelName, options?: { readonly wait?: Wait }): Promise<Outcome<Started>>;
  /** Forgets it. A running one is a conflict unless `force`, which stops it first. */
  remove(
    actor: Actor,
    name: UnikernelName,
    options?: { readonly force?: boolean },
  ): Promise<Outcome<UnikernelView>>;
  /** Within one path or between two; a running one keeps what it was told at its start. */
  rename(actor: Actor, name: UnikernelName, to: UnikernelName): Promise<Outcome<UnikernelView>>;
  updateConfig(actor: Actor, name: UnikernelName, request: UpdateRequest): Promise<Outcome<Started>>;

  /** All in the actor's path, or those at or below `path`, by name. From memory. */
  list(actor: Actor, options?: { readonly path?: PolicyPath }): readonly UnikernelView[];
  inspect(actor: Actor, name: UnikernelName): Outcome<UnikernelView>;

  readonly console: {
    /** A bounded page of lines that are there already. */
    read(actor: Actor, name: UnikernelName, query?: ConsoleQuery): Outcome<ConsolePage>;
    /**
     * Lines from where the query says and on, through restarts, until `signal` or until the unikernel is removed. A
     * reader that is slow costs nothing: it reads the log at its own pace, and is told by a gap what it missed.
     */
    follow(
      actor: Actor,
      name: UnikernelName,
      query: ConsoleQuery,
      signal: AbortSignal,
    ): Outcome<AsyncIterable<ConsoleItem>>;
  };

  readonly events: {
    /** Newest last. `after`: only later ones; `name`: only of one unikernel. At most `limit` (default 100). */
    read(
      actor: Actor,
      options?: { readonly after?: number; readonly limit?: number; readonly name?: UnikernelName },
    ): readonly OrchestratorEvent[];
    /** Those after `after` (default: from now on), and on as they come, until `signal`. */
    follow(
      actor: Actor,
      options: { readonly after?: number; readonly name?: UnikernelName },
      signal: AbortSignal,
    ): AsyncIterable<OrchestratorEvent>;
  };

  readonly stats: {
    /** The newest sample of each running unikernel in the actor's path. */
    latest(actor: Actor): ReadonlyMap<UnikernelName, StatsSample>;
    /** The course of one, oldest first: the last ten minutes at 10 s, then as rolled up. */
    series(
      actor: Actor,
      name: UnikernelName,
      options: { readonly resolution: Resolution; readonly since?: number },
    ): Outcome<StatsSeries>;
    /** Each sampling of those in the actor's path, until `signal`. */
    follow(actor: Actor, signal: AbortSignal): AsyncIterable<ReadonlyMap<UnikernelName, StatsSample>>;
    /** For `/metrics`, in Prometheus's text format. */
    prometheus(): string;
  };

  readonly policies: {
    list(actor: Actor): readonly PolicyView[];
    set(actor: Actor, path: PolicyPath, policy: Policy): Outcome<PolicyView>;
    remove(actor: Actor, path: PolicyPath): Outcome<PolicyView>;
  };

  readonly images: {
    /** Reads a stream to its end and keeps it once it is known to be whole and a unikernel. */
    put(actor: Actor, bytes: ReadableStream<Uint8Array> | Uint8Array): Promise<Outcome<ImageView>>;
    has(sha256: Sha256): boolean;
    inspect(sha256: Sha256): Outcome<ImageView>;
    list(): readonly ImageView[];
    /** The bytes, in pieces. */
    read(sha256: Sha256): Outcome<ReadableStream<Uint8Array>>;
  };

  /** Records an event that isn't a unikernel's, for whoever follows events. */
  tell(kind: "backup-failed" | "build-finished" | "build-failed" | "build-differs", text: string): void;
  /**
   * Ends supervision. Unikernels go on running, for the next server to find, unless `stopUnikernels`: those are
   * started again by the next server, for that is still what their owner wants.
   */
  shutdown(options?: { readonly stopUnikernels?: boolean }): Promise<void>;
}
