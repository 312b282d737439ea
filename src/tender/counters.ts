/**
 * What an hvt tender counts of its guest: a page of numbers that it shares with whoever may look at its descriptors.
 * The server finds it by its name in /proc, so a server that was started after the tender reads on where another one
 * ended. A tender only ever adds to it, and a reader believes nothing of it that couldn't be a count.
 */
import { readdirSync, readlinkSync } from "node:fs";
import {
  MAP_SHARED,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDONLY,
  OsError,
  PROT_READ,
  PROT_WRITE,
  close,
  memoryFile,
  mmap,
  open,
  preadInto,
  viewOf,
} from "../linux/libc.ts";

const NAME = "robur-counters";
const PAGE = 4096;

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
const SLOTS = 18;
const LAYOUT = 1;

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

/**
 * The page to count in. Called before system calls are given up. Where the kernel gives no such page the counts are
 * seen by nobody, which is no reason to run no guest.
 */
export function createCounters(): Float64Array {
  let counters = new Float64Array(SLOTS);
  try {
    const fd = memoryFile(NAME, new Uint8Array(PAGE));
    counters = new Float64Array(viewOf(mmap(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd), PAGE), 0, SLOTS);
  } catch (error) {
    if (!(error instanceof OsError)) throw error;
  }
  counters[COUNTER.layout] = LAYOUT;
  return counters;
}

/** The descriptor of a process's page; undefined where it has none, or where this process may not look. */
export function findCounters(pid: number): number | undefined {
  try {
    const directory = `/proc/${pid}/fd`;
    const found = readdirSync(directory).find((fd) => isCounters(`${directory}/${fd}`));
    return found === undefined ? undefined : Number(found);
  } catch {
    return undefined;
  }
}

function isCounters(path: string): boolean {
  try {
    return readlinkSync(path).startsWith(`/memfd:${NAME} `);
  } catch {
    return false;
  }
}

/** The counts in a process's page, `fd` being what `findCounters` found; undefined where they can't be read. */
export function readCounters(pid: number, fd: number): TenderCounters | undefined {
  const path = `/proc/${pid}/fd/${fd}`;
  // The number of a process that has ended may be another's by now, and any file may be behind it.
  if (!isCounters(path)) return undefined;
  const own = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (own < 0) return undefined;
  const counters = new Float64Array(SLOTS);
  const count = preadInto(own, counters, counters.byteLength, 0);
  close(own);
  return count === counters.byteLength ? countsOf(counters) : undefined;
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
