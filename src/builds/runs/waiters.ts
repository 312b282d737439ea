/** Who waits for something to change, by what they wait for. Waking is cheap and may be for nothing. */
export class Waiters<Key> {
  readonly #waiting = new Map<Key, Set<() => void>>();

  /** Resolves when one of `keys` is woken, after `ms`, or when `signal` is aborted. */
  wait(keys: readonly Key[], signal: AbortSignal, ms?: number): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    for (const key of keys) {
      const set = this.#waiting.get(key) ?? new Set();
      set.add(resolve);
      this.#waiting.set(key, set);
    }
    const stop = () => resolve();
    signal.addEventListener("abort", stop, { once: true });
    const timer = ms === undefined ? undefined : setTimeout(resolve, Math.min(ms, 2 ** 31 - 1));
    return promise.finally(() => {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      for (const key of keys) {
        const set = this.#waiting.get(key);
        set?.delete(resolve);
        if (set?.size === 0) this.#waiting.delete(key);
      }
    });
  }

  wake(key: Key): void {
    for (const resolve of this.#waiting.get(key) ?? []) resolve();
  }

  wakeAll(): void {
    for (const set of this.#waiting.values()) for (const resolve of set) resolve();
  }
}
