/**
 * Which volumes there are. A volume is a file; the database only knows more of it. So a file that nobody recorded
 * is a volume all the same, and a record without a file is one that is missing.
 */
import type { Database } from "bun:sqlite";
import { readdirSync, statSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { fileNameOf, nameOfFile } from "./volume-name.ts";
import { type VolumeRecord, readRecords } from "./records.ts";
import { VolumeError, explainIo } from "./volume-error.ts";

/** Where volumes are kept and recorded. */
export interface VolumeRoom {
  readonly db: Database;
  readonly dataDirectory: string;
}

/** `found`: a file without a record; `missing`: a record without a file. */
export type VolumeState = "ok" | "found" | "missing";

export interface Volume {
  readonly name: string;
  readonly state: VolumeState;
  /** Absolute. */
  readonly path: string;
  /** Bytes, as a guest sees them: the file's, or of a missing one what was recorded. */
  readonly size: number;
  /** Bytes that it takes on the disk; blocks shared with other files count in each. */
  readonly allocated: number;
  /** Milliseconds since 1970; of a found one, when it was last written to. */
  readonly createdAt: number;
  readonly origin: string;
}

/** A volume's file as it lies on the disk. */
export interface VolumeFile {
  /** As in a record. */
  readonly path: string;
  readonly size: number;
  readonly allocated: number;
  readonly modifiedAt: number;
}

const DIRECTORY = "volumes";

/** The directory of the volumes, below the data directory. */
export function volumesDirectory(dataDirectory: string): string {
  return join(dataDirectory, DIRECTORY);
}

/** The path of a volume in robur's own directory, as it is recorded. */
export function ownPath(name: string): string {
  return join(DIRECTORY, fileNameOf(name));
}

/** A recorded path as an absolute one. */
export function absolutePath(dataDirectory: string, path: string): string {
  return isAbsolute(path) ? path : join(dataDirectory, path);
}

/** Brings records and files together, ordered by name. Pure. */
export function reconcile(
  records: readonly VolumeRecord[],
  files: readonly VolumeFile[],
  dataDirectory: string,
): Volume[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const known = records.map((record): Volume => {
    const file = byPath.get(record.path);
    const { name, createdAt, origin } = record;
    const path = absolutePath(dataDirectory, record.path);
    const common = { name, path, createdAt, origin };
    if (file === undefined) return { ...common, state: "missing", size: record.size, allocated: 0 };
    return { ...common, state: "ok", size: file.size, allocated: file.allocated };
  });
  const recorded = new Set(records.map(({ path }) => path));
  const names = new Set(records.map(({ name }) => name));
  const found = files.flatMap((file): Volume[] => {
    const name = recorded.has(file.path) ? undefined : nameOfFile(file.path.slice(DIRECTORY.length + 1));
    // The name of one that lies elsewhere: that one was meant, until it is removed.
    if (name === undefined || names.has(name)) return [];
    const { size, allocated, modifiedAt } = file;
    const path = absolutePath(dataDirectory, file.path);
    return [{ name, state: "found", path, size, allocated, createdAt: modifiedAt, origin: "found" }];
  });
  return [...known, ...found].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** All volumes, ordered by name. Throws DatabaseError and VolumeError not-permitted. */
export function listVolumes({ db, dataDirectory }: VolumeRoom): Volume[] {
  const records = readRecords(db);
  const paths = new Set([...ownFiles(dataDirectory), ...records.map(({ path }) => path)]);
  const files = [...paths].map((path) => lookAt(dataDirectory, path)).filter((file) => file !== undefined);
  return reconcile(records, files, dataDirectory);
}

/** One volume. Throws VolumeError missing, with names that are nearly the same, where there is none of that name. */
export function findVolume(room: VolumeRoom, name: string): Volume {
  const volumes = listVolumes(room);
  const volume = volumes.find((volume) => volume.name === name);
  if (volume !== undefined) return volume;
  const near = volumes.filter((volume) => volume.name.startsWith(name) || name.startsWith(volume.name));
  throw new VolumeError("missing", `no volume is named ${name}`, {
    ...(near.length === 0 ? {} : { why: `there is ${near.map((volume) => volume.name).join(", ")}` }),
    hint: "robur volume ls",
  });
}

/** A volume whose file is there. Throws VolumeError missing. */
export function findFile(room: VolumeRoom, name: string): Volume {
  const volume = findVolume(room, name);
  if (volume.state !== "missing") return volume;
  throw new VolumeError("missing", `the file of volume ${name} is gone`, {
    why: `it was ${volume.path}`,
    hint: `robur volume rm ${name}, or put the file back`,
  });
}

function ownFiles(dataDirectory: string): string[] {
  const directory = volumesDirectory(dataDirectory);
  try {
    return readdirSync(directory)
      .filter((name) => nameOfFile(name) !== undefined)
      .map((name) => join(DIRECTORY, name));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw explainIo(error, "can't look for volumes", directory);
  }
}

function lookAt(dataDirectory: string, path: string): VolumeFile | undefined {
  const absolute = absolutePath(dataDirectory, path);
  const stat = statSync(absolute, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isFile()) return undefined;
  return { path, size: stat.size, allocated: stat.blocks * 512, modifiedAt: Math.floor(stat.mtimeMs) };
}
