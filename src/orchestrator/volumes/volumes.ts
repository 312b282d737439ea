/**
 * What is done to volumes. Each function changes the file first, in one step that is whole or hasn't happened, and
 * the record after it; a kill in between leaves a volume that is right and a record that the next look mends.
 * Whoever changes a volume, or copies it, has it locked: none of this happens while a unikernel has it.
 */
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  rmSync,
} from "node:fs";
import { dirname, relative } from "node:path";
import { formatSize } from "../../lib/units.ts";
import { ERRNO } from "../../linux/errno.ts";
import { type LockKind, openLocked } from "../../linux/file-lock.ts";
import { O_CLOEXEC, O_RDONLY, O_RDWR, OsError } from "../../linux/libc.ts";
import { copyContent, holdsData } from "./copy-content.ts";
import {
  type Volume,
  type VolumeRoom,
  absolutePath,
  findFile,
  findVolume,
  listVolumes,
  ownPath,
  volumesDirectory,
} from "./inventory.ts";
import { checkLimit, limitOf } from "./limits.ts";
import { placeFile, removeUnfinished, syncDirectory } from "./place-file.ts";
import { forgetVolume, recordVolumes } from "./records.ts";
import { type Source, volumeSource } from "./source.ts";
import { writeSparse } from "./sparse-writer.ts";
import { LABEL_MAX } from "./volume-name.ts";
import { VolumeError, explainIo, inUse } from "./volume-error.ts";
import type { WorkOptions } from "./work.ts";

/** A volume is a whole number of these. */
export const SECTOR = 512;
/** 4 PiB: what node:fs can do with a file. File systems have smaller limits, and tell them themselves. */
const SIZE_MAX = 2 ** 52 - SECTOR;

export interface CreateOptions {
  /** Bytes; undefined: as large as what comes from `source`. */
  readonly size: number | undefined;
  /** What it holds at first; undefined: zeros. */
  readonly source: Source | undefined;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** What to do to have a volume of so many bytes. */
type Hint = (size: number) => string;

/** Checks a size in bytes. Throws VolumeError bad-size. */
export function checkSize(size: number): number {
  if (Number.isSafeInteger(size) && size > 0 && size <= SIZE_MAX && size % SECTOR === 0) return size;
  const rounded = Math.max(1, Math.ceil(size / SECTOR)) * SECTOR;
  throw new VolumeError("bad-size", `a volume can't have ${size} bytes`, {
    why: size > SIZE_MAX ? `the most is ${SIZE_MAX}` : `it has whole sectors of ${SECTOR} bytes`,
    hint: `--size ${rounded <= SIZE_MAX ? `${rounded}B` : "64M"}`,
  });
}

/**
 * Makes a volume. What is shorter than the volume is followed by zeros. Throws VolumeError exists, bad-size,
 * too-large, over-policy, disk-full, not-permitted, source, interrupted; there is no volume then.
 */
export async function createVolume(
  room: VolumeRoom,
  name: string,
  { size, source, now }: CreateOptions,
  work: WorkOptions = {},
): Promise<Volume> {
  if (size !== undefined) checkSize(size);
  else if (source === undefined) {
    throw new VolumeError("bad-size", `how large shall volume ${name} be?`, { hint: "--size 64M" });
  }
  if (listVolumes(room).some((volume) => volume.name === name && volume.state !== "missing"))
    throw exists(name);
  const hint = (wanted: number) => `--size ${wanted}B`;
  checkFits(source, size, hint);
  const known = size ?? source?.size;
  if (known !== undefined) checkLimit(room, name, known);
  const path = ownPath(name);
  const absolute = absolutePath(room.dataDirectory, path);
  const created = await explainingIo(`can't make volume ${name}`, absolute, async () => {
    mkdirSync(volumesDirectory(room.dataDirectory), { recursive: true, mode: 0o700 });
    removeUnfinished(dirname(absolute));
    return placeFile(absolute, "new", async (fd) => {
      if (source === undefined) return setSize(fd, size!);
      // What comes without end, or is too much for the policy, is seen as it comes.
      const most = known === undefined ? Math.min(limitOf(room, name), SIZE_MAX) : (size ?? SIZE_MAX);
      const length = await writeSource(source, fd, most, hint, work).catch((error: unknown) => {
        if (known === undefined && error instanceof VolumeError && error.code === "too-large") {
          checkLimit(room, name, most + 1);
        }
        throw error;
      });
      return setSize(fd, size ?? wholeSectors(length, source));
    });
  }).catch((error: unknown) => {
    throw error instanceof VolumeError && error.code === "exists" ? exists(name) : error;
  });
  recordVolumes(room.db, [{ name, size: created, createdAt: now, path, origin: source?.origin ?? "empty" }]);
  return findFile(room, name);
}

/**
 * Replaces what a volume holds. The old content is there until the new one is whole. Throws VolumeError missing,
 * in-use, too-large, disk-full, not-permitted, source, interrupted; the volume is unchanged then.
 */
export async function fillVolume(
  room: VolumeRoom,
  name: string,
  source: Source,
  work: WorkOptions = {},
): Promise<Volume> {
  const volume = findFile(room, name);
  return withLocked(volume, "exclusive", async (old) => {
    const { size, uid, gid, mode } = fstatSync(old);
    const hint = (wanted: number) => `robur volume resize ${name} ${wanted}B`;
    checkFits(source, size, hint);
    await explainingIo(`can't fill volume ${name}`, volume.path, async () => {
      removeUnfinished(dirname(volume.path));
      await placeFile(volume.path, "replace", async (fd) => {
        await writeSource(source, fd, size, hint, work);
        ftruncateSync(fd, size);
        // An adopted volume belongs to another program's user, who must be able to go on with it.
        if (uid !== process.getuid?.() || gid !== process.getgid?.()) fchownSync(fd, uid, gid);
        fchmodSync(fd, mode & 0o777);
      });
    });
    record(room, volume, { size, origin: source.origin });
    return findFile(room, name);
  });
}

/**
 * Copies a volume as it is now to a new one; where the file system can, the two share their blocks until one of
 * them changes. Throws as createVolume, and VolumeError missing and in-use.
 */
export async function snapshotVolume(
  room: VolumeRoom,
  name: string,
  copy: string,
  now: number,
  work: WorkOptions = {},
): Promise<Volume> {
  const volume = findFile(room, name);
  return withLocked(volume, "shared", (fd) => {
    const { size } = fstatSync(fd);
    return createVolume(room, copy, { size, source: volumeSource(name, fd, size), now }, work);
  });
}

/** The name of a snapshot that nobody named: the volume's, cut where it must be, and the time in UTC. */
export function snapshotName(name: string, now: number): string {
  const time = new Date(now)
    .toISOString()
    .replaceAll(/[-:]|\..*$/g, "")
    .replace("T", "-");
  const path = name.slice(0, name.lastIndexOf(":") + 1);
  return `${path}${name.slice(path.length, path.length + LABEL_MAX - time.length - 1)}-${time}`;
}

/** What a change of size would do: whether anything but zeros is cut off. Throws VolumeError missing, bad-size, in-use. */
export async function planResize(
  room: VolumeRoom,
  name: string,
  size: number,
): Promise<{ readonly volume: Volume; readonly losesData: boolean }> {
  checkSize(size);
  const volume = findFile(room, name);
  return withLocked(volume, "shared", async (fd) => {
    const { size: old } = fstatSync(fd);
    return { volume, losesData: size < old && holdsData(fd, size, old) };
  });
}

/**
 * Makes a volume larger, by zeros at its end, or smaller. Throws VolumeError missing, in-use, bad-size, too-large,
 * not-permitted, over-policy, and would-lose-data for a smaller one unless `mayShrink`.
 */
export async function resizeVolume(
  room: VolumeRoom,
  name: string,
  size: number,
  { mayShrink = false }: { readonly mayShrink?: boolean } = {},
): Promise<Volume> {
  checkSize(size);
  const volume = findFile(room, name);
  return withLocked(volume, "exclusive", async (fd) => {
    const { size: old } = fstatSync(fd);
    if (size < old && !mayShrink) {
      throw new VolumeError(
        "would-lose-data",
        `volume ${name} would lose its last ${formatSize(old - size)}`,
        {
          hint: `robur volume resize ${name} ${size}B --yes`,
        },
      );
    }
    if (size > old) checkLimit(room, name, size);
    await explainingIo(`can't resize volume ${name}`, volume.path, async () => {
      ftruncateSync(fd, size);
      fsyncSync(fd);
    });
    record(room, volume, { size });
    return findFile(room, name);
  });
}

export interface RemoveOptions {
  /** An adopted volume is forgotten, and its file stays. */
  readonly keepFile?: boolean;
}

/** Removes a volume for good, or what is left of one that is missing. Throws VolumeError missing, in-use, not-permitted. */
export async function removeVolume(
  room: VolumeRoom,
  name: string,
  { keepFile = false }: RemoveOptions = {},
): Promise<void> {
  const volume = findVolume(room, name);
  const isOwn = !relative(volumesDirectory(room.dataDirectory), volume.path).startsWith("..");
  if (keepFile && isOwn) {
    throw new VolumeError("not-permitted", `volume ${name} is robur's own: its file can't stay`, {
      why: "only an adopted one can be given back",
      hint: `robur volume export ${name} ${name}.img`,
    });
  }
  if (volume.state !== "missing" && !keepFile) {
    await withLocked(volume, "exclusive", () =>
      explainingIo(`can't remove volume ${name}`, volume.path, async () => {
        rmSync(volume.path);
        syncDirectory(dirname(volume.path));
      }),
    );
  }
  forgetVolume(room.db, name);
}

/** Opens a volume's file and has it locked while `action` runs. Throws VolumeError in-use, missing, not-permitted. */
export async function withLocked<T>(
  volume: Volume,
  kind: LockKind,
  action: (fd: number) => Promise<T>,
): Promise<T> {
  const what = `volume ${volume.name}`;
  const flags = (kind === "exclusive" ? O_RDWR : O_RDONLY) | O_CLOEXEC;
  const fd = openLocked(volume.path, flags, kind);
  if (fd === -ERRNO.EAGAIN) throw inUse(what, volume.path);
  if (fd < 0) throw explainIo(new OsError(volume.path, -fd), `can't open ${what}`, volume.path);
  try {
    return await action(fd);
  } finally {
    closeSync(fd);
  }
}

/** Runs what touches files, and puts what the kernel says into words. */
async function explainingIo<T>(what: string, path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw explainIo(error, what, path);
  }
}

/** Writes a source to an empty file and answers its length. Throws VolumeError too-large above `limit` bytes. */
async function writeSource(
  source: Source,
  fd: number,
  limit: number,
  hint: Hint,
  work: WorkOptions,
): Promise<number> {
  if (source.isPlainFile && source.size !== undefined) {
    await copyContent(source.fd, fd, source.size, work);
    return source.size;
  }
  let length = 0;
  for await (const chunk of source.chunks(work)) {
    if (length + chunk.length > limit) throw tooLarge(source, undefined, limit, hint);
    writeSparse(fd, chunk, length);
    length += chunk.length;
  }
  return length;
}

function setSize(fd: number, size: number): number {
  ftruncateSync(fd, size);
  return size;
}

function wholeSectors(length: number, source: Source): number {
  if (length > 0) return Math.ceil(length / SECTOR) * SECTOR;
  throw new VolumeError("source", `${source.origin.replace(/^file:/, "")} is empty`, { hint: "--size 64M" });
}

function checkFits(source: Source | undefined, size: number | undefined, hint: Hint): void {
  if (source?.size === undefined || size === undefined || source.size <= size) return;
  throw tooLarge(source, source.size, size, hint);
}

/** `length`: undefined where it was only seen that more comes than `size` bytes. */
function tooLarge(source: Source, length: number | undefined, size: number, hint: Hint): VolumeError {
  const what = source.origin.replace(/^file:/, "");
  return new VolumeError("too-large", `${what} doesn't fit the volume`, {
    why: `it has ${length === undefined ? "more" : `${length} bytes`}, and the volume ${size} bytes`,
    hint: hint(Math.ceil((length ?? 2 * size) / SECTOR) * SECTOR),
  });
}

function exists(name: string): VolumeError {
  return new VolumeError("exists", `a volume named ${name} exists already`, {
    hint: `robur volume fill ${name} --from FILE, or another name`,
  });
}

/** Brings the record up to what is true now. */
function record(room: VolumeRoom, volume: Volume, changed: { size: number; origin?: string }): void {
  const { name, createdAt, origin } = volume;
  const within = relative(room.dataDirectory, volume.path);
  const path = within.startsWith("..") ? volume.path : within;
  recordVolumes(room.db, [{ name, createdAt, origin, path, ...changed }]);
}
