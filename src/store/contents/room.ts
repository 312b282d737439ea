/**
 * What uploads leave free on the disk. On one that is full to its last byte nothing could be removed any more, for that
 * too has to be written down first; and everything else that robur keeps is in the same file.
 */
import { statfsSync } from "node:fs";
import { DatabaseError } from "../../db/database-error.ts";
import { MIB, formatSize } from "../../lib/units.ts";

/** Twice what a log that isn't written back yet may take. */
const RESERVE = 64 * MIB;
/** Of a small disk it is a part. */
const PART = 8;

export interface Disk {
  /** Bytes. */
  readonly size: number;
  readonly free: number;
}

/** The disk that a file is on. */
export function diskOf(path: string): Disk {
  const { blocks, bavail, bsize } = statfsSync(path);
  return { size: blocks * bsize, free: bavail * bsize };
}

/** Throws DatabaseError disk-full where no more should be written to `path`. */
export function checkRoom(path: string, { size, free }: Disk): void {
  const reserve = Math.min(RESERVE, size / PART);
  if (free >= reserve) return;
  throw new DatabaseError("disk-full", `${path}: the disk is full but for ${formatSize(free)}`, {
    why: `uploads leave ${formatSize(reserve)} free, without which nothing could be removed any more`,
    hint: "robur store gc, or more room",
  });
}
