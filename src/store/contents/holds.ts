/**
 * Which contents are used just now, and so can't go: those that a session wrote or found, those that are being
 * written, and those that are being read. It is in memory, for it is true of this process only and while it lives.
 */

/** A reading that asks for nothing for so long is over: whoever began it went away without a word. */
const READING_MS = 60 * 60_000;

export interface Held extends Disposable {
  add(content: number): void;
}

export interface Reading extends Disposable {
  /** Somebody asked for more. */
  renew(): void;
}

export class Holds {
  readonly #now: () => number;
  readonly #counts = new Map<number, number>();
  readonly #readings = new Map<object, { readonly content: number; at: number }>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Holds what is added to the answer until that is disposed of. */
  open(): Held {
    const contents = new Set<number>();
    return {
      add: (content) => {
        if (contents.has(content)) return;
        contents.add(content);
        this.#counts.set(content, (this.#counts.get(content) ?? 0) + 1);
      },
      [Symbol.dispose]: () => {
        for (const content of contents) {
          const count = this.#counts.get(content)! - 1;
          if (count === 0) this.#counts.delete(content);
          else this.#counts.set(content, count);
        }
        contents.clear();
      },
    };
  }

  /** Holds a content while it is read. */
  reading(content: number): Reading {
    const reading = { content, at: this.#now() };
    this.#readings.set(reading, reading);
    return {
      renew: () => void (reading.at = this.#now()),
      [Symbol.dispose]: () => void this.#readings.delete(reading),
    };
  }

  has(content: number): boolean {
    return this.#counts.has(content) || this.#isRead(content);
  }

  /** Readings are few. */
  #isRead(content: number): boolean {
    const since = this.#now() - READING_MS;
    return this.#readings.values().some((reading) => reading.content === content && reading.at >= since);
  }

  /** All that is held now. Forgets readings that nobody goes on with. */
  all(): Set<number> {
    const all = new Set(this.#counts.keys());
    const since = this.#now() - READING_MS;
    for (const [key, { content, at }] of this.#readings) {
      if (at < since) this.#readings.delete(key);
      else all.add(content);
    }
    return all;
  }
}
