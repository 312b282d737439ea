/** What happened, in the order in which it did: kept in the database, and told to whoever follows. */
import type { Database } from "bun:sqlite";
import type { Actor, EventKind, OrchestratorEvent, PolicyPath, UnikernelId, UnikernelName } from "./api.ts";

/** How many are kept. */
const KEPT = 20_000;
/** Old ones are dropped once in so many. */
const TRIM_EVERY = 1000;
const PAGE = 500;

export interface NewEvent {
  readonly kind: EventKind;
  readonly path: PolicyPath;
  readonly unikernel: OrchestratorEvent["unikernel"];
  readonly text: string;
  readonly who: string;
}

interface Row {
  id: number;
  at: number;
  kind: EventKind;
  path: string;
  unikernel: string | null;
  name: string | null;
  text: string;
  who: string;
}

export interface EventQuery {
  readonly after?: number;
  readonly limit?: number;
  /** Only those of this unikernel. */
  readonly unikernel?: UnikernelId;
}

/** The log of events. Followers hold a place in it, not a queue: one that is slow costs nothing. */
export class EventLog {
  readonly #db: Database;
  #waiting = new Set<() => void>();

  constructor(db: Database) {
    this.#db = db;
  }

  /** Writes one, within a transaction of the caller's; call `announce` once that is committed. */
  add(event: NewEvent, at: number): void {
    const { kind, path, unikernel, text, who } = event;
    const { lastInsertRowid } = this.#db
      .query<unknown, (string | number | null)[]>(
        "INSERT INTO event (at, kind, path, unikernel, name, text, who) VALUES (?, ?, ?, ?, ?, ?, ?)",
      )
      .run(at, kind, path, unikernel?.id ?? null, unikernel?.name ?? null, text, who);
    const id = Number(lastInsertRowid);
    if (id % TRIM_EVERY === 0) this.#db.query("DELETE FROM event WHERE id <= ?").run(id - KEPT);
  }

  /** Wakes those that wait for new ones. */
  announce(): void {
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const wake of waiting) wake();
  }

  /** The number of the newest. */
  last(): number {
    return this.#db.query<{ id: number | null }, []>("SELECT max(id) AS id FROM event").get()?.id ?? 0;
  }

  /** Those that the actor may see, oldest first: behind `after`, or else the newest. */
  read(actor: Actor, { after, limit = 100, unikernel }: EventQuery = {}): OrchestratorEvent[] {
    const count = Math.min(Math.max(1, limit), PAGE);
    const rows = this.#db
      .query<Row, { [name: string]: string | number | null }>(
        `SELECT * FROM event
         WHERE id > $after AND ($unikernel IS NULL OR unikernel = $unikernel)
           AND ($path = '' OR path = $path OR substr(path, 1, length($path) + 1) = $path || ':')
         ORDER BY id ${after === undefined ? "DESC" : "ASC"} LIMIT $count`,
      )
      .all({ after: after ?? 0, unikernel: unikernel ?? null, path: actor.path, count });
    const events = rows.map(toEvent);
    return after === undefined ? events.toReversed() : events;
  }

  /** On and on, until `signal`. */
  async *follow(actor: Actor, query: EventQuery, signal: AbortSignal): AsyncGenerator<OrchestratorEvent> {
    let after = query.after ?? this.last();
    while (!signal.aborted) {
      const last = this.last();
      const events = this.read(actor, { ...query, after, limit: PAGE });
      yield* events;
      // Those that the actor may not see are not looked at again.
      after = events.length === PAGE ? events.at(-1)!.id : Math.max(last, events.at(-1)?.id ?? 0, after);
      if (events.length < PAGE && this.last() === after) await this.#more(signal);
    }
  }

  async #more(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    const stop = () => resolve();
    signal.addEventListener("abort", stop, { once: true });
    await promise;
    this.#waiting.delete(resolve);
    signal.removeEventListener("abort", stop);
  }
}

function toEvent({ unikernel, name, path, ...row }: Row): OrchestratorEvent {
  return {
    ...row,
    path: path as PolicyPath,
    unikernel:
      unikernel === null || name === null
        ? null
        : { id: unikernel as UnikernelId, name: name as UnikernelName },
  };
}
