/** The server's end of the page of counters. Apart from the tender's, which has no time to load node:fs. */
import { readdirSync, readlinkSync } from "node:fs";
import { O_CLOEXEC, O_NONBLOCK, O_RDONLY, close, open, preadInto } from "../linux/libc.ts";
import { NAME, SLOTS, type TenderCounters, countsOf } from "./counter-page.ts";

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
