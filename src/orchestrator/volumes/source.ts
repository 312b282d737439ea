/**
 * Where a volume's content comes from: a file, a block device, another volume, or standard input; unpacked on the
 * way where it is packed. A source is read once, from its beginning, and never held whole.
 *
 * The bytes are taken as they are. A tar is no exception: unikernels that serve one (tar-mirage, and what
 * MirageOS's block_of_file makes) read the archive itself from the device.
 */
import { closeSync, fstatSync, openSync } from "node:fs";
import { resolve } from "node:path";
import { ERRNO, errnoText } from "../../linux/errno.ts";
import { lockFile } from "../../linux/file-lock.ts";
import { POLLIN, ppoll, readInto, sizeOf } from "../../linux/libc.ts";
import { VolumeError, explainIo, inUse } from "./volume-error.ts";
import { Work, type WorkOptions } from "./work.ts";

export type Packing = "zstd" | "gzip";

export interface Source {
  /** For the record and for messages: `file:disk.img`, `stdin`, `volume:data`. */
  readonly origin: string;
  readonly fd: number;
  /** Bytes that will come; undefined where only the end tells: pipes, and what is packed. */
  readonly size: number | undefined;
  /** A regular file that isn't packed, which the kernel can copy by itself. */
  readonly isPlainFile: boolean;
  readonly packing: Packing | undefined;
  /** What it looks like, though nobody asked to unpack it. */
  readonly looksPacked: Packing | undefined;
  /** Its bytes, unpacked. A chunk is only good until the next one is asked for. Once only. */
  chunks(options?: WorkOptions): AsyncIterable<Uint8Array>;
  close(): void;
}

/** ReadableStream.from, which the types don't know yet. */
interface StreamMaker {
  from(chunks: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array>;
}

const BUFFER = 1024 * 1024;
const PACKED_NAME = /\.(zst|zstd|gz|tgz)$/i;

/** Whether a file of this name is unpacked, or packed, unless somebody says otherwise. */
export function hasPackedName(path: string): boolean {
  return PACKED_NAME.test(path);
}

/** What a file is packed with, by its first bytes (RFC 8878, RFC 1952), or undefined. */
export function packingOf(beginning: Uint8Array): Packing | undefined {
  const hex = beginning.subarray(0, 4).toHex();
  if (hex === "28b52ffd") return "zstd";
  return hex.startsWith("1f8b08") ? "gzip" : undefined;
}

/**
 * Opens a file, or standard input for `-`. `unpack`: true to unpack, false to take the bytes as they are,
 * undefined to go by the file's name. Throws VolumeError source, missing, not-permitted, or in-use for a file that
 * a unikernel is writing to.
 */
export function openSource(path: string, unpack?: boolean): Source {
  if (path === "-") return describeSource(0, "stdin", unpack ?? false, "standard input", undefined);
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    throw explainIo(error, `can't read ${path}`, path);
  }
  try {
    if (lockFile(fd, "shared") === -ERRNO.EAGAIN) throw inUse(path, path);
    const size = fstatSync(fd).isBlockDevice() ? deviceSize(path) : undefined;
    return describeSource(fd, `file:${resolve(path)}`, unpack ?? hasPackedName(path), path, size);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** An open volume as a source; its descriptor belongs to the caller. */
export function volumeSource(name: string, fd: number, size: number): Source {
  return {
    ...{ origin: `volume:${name}`, fd, size, isPlainFile: true, packing: undefined, looksPacked: undefined },
    chunks: (options) => readAll(fd, new Uint8Array(0), size, options, true),
    close: () => undefined,
  };
}

function describeSource(
  fd: number,
  origin: string,
  unpack: boolean,
  name: string,
  deviceSize: number | undefined,
): Source {
  const stat = fstatSync(fd);
  if (stat.isDirectory()) {
    throw new VolumeError("source", `${name} is a directory`, {
      why: "a volume holds one stream of bytes",
      hint: `tar -cf - -C ${name} . | robur volume create NAME --from -`,
    });
  }
  // A regular file that is standard input may have been read from already.
  const isPlain = stat.isFile() && fd !== 0;
  const size = isPlain ? stat.size : deviceSize;
  const head = readHead(fd, name);
  const found = packingOf(head);
  if (unpack && found === undefined) {
    throw new VolumeError("source", `${name} is neither zstd nor gzip`, { hint: "--no-decompress" });
  }
  const packing = unpack ? found : undefined;
  const isPlainFile = isPlain && packing === undefined;
  return {
    ...{ origin, fd, isPlainFile, packing },
    size: packing === undefined ? size : undefined,
    looksPacked: unpack ? undefined : found,
    chunks: (options) => {
      if (packing === undefined) return readAll(fd, head, size, options, true);
      return unpacked(readAll(fd, head, size, options, false), packing, name);
    },
    close: () => fd !== 0 && closeSync(fd),
  };
}

/** By a descriptor of its own, since asking moves it to the end. */
function deviceSize(path: string): number {
  const fd = openSync(path, "r");
  try {
    return sizeOf(fd);
  } finally {
    closeSync(fd);
  }
}

function readHead(fd: number, name: string): Uint8Array {
  const head = new Uint8Array(4);
  let length = 0;
  while (length < head.length) {
    const count = readSome(fd, head.subarray(length), name);
    if (count === undefined) continue;
    if (count === 0) break;
    length += count;
  }
  return head.subarray(0, length);
}

/** The head that was read already, and then all that follows. `reuse`: each chunk lies in the same memory. */
async function* readAll(
  fd: number,
  head: Uint8Array,
  total: number | undefined,
  options: WorkOptions = {},
  reuse: boolean,
): AsyncGenerator<Uint8Array> {
  const work = new Work(options);
  let buffer = Buffer.allocUnsafe(BUFFER);
  let done = head.length;
  if (done > 0) yield head;
  for (;;) {
    await work.step(done, total);
    if (!reuse) buffer = Buffer.allocUnsafe(BUFFER / 4);
    const count = readSome(fd, buffer, "the data");
    if (count === undefined) continue;
    if (count === 0) return;
    done += count;
    yield buffer.subarray(0, count);
  }
}

/** Bytes read, 0 at the end; undefined: nothing yet, a signal came or the pipe is somebody's non-blocking one. */
function readSome(fd: number, into: Uint8Array, name: string): number | undefined {
  const count = readInto(fd, into, into.length);
  if (count >= 0) return count;
  if (count === -ERRNO.EINTR) return undefined;
  if (count === -ERRNO.EAGAIN) {
    ppoll(new Int32Array([fd, POLLIN]), 1, null);
    return undefined;
  }
  throw new VolumeError("source", `${name} can't be read: ${errnoText(-count)}`);
}

async function* unpacked(
  packed: AsyncIterable<Uint8Array>,
  packing: Packing,
  name: string,
): AsyncGenerator<Uint8Array> {
  // node:zlib takes a zstd stream that was cut off for a whole one; this one doesn't.
  const stream = (ReadableStream as unknown as StreamMaker)
    .from(packed)
    .pipeThrough(new DecompressionStream(packing) as ReadableWritablePair<Uint8Array, Uint8Array>);
  try {
    yield* stream;
  } catch (error) {
    if (error instanceof VolumeError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new VolumeError("source", `${name} is damaged or incomplete`, {
      why: `unpacking it (${packing}) failed: ${why}`,
      cause: error,
    });
  }
}
