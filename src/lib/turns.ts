/**
 * Long work in small pieces, on the thread that others need too. Awaiting what is there already gives nobody a turn: only
 * when the event loop goes round do sockets and timers have one.
 */

/** Milliseconds of work between two turns of the others. */
const WORK_MS = 4;

export class Turns {
  #since = performance.now();

  /** Whether the others have waited long enough. */
  get isDue(): boolean {
    return performance.now() - this.#since >= WORK_MS;
  }

  /** Lets the others have their turn where it is due; to be called between two pieces of work. */
  async give(): Promise<void> {
    if (!this.isDue) return;
    await new Promise<void>((resolve) => void setImmediate(resolve));
    this.#since = performance.now();
  }
}
