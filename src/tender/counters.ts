/** The tender's end of the page of counters: counter-page.ts says what is in it. */
import { MAP_SHARED, OsError, PROT_READ, PROT_WRITE, memoryFile, mmap, viewOf } from "../linux/libc.ts";
import { COUNTER, LAYOUT, NAME, PAGE, SLOTS } from "./counter-page.ts";

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
