/** A volume's content as a file or a stream, as it is or packed. */
import { existsSync, fstatSync, openSync, closeSync, realpathSync, statSync } from "node:fs";
import { Readable, type Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { basename, dirname } from "node:path";
import { ERRNO } from "../../linux/errno.ts";
import { OsError, POLLOUT, ppoll, writeFrom } from "../../linux/libc.ts";
import { copyContent } from "./copy-content.ts";
import { type VolumeRoom, findFile } from "./inventory.ts";
import { placeFile, removeUnfinished } from "./place-file.ts";
import { type Packing, volumeSource } from "./source.ts";
import { VolumeError, explainIo } from "./volume-error.ts";
import { withLocked } from "./volumes.ts";
import type { WorkOptions } from "./work.ts";

export interface ExportOptions {
  /** A file that is replaced once the export is whole, a device or a pipe that is written to, `-` for standard output. */
  readonly target: string;
  readonly packing: Packing | undefined;
}

const STDOUT = 1;

/** Whether the place for an export is a regular file with something in it that would be lost. */
export function replacesFile(target: string): boolean {
  if (target === "-" || !existsSync(target)) return false;
  const stat = statSync(target);
  return stat.isFile() && stat.size > 0;
}

/** Writes a volume out. Throws VolumeError missing, in-use, target, disk-full, not-permitted, interrupted. */
export async function exportVolume(
  room: VolumeRoom,
  name: string,
  { target, packing }: ExportOptions,
  work: WorkOptions = {},
): Promise<void> {
  const volume = findFile(room, name);
  await withLocked(volume, "shared", async (from) => {
    const { size } = fstatSync(from);
    const stream = (to: number) => writeStream(volumeSource(name, from, size).chunks(work), to, packing);
    try {
      if (target === "-") return await stream(STDOUT);
      const path = existsSync(target) ? realpathSync(target) : target;
      if (!isReplaceable(path)) return await writeInPlace(path, stream);
      removeUnfinished(dirname(path), basename(path));
      await placeFile(path, "replace", async (to) => {
        if (packing === undefined) await copyContent(from, to, size, work);
        else await stream(to);
      });
    } catch (error) {
      throw explainTarget(error, name, target);
    }
  });
}

/** Devices and pipes keep their names. */
function isReplaceable(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isDirectory() === true) throw new VolumeError("target", `${path} is a directory`);
  return stat === undefined || stat.isFile();
}

async function writeInPlace(path: string, write: (fd: number) => Promise<void>): Promise<void> {
  const fd = openSync(path, "r+");
  try {
    await write(fd);
  } finally {
    closeSync(fd);
  }
}

async function writeStream(
  chunks: AsyncIterable<Uint8Array>,
  to: number,
  packing: Packing | undefined,
): Promise<void> {
  if (packing === undefined) {
    for await (const chunk of chunks) writeWhole(to, chunk);
    return;
  }
  // A chunk is only good until the next one, and a stream keeps some.
  const copies = async function* () {
    for await (const chunk of chunks) yield Buffer.from(chunk);
  };
  const packed = async (stream: AsyncIterable<Uint8Array>) => {
    for await (const chunk of stream) writeWhole(to, chunk);
  };
  await pipeline(Readable.from(copies()), await packer(packing), packed);
}

async function packer(packing: Packing): Promise<Transform> {
  const zlib = await import("node:zlib");
  if (packing === "gzip") return zlib.createGzip();
  // With a checksum, so that a flipped bit is found when it is unpacked; gzip always has one.
  return zlib.createZstdCompress({ params: { [zlib.constants.ZSTD_c_checksumFlag]: 1 } });
}

function writeWhole(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    const count = writeFrom(fd, bytes.subarray(done), bytes.length - done);
    if (count >= 0) done += count;
    else if (count === -ERRNO.EAGAIN) ppoll(new Int32Array([fd, POLLOUT]), 1, null);
    else if (count !== -ERRNO.EINTR) throw new OsError("writing", -count);
  }
}

function explainTarget(error: unknown, name: string, target: string): unknown {
  const place = target === "-" ? "standard output" : target;
  if (error instanceof OsError && error.errno === ERRNO.EPIPE) {
    return new VolumeError("target", `volume ${name} is exported in part only: nobody reads on`, {
      cause: error,
    });
  }
  if (error instanceof Error && "code" in error && error.code === "ENOENT") {
    return new VolumeError("target", `can't write ${place}: its directory doesn't exist`, { cause: error });
  }
  return explainIo(error, `can't export volume ${name} to ${place}`, target === "-" ? "." : dirname(target));
}
