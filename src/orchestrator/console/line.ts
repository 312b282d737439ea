/** What a console consists of, for whoever reads one. */

declare const brand: unique symbol;

/**
 * A place in a unikernel's console: the number of bytes that were ever written before it. It only grows, over
 * restarts of the unikernel and of the server, so a reader that names the last one it has goes on exactly there.
 */
export type ConsoleCursor = number & { readonly [brand]: "ConsoleCursor" };

/** One line. The bytes are the guest's own, whatever they are: lib/printable.ts before they meet a terminal. */
export interface ConsoleLine {
  /** Where the next line begins: what to give as `after` to go on behind this one. */
  readonly cursor: ConsoleCursor;
  /** About when it was written, milliseconds since 1970. */
  readonly at: number;
  /** Without the newline at its end. */
  readonly bytes: Uint8Array;
  /** It was ended by a newline. Otherwise it is longer than a line may be, or the last words of a guest that ended. */
  readonly isWhole: boolean;
}

export type ConsoleItem =
  | { readonly kind: "line"; readonly line: ConsoleLine }
  /** Bytes that are not there any more: the log is bounded, and the reader was too slow or came too late. */
  | { readonly kind: "gap"; readonly from: ConsoleCursor; readonly to: ConsoleCursor };

export interface ConsoleQuery {
  /** Lines behind this place. */
  readonly after?: ConsoleCursor;
  /** Only lines not older than this. */
  readonly since?: number;
  /** Only the last so many lines of what is there. */
  readonly tail?: number;
  /** Of a page, how many lines at most (default 1000). */
  readonly limit?: number;
}

export interface ConsolePage {
  readonly items: readonly ConsoleItem[];
  /** Where to go on. */
  readonly next: ConsoleCursor;
  /** Behind the last byte that was there. */
  readonly end: ConsoleCursor;
}

/** The cursor in a text such as Last-Event-ID; undefined for anything else. */
export function parseCursor(text: string): ConsoleCursor | undefined {
  return /^\d{1,15}$/.test(text) ? (Number(text) as ConsoleCursor) : undefined;
}
