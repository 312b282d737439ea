/**
 * What an hvt tender counts of its guest: a page of numbers that it shares with whoever may look at its descriptors.
 * The server finds it by its name in /proc, so a server that was started after the tender reads on where another one
 * ended. A tender only ever adds to it, and a reader believes nothing of it that couldn't be a count.
 */
export const NAME = "robur-counters";
export const PAGE = 4096;

/** Where each count is, as the number of a float64 in the page; below 2^53 those count exactly. */
export const COUNTER = {
  /** 1 in every page of this layout. */
  layout: 0,
  exits: 1,
  /** Followed by one for each of CALLS. */
  calls: 2,
  readRequests: 10,
  readBytes: 11,
  writeRequests: 12,
  writeBytes: 13,
  framesIn: 14,
  frameBytesIn: 15,
  framesOut: 16,
  frameBytesOut: 17,
} as const;

/** The hypercalls by their numbers, from 1. */
const CALLS = [
  ...(["walltime", "puts", "poll", "blockWrite", "blockRead", "netWrite", "netRead", "halt"] as const),
];
/** How many numbers there are. */
export const SLOTS = 18;
export const LAYOUT = 1;

export type CallName = (typeof CALLS)[number];

export interface Transfers {
  readonly requests: number;
  readonly bytes: number;
}

/** Counts since the guest's first instruction. */
export interface TenderCounters {
  /** How often the guest was left, for whatever reason. */
  readonly exits: number;
  /** Hypercalls by their kind. */
  readonly calls: Readonly<Record<CallName, number>>;
  /** Block devices: what the guest read and wrote. */
  readonly blockRead: Transfers;
  readonly blockWritten: Transfers;
  /** Network devices: frames to the guest and from it. */
  readonly netReceived: Transfers;
  readonly netSent: Transfers;
}

/** What a page says; undefined for one of another layout, and for what nobody can have counted. Pure. */
export function countsOf(counters: Float64Array): TenderCounters | undefined {
  if (counters[COUNTER.layout] !== LAYOUT) return undefined;
  if (!counters.every((count) => Number.isSafeInteger(count) && count >= 0)) return undefined;
  const transfers = (at: number): Transfers => ({ requests: counters[at]!, bytes: counters[at + 1]! });
  const calls = CALLS.map((name, i) => [name, counters[COUNTER.calls + i]!] as const);
  return {
    exits: counters[COUNTER.exits]!,
    calls: Object.fromEntries(calls) as Record<CallName, number>,
    blockRead: transfers(COUNTER.readRequests),
    blockWritten: transfers(COUNTER.writeRequests),
    netReceived: transfers(COUNTER.framesIn),
    netSent: transfers(COUNTER.framesOut),
  };
}

/** All hypercalls together. */
export function totalCalls({ calls }: TenderCounters): number {
  return Object.values(calls).reduce((sum, count) => sum + count, 0);
}
