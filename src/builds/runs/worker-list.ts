/** Workers that were heard of lately. Nothing is decided by it but how long one may be silent. */
import type { BuildId, Platform, Run, RunId, WorkerIdentity, WorkerView } from "../api.ts";

/** A worker that asked for work; one for each process, also where two have one name. */
export interface SeenWorker {
  readonly identity: WorkerIdentity;
  seenAt: number;
  run: RunId | null;
  /** Requests for work that are not answered yet. */
  waiting: number;
}

export class WorkerList {
  readonly #seen = new Map<string, SeenWorker>();
  readonly #builds = new Map<BuildId, SeenWorker>();

  /** It asks for work. */
  meet(identity: WorkerIdentity, now: number): SeenWorker {
    const key = keyOf(identity);
    const seen = this.#seen.get(key) ?? { identity, seenAt: now, run: null, waiting: 0 };
    seen.seenAt = now;
    seen.run = null;
    this.#seen.set(key, seen);
    return seen;
  }

  /** It was given work. */
  give(seen: SeenWorker, uuid: BuildId, run: RunId): void {
    seen.run = run;
    for (const [earlier, by] of this.#builds) if (by === seen) this.#builds.delete(earlier);
    this.#builds.set(uuid, seen);
  }

  /** It said something about an attempt; one that an earlier server gave work to wasn't met before. */
  hear(uuid: BuildId, run: Run, otherwise: WorkerIdentity, now: number): void {
    const seen = this.#builds.get(uuid) ?? this.meet(otherwise, now);
    seen.seenAt = now;
    this.#seen.set(keyOf(seen.identity), seen);
    if (!this.#builds.has(uuid)) this.give(seen, uuid, run.id);
    seen.run = run.id;
  }

  /** Whether an attempt's worker is on this machine, as far as is known. */
  isHere(uuid: BuildId): boolean {
    return this.#builds.get(uuid)?.identity.address === HERE;
  }

  /** Of a connection that ended while it waited. */
  leave(identity: WorkerIdentity): void {
    const seen = this.#seen.get(keyOf(identity));
    if (seen !== undefined && seen.waiting === 0) this.#forget(seen);
  }

  /** All of this name have ended. */
  forget(name: string): void {
    for (const seen of this.#seen.values()) if (seen.identity.name === name) this.#forget(seen);
  }

  /** Forgets those that were not heard of since. `goesOn`: whether an attempt does, whose worker may be back. */
  forgetSilent(since: number, goesOn: (uuid: BuildId) => boolean): void {
    for (const [uuid] of this.#builds) if (!goesOn(uuid)) this.#builds.delete(uuid);
    const building = new Set(this.#builds.values());
    for (const seen of this.#seen.values()) {
      if (seen.waiting === 0 && seen.seenAt < since && !building.has(seen)) this.#forget(seen);
    }
  }

  #forget(seen: SeenWorker): void {
    this.#seen.delete(keyOf(seen.identity));
    for (const [uuid, by] of this.#builds) if (by === seen) this.#builds.delete(uuid);
  }

  /** Each of these has a worker. */
  platforms(): ReadonlySet<Platform> {
    return new Set([...this.#seen.values()].flatMap(({ identity }) => identity.platforms));
  }

  /** By name. `runOf`: a run as it is now. */
  views(runOf: (id: RunId) => Run | undefined): readonly WorkerView[] {
    return [...this.#seen.values()]
      .map(({ identity, seenAt, run, waiting }): WorkerView => {
        const { name, platforms, link, address } = identity;
        const current = run === null || waiting > 0 ? undefined : runOf(run);
        const isBuilding = current?.state === "running" && current.worker === name;
        const state = isBuilding ? ("building" as const) : ("waiting" as const);
        return { name, platforms, link, address, seenAt, state, run: isBuilding ? run : null };
      })
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}

/** The address of who comes by the Unix socket. */
export const HERE = "local";

function keyOf({ name, instance = "" }: WorkerIdentity): string {
  return `${name} ${instance}`;
}
