/**
 * The file that a tender writes its console to. It is the tender's standard output, without anything in between, so
 * no line depends on a server being there. It only ever grows; what is too old is taken out of its front by punching
 * holes, which gives back the disk and moves nothing, also while the tender goes on writing. A position counts every
 * byte that was ever written: `base`, the position of the file's first byte, and the offset in the file.
 *
 * The open file also is the proof of life. The server takes its lock before it starts the tender, which inherits it:
 * as long as anything of the tender is left, nobody gets the lock again, and no second one can be started.
 */
import { closeSync, fstatSync, openSync, readSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { MIB } from "../../lib/units.ts";
import { O_CLOEXEC, O_CREAT, O_RDWR, OsError, close, open } from "../../linux/libc.ts";
import { punchHole, tryLock } from "../process/kernel-calls.ts";

const O_APPEND = 0o2000;
const BLOCK = 4096;
const NEWLINE = 10;
/** A file is begun anew at a start once it has grown to this: file systems end somewhere. */
const BEGIN_ANEW_AT = 4096 * MIB;

export interface LogPlace {
  readonly base: number;
  /** Position of the first byte that is still there. */
  readonly keptFrom: number;
}

/** The file's size in bytes; 0 when it isn't there. */
export function logSize(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

export interface OpenLog {
  /** For the tender: appends, holds the lock. Close it once the tender has it. */
  readonly fd: number;
  readonly place: LogPlace;
  /** The position behind all that is there: where this start's console begins. */
  readonly end: number;
}

/**
 * Opens the log for a start. What a guest left without an end gets one. Undefined when a tender that is alive holds
 * it. Throws OsError.
 */
export function openLogForStart(
  path: string,
  place: LogPlace,
  keep: number,
  beginAnewAt = BEGIN_ANEW_AT,
): OpenLog | undefined {
  const fd = openLocked(path);
  if (fd === undefined) return undefined;
  const size = fstatSync(fd).size;
  if (size >= beginAnewAt) return beginAnew(path, fd, place, size, keep);
  endLine(fd, size);
  return { fd, place, end: place.base + fstatSync(fd).size };
}

function openLocked(path: string): number | undefined {
  const fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0o600);
  if (fd < 0) throw new OsError(path, -fd);
  try {
    if (tryLock(fd)) return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
  close(fd);
  return undefined;
}

function endLine(fd: number, size: number): void {
  const last = new Uint8Array(1);
  if (size > 0 && readSync(fd, last, 0, 1, size - 1) === 1 && last[0] !== NEWLINE) writeSync(fd, "\n");
}

/** Copies what is to be kept to a new file, which takes the old one's place whole. Nobody writes meanwhile. */
function beginAnew(path: string, old: number, place: LogPlace, size: number, keep: number): OpenLog {
  endLine(old, size);
  const whole = fstatSync(old).size;
  const from = Math.max(whole - keep, place.keptFrom - place.base);
  const partial = `${path}.new`;
  rmSync(partial, { force: true });
  const fd = openLocked(partial);
  if (fd === undefined) throw new OsError(partial, 11);
  const piece = new Uint8Array(MIB);
  for (let at = from; at < whole;) {
    const count = readSync(old, piece, 0, Math.min(piece.length, whole - at), at);
    if (count === 0) break;
    writeSync(fd, piece, 0, count);
    at += count;
  }
  renameSync(partial, path);
  close(old);
  const base = place.base + from;
  return { fd, place: { base, keptFrom: base }, end: base + fstatSync(fd).size };
}

/** Whether a tender holds the log. */
export function isHeld(path: string): boolean {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return false;
  const fd = openLocked(path);
  if (fd === undefined) return true;
  close(fd);
  return false;
}

/**
 * Gives back the disk of all but about the last `keep` bytes, in whole blocks. Answers the position of the first byte
 * that is left; file systems that can't do it keep everything until the next start.
 */
export function trimLog(path: string, place: LogPlace, keep: number): number {
  const size = logSize(path);
  const from = Math.floor(Math.max(0, size - keep) / BLOCK) * BLOCK;
  if (place.base + from <= place.keptFrom) return place.keptFrom;
  const fd = openSync(path, "r+");
  try {
    return punchHole(fd, 0, from) < 0 ? place.keptFrom : place.base + from;
  } finally {
    closeSync(fd);
  }
}

/** Up to `length` bytes at an offset in the file; empty behind its end. */
export function readLog(path: string, offset: number, length: number): Uint8Array {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return new Uint8Array(0);
  const fd = openSync(path, "r");
  try {
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const count = readSync(fd, bytes, done, length - done, offset + done);
      if (count === 0) break;
      done += count;
    }
    return bytes.subarray(0, done);
  } finally {
    closeSync(fd);
  }
}
