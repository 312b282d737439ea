/** Copying one file into another, empty one: in an instant where the file system can share blocks, else by bytes. */
import { ftruncateSync, readSync } from "node:fs";
import { nextData, shareBlocks } from "../../linux/copy-file.ts";
import { dataRuns, writeSparse } from "./sparse-writer.ts";
import { VolumeError } from "./volume-error.ts";
import { Work, type WorkOptions } from "./work.ts";

const BUFFER = 1024 * 1024;

/** How the bytes got there. */
export type CopyWay = "shared" | "copied";

/**
 * Makes `to` (empty, writable) the same as the first `size` bytes of `from`, which must have as many. Holes stay
 * holes, and blocks of zeros become some: that is why the bytes come through here, and are not left to
 * copy_file_range(2), which is no faster between files that can't share blocks. Throws OsError, VolumeError
 * interrupted, or source when the file is cut off meanwhile.
 */
export async function copyContent(
  from: number,
  to: number,
  size: number,
  options: WorkOptions = {},
): Promise<CopyWay> {
  const work = new Work(options);
  if (shareBlocks(from, to) === 0) {
    ftruncateSync(to, size);
    await work.step(size, size);
    return "shared";
  }
  ftruncateSync(to, size);
  const buffer = Buffer.allocUnsafe(BUFFER);
  for (let offset = 0; ;) {
    const extent = nextData(from, offset, size);
    if (extent === undefined) break;
    for (offset = extent.start; offset < extent.end;) {
      const read = readSync(from, buffer, 0, Math.min(BUFFER, extent.end - offset), offset);
      if (read === 0) throw new VolumeError("source", "the file was cut off while it was copied");
      writeSparse(to, buffer.subarray(0, read), offset);
      offset += read;
      await work.step(offset, size);
    }
  }
  await work.step(size, size);
  return "copied";
}

/** Whether a file holds anything but zeros from `start` to `end`. */
export function holdsData(fd: number, start: number, end: number): boolean {
  const buffer = Buffer.allocUnsafe(BUFFER);
  for (let offset = start; ;) {
    const extent = nextData(fd, offset, end);
    if (extent === undefined) return false;
    for (offset = extent.start; offset < extent.end;) {
      const read = readSync(fd, buffer, 0, Math.min(BUFFER, extent.end - offset), offset);
      if (read === 0) return false;
      if (dataRuns(buffer.subarray(0, read), 0).length > 0) return true;
      offset += read;
    }
  }
}
