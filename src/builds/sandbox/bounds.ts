/**
 * What keeps a job that has no limits of its own from taking the machine along: bounds that no build comes near, and
 * room on the disk that it leaves to others. Pure, but for looking at the machine.
 */
import { statfsSync } from "node:fs";
import { totalmem } from "node:os";
import { GIB, MIB } from "../../lib/units.ts";
import type { JobLimits } from "./api.ts";

/** More than any build has at a time, and far from what a kernel can have. */
const PROCESSES = 8192;
/** Of the machine's memory for everybody else: an eighth, but no less than this. */
const MEMORY_LEFT = 512 * MIB;
/** Of a disk for everybody else: a twentieth, but no more than this. */
const DISK_LEFT = 2 * GIB;

/** The limits, and bounds where there are none. `memory`: the machine's, in bytes. */
export function withBounds(limits: JobLimits, memory = totalmem()): JobLimits {
  const most = Math.max(memory / 2, memory - Math.max(MEMORY_LEFT, memory / 8));
  return {
    ...limits,
    memoryMb: limits.memoryMb ?? Math.floor(most / MIB),
    processes: limits.processes ?? PROCESSES,
  };
}

/** Bytes that a disk of this size keeps free. */
export const reserveOf = (size: number) => Math.min(DISK_LEFT, size / 20);

/** How much the disk of a directory still has above what it keeps free; below zero: less. */
export function roomOn(directory: string): number {
  const { blocks, bavail, bsize } = statfsSync(directory);
  return bavail * bsize - reserveOf(blocks * bsize);
}
