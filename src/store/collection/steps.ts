/** Work in steps of a few milliseconds, with as long a rest after each: what else the process does has its turn. */
import type { Database } from "bun:sqlite";
import { write } from "../../db/open.ts";

const STEP_MS = 4;

export class Steps {
  readonly #db: Database;
  readonly #signal: AbortSignal | undefined;
  #since = performance.now();

  constructor(db: Database, signal?: AbortSignal) {
    this.#db = db;
    this.#signal = signal;
  }

  /** Whether somebody ended the work. */
  get isOver(): boolean {
    return this.#signal?.aborted === true;
  }

  /** Does `action` for each item, as many in one transaction as there is time for. */
  async each<T>(items: readonly T[], action: (item: T) => void): Promise<void> {
    for (let at = 0; at < items.length && !this.isOver;) {
      at = write(this.#db, () => {
        const end = performance.now() + STEP_MS;
        let done = at;
        do action(items[done++]!);
        while (done < items.length && performance.now() < end);
        return done;
      });
      await this.rest();
    }
  }

  /** Rests for as long as the work went on since the last time, where that was long enough to be felt. */
  async rest(): Promise<void> {
    const worked = performance.now() - this.#since;
    if (worked < 1) return;
    await Bun.sleep(Math.min(worked, 4 * STEP_MS));
    this.#since = performance.now();
  }
}
