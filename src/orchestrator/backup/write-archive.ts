/** Writes an archive of a database and volumes: see archive-format.ts for what is in it. */
import { closeSync, createWriteStream, fstatSync, openSync, readSync } from "node:fs";
import { once } from "node:events";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createZstdCompress, constants as zlib } from "node:zlib";
import { dirname } from "node:path";
import { type Pack, pack as newPack } from "tar-stream";
import { BackupError } from "../../db/backup/backup-error.ts";
import type { DatabaseFacts } from "../../db/backup/copy-database.ts";
import { nextData, shareBlocks } from "../../linux/copy-file.ts";
import { lockOnFile } from "../../linux/file-lock.ts";
import { O_CLOEXEC, O_RDWR, O_TMPFILE, close, open } from "../../linux/libc.ts";
import type { Volume } from "../volumes/inventory.ts";
import {
  type ArchiveManifest,
  type ArchivedVolume,
  DATABASE,
  MANIFEST,
  SUMS,
  formatSums,
  newManifest,
  volumeEntry,
} from "./archive-format.ts";
import { type LongWork, interrupted } from "./copy-in-child.ts";

export interface ArchiveContent {
  /** A database that nobody writes to. */
  readonly database: { readonly path: string; readonly facts: DatabaseFacts };
  readonly volumes: readonly Volume[];
  readonly createdAt: number;
  readonly version: string;
}

const BUFFER = 1024 * 1024;
const ZEROS = Buffer.alloc(BUFFER);
/** zstd's own default: as fast as the disks of small servers, and holes cost next to nothing. */
const LEVEL = 3;

/** A volume that is open, or its copy of one instant. */
interface Opened {
  readonly name: string;
  readonly fd: number;
  readonly size: number;
  readonly isInstant: boolean;
}

/**
 * Writes `path`. A volume that a unikernel writes to is copied in one instant where the file system shares blocks,
 * else it is read while it changes, which the answer says; nobody is kept from starting meanwhile. Answers what was
 * written and the SHA-256 of the file. Throws BackupError interrupted and failed, and errors of node:fs.
 */
export async function writeArchive(
  path: string,
  content: ArchiveContent,
  work: LongWork = {},
): Promise<{ manifest: ArchiveManifest; sha256: string }> {
  const opened: Opened[] = [];
  const pack = newPack();
  try {
    for (const volume of content.volumes) opened.push(openVolume(volume));
    const manifest = describe(content, opened);
    const hash = new Bun.CryptoHasher("sha256");
    const written = pipeline(
      pack,
      createZstdCompress({
        params: { [zlib.ZSTD_c_compressionLevel]: LEVEL, [zlib.ZSTD_c_checksumFlag]: 1 },
      }),
      new Transform({
        transform(chunk: Buffer, _encoding, done) {
          hash.update(chunk);
          done(null, chunk);
        },
      }),
      createWriteStream(path, { flags: "wx", mode: 0o600 }),
      ...(work.signal === undefined ? [] : [{ signal: work.signal }]),
    );
    // A full disk shows here while the loop below waits for room in the pipe: whichever ends first counts.
    await Promise.race([written, fill(pack, manifest, content, opened, work)]);
    await written;
    return { manifest, sha256: hash.digest("hex") };
  } catch (error) {
    // What is still being packed and written ends with it.
    pack.destroy();
    throw work.signal?.aborted === true ? interrupted() : error;
  } finally {
    for (const { fd } of opened) close(fd);
  }
}

async function fill(
  pack: Pack,
  manifest: ArchiveManifest,
  content: ArchiveContent,
  opened: readonly Opened[],
  work: LongWork,
): Promise<void> {
  const sums = new Map<string, string>();
  const total = [content.database.facts.bytes, ...opened.map(({ size }) => size)].reduce((a, b) => a + b);
  let done = 0;
  const add = async (entry: string, size: number, chunks: Iterable<Uint8Array>) => {
    const hash = new Bun.CryptoHasher("sha256");
    const sink = pack.entry({ name: entry, size, mode: 0o600, mtime: new Date(manifest.createdAt) });
    for (const chunk of chunks) {
      hash.update(chunk);
      if (!sink.write(chunk)) await once(sink, "drain");
      done += chunk.length;
      work.onProgress?.(Math.min(done, total), total);
    }
    sink.end(null);
    sums.set(entry, hash.digest("hex"));
  };
  const text = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
  await add(MANIFEST, text.length, [text]);
  done = 0;
  const database = openSync(content.database.path, "r");
  try {
    await add(DATABASE, manifest.database.size, chunksOf(database, manifest.database.size, DATABASE));
  } finally {
    closeSync(database);
  }
  for (const { name, fd, size } of opened) await add(volumeEntry(name), size, chunksOf(fd, size, name));
  const lines = Buffer.from(formatSums(sums));
  await add(SUMS, lines.length, [lines]);
  pack.finalize();
}

/**
 * What the archive will say of itself. Whether a volume keeps still can only be known while it is read, so one that
 * somebody has open for writing is called live from the start.
 */
function describe(content: ArchiveContent, opened: readonly Opened[]): ArchiveManifest {
  const { bytes, sha256, schema } = content.database.facts;
  const volumes = opened.map(({ name, size, fd, isInstant }): ArchivedVolume => {
    const isLive = !isInstant && lockOnFile(fd) === "exclusive";
    return { name, size, read: isLive ? "live" : "still" };
  });
  const { createdAt, version } = content;
  return newManifest({ version, createdAt, database: { size: bytes, sha256, schema }, volumes });
}

function openVolume({ name, path }: Volume): Opened {
  const fd = openSync(path, "r");
  const { size } = fstatSync(fd);
  const copy = lockOnFile(fd) === undefined ? -1 : open(dirname(path), O_TMPFILE | O_RDWR | O_CLOEXEC, 0o600);
  if (copy >= 0) {
    const isShared = shareBlocks(fd, copy) === 0;
    closeSync(isShared ? fd : copy);
    if (isShared) return { name, fd: copy, size, isInstant: true };
  }
  return { name, fd, size, isInstant: false };
}

/** The first `size` bytes of a file. Holes aren't read. The streams behind keep what they are given. */
function* chunksOf(fd: number, size: number, what: string): Generator<Uint8Array> {
  for (let offset = 0; offset < size;) {
    const data = nextData(fd, offset, size) ?? { start: size, end: size };
    for (; offset < data.start; offset += Math.min(BUFFER, data.start - offset)) {
      yield ZEROS.subarray(0, Math.min(BUFFER, data.start - offset));
    }
    while (offset < data.end) {
      const buffer = Buffer.allocUnsafe(Math.min(BUFFER, data.end - offset));
      const count = readSync(fd, buffer, 0, buffer.length, offset);
      if (count === 0) throw new BackupError("failed", `${what} was cut off while it was read`);
      yield buffer.subarray(0, count);
      offset += count;
    }
  }
}
