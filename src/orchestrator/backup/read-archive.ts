/**
 * Reads an archive to its end and checks everything in it. Nothing in it is believed: entries have the names, the
 * order and the sizes that the manifest says, and the names in a manifest are such as robur gives.
 */
import { createReadStream } from "node:fs";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createZstdDecompress } from "node:zlib";
import { type ExtractEvents, extract as newExtract } from "tar-stream";
import { BackupError, explainBackupIo } from "../../db/backup/backup-error.ts";
import { RoburError } from "../../lib/errors.ts";
import {
  type ArchiveManifest,
  DATABASE,
  MANIFEST,
  SUMS,
  contentEntries,
  formatSums,
  parseManifest,
} from "./archive-format.ts";
import { type LongWork, interrupted } from "./copy-in-child.ts";

/** Where the content goes. Nothing of it is known to be right before the whole archive is. */
export interface ArchiveSink {
  /** Before the first entry. */
  begin?(manifest: ArchiveManifest): void;
  /** An entry of `size` bytes begins; chunks follow, each valid only during its call. */
  entry?(name: string, size: number): { write(chunk: Uint8Array): void; end(): void };
}

type Entry = ExtractEvents["entry"][1];

/** Megabytes of manifest or sums are no backup of robur's. */
const TEXT_MAX = 16 * 1024 * 1024;

/** Throws BackupError damaged, not-a-backup, missing, interrupted, and what the sink throws. */
export async function readArchive(
  path: string,
  sink: ArchiveSink = {},
  work: LongWork = {},
): Promise<ArchiveManifest> {
  try {
    const total = Math.max(1, Bun.file(path).size);
    const extract = newExtract();
    let done = 0;
    const packed = pipeline(
      createReadStream(path),
      new Transform({
        transform(chunk: Buffer, _encoding, next) {
          done += chunk.length;
          work.onProgress?.(done, total);
          next(null, chunk);
        },
      }),
      createZstdDecompress(),
      extract,
      ...(work.signal === undefined ? [] : [{ signal: work.signal }]),
    );
    const [manifest] = await Promise.all([readEntries(path, extract, sink), packed]);
    return manifest;
  } catch (error) {
    throw work.signal?.aborted === true ? interrupted() : explain(error, path);
  }
}

/** Only the manifest, which is in the archive's first bytes. Throws as readArchive. */
export async function readManifest(path: string): Promise<ArchiveManifest> {
  const stop = new AbortController();
  const extract = newExtract();
  const packed = pipeline(createReadStream(path), createZstdDecompress(), extract, { signal: stop.signal });
  // Nobody waits for it: what goes wrong shows in the loop too, and being stopped is its usual end.
  packed.catch(() => undefined);
  try {
    for await (const entry of extract) return parseManifest(await textOf(entry, MANIFEST, path), path);
    throw damaged(path, "it is empty");
  } catch (error) {
    throw explain(error, path);
  } finally {
    stop.abort();
  }
}

async function readEntries(
  path: string,
  entries: AsyncIterable<Entry>,
  sink: ArchiveSink,
): Promise<ArchiveManifest> {
  const sums = new Map<string, string>();
  let manifest: ArchiveManifest | undefined;
  let expected: { entry: string; size: number }[] = [];
  let isComplete = false;
  for await (const entry of entries) {
    const { name } = entry.header;
    const size = entry.header.size;
    const next = expected[0];
    if (manifest === undefined) {
      const text = await textOf(entry, MANIFEST, path);
      manifest = parseManifest(text, path);
      expected = contentEntries(manifest);
      sums.set(MANIFEST, new Bun.CryptoHasher("sha256").update(text).digest("hex"));
      sink.begin?.(manifest);
    } else if (
      next !== undefined &&
      next.entry === name &&
      next.size === size &&
      entry.header.type === "file"
    ) {
      sums.set(name, await passOn(entry, sink.entry?.(name, size)));
      expected = expected.slice(1);
    } else if (next === undefined && !isComplete) {
      if ((await textOf(entry, SUMS, path)) !== formatSums(sums))
        throw damaged(path, "its hashes don't fit its content");
      isComplete = true;
    } else {
      throw damaged(path, `it holds ${JSON.stringify(name)}, which its manifest doesn't name there`);
    }
  }
  if (manifest === undefined || !isComplete) throw damaged(path, "its end is missing");
  if (sums.get(DATABASE) !== manifest.database.sha256) throw damaged(path, "its database is another one");
  return manifest;
}

async function passOn(
  entry: Entry,
  into: ReturnType<NonNullable<ArchiveSink["entry"]>> | undefined,
): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  try {
    for await (const chunk of entry as AsyncIterable<Uint8Array>) {
      hash.update(chunk);
      into?.write(chunk);
    }
  } finally {
    into?.end();
  }
  return hash.digest("hex");
}

async function textOf(entry: Entry, name: string, path: string): Promise<string> {
  if (entry.header.name !== name || entry.header.size > TEXT_MAX) {
    throw new BackupError("not-a-backup", `${path}: not a backup of robur's`, {
      why: `it holds ${JSON.stringify(entry.header.name)} where ${name} should be`,
    });
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of entry as AsyncIterable<Uint8Array>) chunks.push(chunk.slice());
  return Buffer.concat(chunks).toString();
}

function damaged(path: string, why: string): BackupError {
  return new BackupError("damaged", `${path}: the backup is damaged`, {
    why,
    hint: "another one: robur backup ls",
  });
}

/** Whatever zstd and tar complain about is damage; a disk that fails, or a file that isn't there, is not. */
function explain(error: unknown, path: string): unknown {
  if (error instanceof RoburError) return error;
  const known = explainBackupIo(error, `can't read ${path}`, path);
  if (known !== error || !(error instanceof Error)) return known;
  return damaged(path, error.message);
}

export type BackupFileKind = "database" | "archive";

/** What a file is, by its first bytes. Throws BackupError missing, not-permitted, not-a-backup. */
export async function kindOfBackup(path: string): Promise<BackupFileKind> {
  let beginning: Buffer;
  try {
    beginning = Buffer.from(await Bun.file(path).slice(0, 16).arrayBuffer());
  } catch (error) {
    throw explainBackupIo(error, `can't read ${path}`, path);
  }
  if (beginning.toString("latin1") === "SQLite format 3\0") return "database";
  if (beginning.subarray(0, 4).toString("hex") === "28b52ffd") return "archive";
  throw new BackupError("not-a-backup", `${path}: not a backup of robur's`, {
    why: "it is neither a database nor an archive packed by zstd",
  });
}
