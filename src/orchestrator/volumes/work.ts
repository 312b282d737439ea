/** Long work on a volume: it tells how far it is, can be called off, and lets the rest of the process live. */
import { VolumeError } from "./volume-error.ts";

export interface WorkOptions {
  /** Bytes done, and of how many; undefined where nobody knows. */
  readonly onProgress?: (done: number, total: number | undefined) => void;
  /** Calls it off: VolumeError interrupted, and nothing was changed. */
  readonly signal?: AbortSignal;
}

/** The longest that signals and timers of this process wait. */
const BREATH_MS = 50;

export class Work {
  readonly #options: WorkOptions;
  #lastBreath = performance.now();

  constructor(options: WorkOptions) {
    this.#options = options;
  }

  /** To be called between any two pieces of work. Throws VolumeError interrupted. */
  async step(done: number, total: number | undefined): Promise<void> {
    this.#options.onProgress?.(done, total);
    if (performance.now() - this.#lastBreath > BREATH_MS) {
      await new Promise((resolve) => setImmediate(resolve));
      this.#lastBreath = performance.now();
    }
    this.check();
  }

  check(): void {
    if (this.#options.signal?.aborted !== true) return;
    throw new VolumeError("interrupted", "interrupted; nothing was changed");
  }
}
