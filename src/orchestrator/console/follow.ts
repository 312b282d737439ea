/**
 * Following consoles. One timer looks whether the followed ones have grown: often while something comes, seldom
 * while nothing does. Each reader then reads for itself, a page at a time, and lets others have their turn between
 * two pages, so a guest that floods its console slows down nobody but its own readers.
 */
import type { UnikernelId } from "../api.ts";
import type { ConsoleItem, ConsoleQuery } from "./line.ts";
import type { ConsoleStore } from "./store.ts";

const QUICK_MS = 10;
const SLOW_MS = 160;
const PAGE = 500;

interface Waiter {
  readonly id: UnikernelId;
  readonly from: number;
  readonly wake: () => void;
}

export class ConsoleFollower implements Disposable {
  readonly #store: ConsoleStore;
  /** Whether a unikernel's console may still grow; undefined once it is removed. */
  readonly #isAlive: (id: UnikernelId) => boolean | undefined;
  readonly #waiters = new Set<Waiter>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #interval = QUICK_MS;
  #isOver = false;

  constructor(store: ConsoleStore, isAlive: (id: UnikernelId) => boolean | undefined) {
    this.#store = store;
    this.#isAlive = isAlive;
  }

  /** What is there from where the query says, and what comes, until `signal` or until the unikernel is removed. */
  async *follow(id: UnikernelId, query: ConsoleQuery, signal: AbortSignal): AsyncGenerator<ConsoleItem> {
    let next: ConsoleQuery = { ...query, limit: PAGE };
    while (!signal.aborted && !this.#isOver) {
      const isAlive = this.#isAlive(id);
      if (isAlive === undefined) return;
      const page = this.#store.read(id, next, !isAlive);
      next = { after: page.next, limit: PAGE };
      for (const item of page.items) {
        if (signal.aborted) return;
        yield item;
      }
      if (page.items.length > 0) await nextTurn();
      else await this.#growth(id, page.end, isAlive, signal);
    }
  }

  /** Something happened to a unikernel that its readers must see at once: it ended, or it is gone. */
  nudge(id: UnikernelId): void {
    for (const waiter of this.#waiters) if (waiter.id === id) waiter.wake();
  }

  async #growth(id: UnikernelId, from: number, wasAlive: boolean, signal: AbortSignal): Promise<void> {
    if (this.#isAlive(id) !== wasAlive) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = () => resolve();
    const waiter: Waiter = { id, from, wake: stop };
    this.#waiters.add(waiter);
    signal.addEventListener("abort", stop, { once: true });
    this.#interval = QUICK_MS;
    this.#schedule();
    await promise;
    this.#waiters.delete(waiter);
    signal.removeEventListener("abort", stop);
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#waiters.size === 0 || this.#isOver) return;
    this.#timer = setTimeout(() => this.#look(), this.#interval);
  }

  #look(): void {
    this.#timer = undefined;
    const ends = new Map<UnikernelId, number>();
    let hasGrown = false;
    for (const { id, from, wake } of this.#waiters) {
      const end = ends.get(id) ?? this.#store.end(id);
      ends.set(id, end);
      if (end === from) continue;
      hasGrown = true;
      wake();
    }
    this.#interval = hasGrown ? QUICK_MS : Math.min(SLOW_MS, this.#interval * 2);
    this.#schedule();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    for (const { wake } of this.#waiters) wake();
  }
}

/** After everybody else that is ready. */
function nextTurn(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setImmediate(resolve);
  return promise;
}
