/** A record of a finished build in a file: read as a stream, and taken apart into a directory. */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { RoburError } from "../lib/errors.ts";
import { type RecordPart, readRecord } from "../protocols/builder/record.ts";
import { DerError } from "../protocols/der/der-error.ts";
import { artifactPath } from "../store/builds/artifact-path.ts";

export type RecordFileErrorCode =
  | "missing"
  | "not-permitted"
  /** The file is no record. */
  | "bad-record"
  /** A file of the record can't be written where it was asked for. */
  | "unsafe-path"
  | "exists"
  | "failed";

export class RecordFileError extends RoburError<RecordFileErrorCode> {}

/** The parts of the record in a file. Throws RecordFileError. */
export async function* readRecordFile(path: string): AsyncGenerator<RecordPart, void, void> {
  try {
    if (fstatOf(path).isDirectory()) throw new RecordFileError("failed", `${path} is a directory`);
    yield* readRecord(Bun.file(path).stream());
  } catch (error) {
    throw explain(error, path);
  }
}

function fstatOf(path: string): ReturnType<typeof fstatSync> {
  const fd = openSync(path, "r");
  try {
    return fstatSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Writes every file of a record below a directory, which must be there, and answers their paths. Nothing is written
 * when a path leads elsewhere, when the record is damaged, or when a file is there already. Links are never followed.
 * Throws RecordFileError.
 */
export async function extractRecord(file: string, directory: string): Promise<string[]> {
  try {
    const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      const paths = await checkRecord(file, fd, directory);
      await writeFiles(file, fd, directory);
      return paths;
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw explain(error, directory);
  }
}

/** Reads all of the record before anything is written. */
async function checkRecord(file: string, directory: number, name: string): Promise<string[]> {
  const paths = new Set<string>();
  for await (const part of readRecordFile(file)) {
    if (part.kind !== "file") continue;
    const path = safePath(part.path);
    if (paths.has(path)) throw new RecordFileError("bad-record", `${file}: ${shown(path)} is there twice`);
    if (isThere(`/proc/self/fd/${directory}/${path}`)) {
      throw new RecordFileError("exists", `${name}/${path} is there already`, { hint: "an empty directory" });
    }
    paths.add(path);
    // oxlint-disable-next-line no-empty
    for await (const _ of part.bytes()) {
    }
  }
  return [...paths];
}

async function writeFiles(file: string, directory: number, name: string): Promise<void> {
  for await (const part of readRecordFile(file)) {
    if (part.kind !== "file") continue;
    const path = safePath(part.path);
    const segments = path.split("/");
    const last = segments.pop()!;
    const parents = enter(directory, segments, name);
    const mode = path.startsWith("bin/") ? 0o755 : 0o644;
    try {
      await writeFile(`/proc/self/fd/${parents.at(-1) ?? directory}/${last}`, mode, part.bytes());
    } catch (error) {
      throw explain(error, `${name}/${path}`);
    } finally {
      for (const parent of parents) closeSync(parent);
    }
  }
}

/** Opens directory by directory, making what is missing, so that none of them can be a link. */
function enter(directory: number, segments: readonly string[], name: string): number[] {
  const opened: number[] = [];
  let at = name;
  try {
    for (const segment of segments) {
      const path = `/proc/self/fd/${opened.at(-1) ?? directory}/${segment}`;
      at = `${at}/${segment}`;
      if (!isThere(path)) mkdirSync(path, 0o755);
      opened.push(openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW));
    }
    return opened;
  } catch (error) {
    for (const fd of opened) closeSync(fd);
    throw explain(error, at);
  }
}

async function writeFile(path: string, mode: number, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
  const fd = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  let isWhole = false;
  try {
    for await (const piece of pieces) {
      for (let done = 0; done < piece.length;) done += writeSync(fd, piece, done);
    }
    isWhole = true;
  } finally {
    closeSync(fd);
    if (!isWhole) unlinkSync(path);
  }
}

function safePath(text: string): string {
  const path = artifactPath(text);
  if (path.ok) return path.path;
  throw new RecordFileError("unsafe-path", `the record has a file ${shown(text)}, which isn't written`, {
    why: path.why,
  });
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function shown(path: string): string {
  return JSON.stringify(path);
}

function explain(error: unknown, path: string): unknown {
  if (error instanceof DerError) {
    return new RecordFileError("bad-record", `${path}: this is no record of a build`, {
      why: error.message,
      cause: error,
    });
  }
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const more = { cause: error };
  if (code === "ENOENT")
    return new RecordFileError("missing", `${path}: there is no such file or directory`, more);
  if (code === "EACCES" || code === "EPERM") {
    return new RecordFileError("not-permitted", `${path}: permission denied`, more);
  }
  if (code === "EEXIST") return new RecordFileError("exists", `${path} is there already`, more);
  if (code === "ELOOP")
    return new RecordFileError("unsafe-path", `${path} is a link, and isn't followed`, more);
  if (code === "ENOTDIR") return new RecordFileError("failed", `${path}: not a directory`, more);
  if (code === "ENOSPC") return new RecordFileError("failed", `${path}: the disk is full`, more);
  return error;
}
