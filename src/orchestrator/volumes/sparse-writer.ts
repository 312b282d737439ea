/** Writing a stream to a new file so that its zeros become holes, which take no room on the disk. */
import { ERRNO } from "../../linux/errno.ts";
import { OsError, pwriteFrom } from "../../linux/libc.ts";

/** The blocks that holes are made of, on nearly every file system. */
const BLOCK = 4096;
const ZEROS = Buffer.alloc(BLOCK);

/** A part of a chunk, in bytes from its beginning. */
export interface Run {
  readonly start: number;
  readonly end: number;
}

/**
 * The parts of a chunk that must be written when it lies at `offset` in a file of zeros: whole blocks of zeros are
 * left out. Pure.
 */
export function dataRuns(chunk: Uint8Array, offset: number): Run[] {
  const runs: Run[] = [];
  let start = 0;
  while (start < chunk.length) {
    const end = Math.min(chunk.length, start + BLOCK - ((offset + start) % BLOCK));
    const last = runs.at(-1);
    if (!isZero(chunk, start, end)) {
      if (last?.end === start) runs[runs.length - 1] = { start: last.start, end };
      else runs.push({ start, end });
    }
    start = end;
  }
  return runs;
}

function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  if (bytes[start] !== 0) return false;
  return ZEROS.compare(bytes, start, end, 0, end - start) === 0;
}

/** Writes a chunk at `offset` of a file that is empty there. Throws OsError. */
export function writeSparse(fd: number, chunk: Uint8Array, offset: number): void {
  for (const { start, end } of dataRuns(chunk, offset)) {
    for (let done = start; done < end;) {
      const count = pwriteFrom(fd, chunk.subarray(done, end), end - done, offset + done);
      if (count === -ERRNO.EINTR) continue;
      if (count <= 0) throw new OsError("writing", count === 0 ? ERRNO.EIO : -count);
      done += count;
    }
  }
}
