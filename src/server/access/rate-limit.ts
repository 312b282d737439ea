/**
 * Token buckets: each key may do `burst` things at once, and then one in `perMs / burst` milliseconds. Buckets that
 * are full again are forgotten, and there is a bound to how many are kept, so that no stream of addresses fills the
 * memory.
 */
export interface Limit {
  readonly burst: number;
  /** Milliseconds in which an empty bucket is full again. */
  readonly perMs: number;
}

interface Bucket {
  left: number;
  at: number;
}

const KEPT = 20_000;

export class RateLimiter {
  readonly #limit: Limit;
  readonly #buckets = new Map<string, Bucket>();

  constructor(limit: Limit) {
    this.#limit = limit;
  }

  /** Takes one. Answers 0, or the milliseconds until there is one again. */
  take(key: string, now: number): number {
    const { burst, perMs } = this.#limit;
    const bucket = this.#buckets.get(key) ?? { left: burst, at: now };
    // A clock that is set back must not lock anybody out.
    const passed = Math.max(now - bucket.at, 0);
    const left = Math.min(burst, bucket.left + (passed / perMs) * burst);
    const isAllowed = left >= 1;
    // Behind the others again: the first one is the one that was used longest ago.
    this.#buckets.delete(key);
    this.#buckets.set(key, { left: isAllowed ? left - 1 : left, at: now });
    if (this.#buckets.size > KEPT) this.#forget();
    return isAllowed ? 0 : Math.ceil(((1 - left) / burst) * perMs);
  }

  /** Gives everything back: after a success, failures before it don't count any more. */
  reset(key: string): void {
    this.#buckets.delete(key);
  }

  #forget(): void {
    for (const key of this.#buckets.keys()) {
      this.#buckets.delete(key);
      if (this.#buckets.size <= KEPT * 0.9) return;
    }
  }
}
