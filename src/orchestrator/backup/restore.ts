/**
 * Puts a backup in the place of what is there. Everything is unpacked beside the data and checked before anything
 * is changed; what was there is kept in the directory of backups; the database's rename is the last step, so that
 * a kill at any moment leaves the old database or the new one. While it lasts, no server can start.
 */
import { Database, SQLiteError } from "bun:sqlite";
import {
  closeSync,
  copyFileSync,
  existsSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  statfsSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { BackupError, explainBackupIo } from "../../db/backup/backup-error.ts";
import { backupDirectory, timeInName } from "../../db/backup/catalog.ts";
import { checkDatabase, sync } from "../../db/backup/copy-database.ts";
import { isBusy } from "../../db/database-error.ts";
import { inUse, lockForServer, serverOf } from "../../db/server-lock.ts";
import { formatSize } from "../../lib/units.ts";
import { openLocked } from "../../linux/file-lock.ts";
import { O_CLOEXEC, O_RDWR, close } from "../../linux/libc.ts";
import { describeHolders, lockHolders } from "../../linux/lock-holders.ts";
import { ERRNO } from "../../linux/errno.ts";
import { volumesDirectory } from "../volumes/inventory.ts";
import { writeSparse } from "../volumes/sparse-writer.ts";
import { fileNameOf } from "../volumes/volume-name.ts";
import { type ArchiveManifest, DATABASE, contentEntries, volumeEntry } from "./archive-format.ts";
import type { LongWork } from "./copy-in-child.ts";
import { type ArchiveSink, kindOfBackup, readArchive, readManifest } from "./read-archive.ts";

export interface RestoreRequest {
  readonly file: string;
  /** The database's path. */
  readonly database: string;
  readonly dataDirectory: string;
  /** Everything is checked, and nothing changed. */
  readonly dryRun: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export interface Restored {
  /** The backup's last migration. */
  readonly schema: number;
  readonly volumes: readonly string[];
  /** Volumes that were there before and gave their place. */
  readonly replaced: readonly string[];
  /** Where the database is that was there before; null where there was none. */
  readonly safetyCopy: string | null;
  /** Where the replaced volumes are. */
  readonly oldVolumes: string;
}

/**
 * Restores, or tells what that would do. Throws DatabaseError (in-use, newer-schema, corrupt, …) and BackupError
 * (damaged, in-use, disk-full, interrupted, …); nothing was changed then.
 */
export async function restoreBackup(asked: RestoreRequest, work: LongWork = {}): Promise<Restored> {
  // What is kept is named by the second; in one that has a name already there was another restore.
  let { now } = asked;
  while (existsSync(safetyName({ ...asked, now }))) now += 1000;
  const request = { ...asked, now };
  try {
    return await (request.dryRun ? rehearse(request, work) : perform(request, work));
  } catch (error) {
    throw explainBackupIo(error, `can't restore ${request.file}`, dirname(request.database));
  }
}

async function rehearse(request: RestoreRequest, work: LongWork): Promise<Restored> {
  const { database } = request;
  const holder = existsSync(dirname(database)) ? serverOf(database) : undefined;
  if (holder !== undefined) throw inUse(database, holder);
  const scratch = mkdtempSync(join(tmpdir(), "robur-restore-"));
  try {
    const staged = await unpack(request, scratch, work, false);
    return report(request, staged, safetyPath(request));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function perform(request: RestoreRequest, work: LongWork): Promise<Restored> {
  const { database } = request;
  mkdirSync(dirname(database), { recursive: true, mode: 0o700 });
  using _lock = lockForServer(database);
  removeLeftOvers(dirname(database));
  const stage = mkdtempSync(join(dirname(database), STAGE));
  try {
    const staged = await unpack(request, stage, work, true);
    const locks = lockVolumes(request, staged.volumes);
    try {
      return swap(request, staged, stage);
    } finally {
      for (const fd of locks) close(fd);
    }
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

/** What a backup holds, checked; the files lie in a directory of their own. */
interface Staged {
  readonly database: string;
  readonly schema: number;
  readonly volumes: readonly string[];
}

const STAGE = ".restore-";

/** Holding the lock of the database, nobody else can be at it. */
function removeLeftOvers(directory: string): void {
  for (const name of new Bun.Glob(`${STAGE}??????`).scanSync({
    cwd: directory,
    onlyFiles: false,
    dot: true,
  })) {
    rmSync(join(directory, name), { recursive: true, force: true });
  }
}

async function unpack(
  { file }: RestoreRequest,
  stage: string,
  work: LongWork,
  withVolumes: boolean,
): Promise<Staged> {
  const database = join(stage, DATABASE);
  if ((await kindOfBackup(file)) === "database") {
    const { bytes, schema } = checkDatabase(file);
    if (!withVolumes) return { database: file, schema, volumes: [] };
    checkRoom(stage, bytes);
    copyFileSync(file, database);
    // The copy is what will be used, so it is the one that counts.
    checkDatabase(database);
    sync(database);
    return { database, schema, volumes: [] };
  }
  const { database: facts, volumes } = await readManifest(file);
  checkRoom(stage, facts.size);
  await readArchive(file, sinkInto(stage, withVolumes), work);
  const { schema } = checkDatabase(database);
  if (withVolumes) tellWhereVolumesAre(database, volumes);
  return { database, schema, volumes: volumes.map(({ name }) => name) };
}

/** Writes the entries of an archive as files; volumes with holes where they hold zeros. */
function sinkInto(stage: string, withVolumes: boolean): ArchiveSink {
  let known: ReadonlySet<string> = new Set();
  return {
    begin(manifest: ArchiveManifest) {
      known = new Set(contentEntries(manifest).map(({ entry }) => entry));
      mkdirSync(join(stage, "volumes"), { mode: 0o700 });
    },
    entry(name, size) {
      const isWanted = known.has(name) && (withVolumes || name === DATABASE);
      if (!isWanted) return { write: () => undefined, end: () => undefined };
      const path = join(stage, name);
      const fd = openSync(path, "wx", 0o600);
      ftruncateSync(fd, size);
      let offset = 0;
      return {
        write(chunk) {
          writeSparse(fd, chunk, offset);
          offset += chunk.length;
        },
        end() {
          closeSync(fd);
          sync(path);
        },
      };
    },
  };
}

function checkRoom(directory: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(directory);
  if (bavail * bsize >= bytes) return;
  throw new BackupError("disk-full", `${directory}: not enough room to restore`, {
    why: `it takes ${formatSize(bytes)}, and ${formatSize(bavail * bsize)} are left; nothing was changed`,
    hint: `df -h ${dirname(directory)}`,
  });
}

/** Every volume is restored to the data directory, also one that lay elsewhere, on a machine that may not be this one. */
function tellWhereVolumesAre(database: string, volumes: ArchiveManifest["volumes"]): void {
  const db = new Database(database, { readwrite: true, strict: true });
  try {
    const statement = db.query("UPDATE volume SET path = ? WHERE name = ?");
    db.transaction(() => {
      for (const { name } of volumes) statement.run(volumeEntry(name), name);
    }).immediate();
  } finally {
    db.close();
  }
  sync(database);
}

/** Volumes that will be replaced mustn't be in use: unikernels outlive their server. */
function lockVolumes({ dataDirectory }: RestoreRequest, volumes: readonly string[]): number[] {
  const locks: number[] = [];
  for (const name of volumes) {
    const path = join(volumesDirectory(dataDirectory), fileNameOf(name));
    if (!existsSync(path)) continue;
    const fd = openLocked(path, O_RDWR | O_CLOEXEC, "exclusive");
    if (fd >= 0) {
      locks.push(fd);
      continue;
    }
    for (const lock of locks) close(lock);
    const who = fd === -ERRNO.EAGAIN ? describeHolders(lockHolders(path)) : undefined;
    throw new BackupError("in-use", `volume ${name} is in use; nothing was changed`, {
      ...(who === undefined ? {} : { why: who }),
      hint: "stop its unikernel: robur stop NAME, before the server is stopped",
    });
  }
  return locks;
}

function swap(request: RestoreRequest, staged: Staged, stage: string): Restored {
  const { database, dataDirectory } = request;
  const safety = safetyPath(request);
  const undo: (() => void)[] = [];
  try {
    if (safety !== null) {
      mkdirSync(dirname(safety), { recursive: true, mode: 0o700 });
      keepOldDatabase(database, safety);
      sync(dirname(safety));
    }
    const target = volumesDirectory(dataDirectory);
    if (staged.volumes.length > 0) mkdirSync(target, { recursive: true, mode: 0o700 });
    const result = report(request, staged, safety);
    for (const name of staged.volumes) {
      const path = join(target, fileNameOf(name));
      const kept = join(oldVolumes(request), fileNameOf(name));
      if (existsSync(path)) {
        mkdirSync(dirname(kept), { recursive: true, mode: 0o700 });
        renameSync(path, kept);
        undo.push(() => renameSync(kept, path));
      }
      renameSync(join(stage, volumeEntry(name)), path);
      undo.push(() => rmSync(path, { force: true }));
    }
    if (staged.volumes.length > 0) sync(target);
    renameSync(staged.database, database);
    sync(dirname(database));
    return result;
  } catch (error) {
    for (const step of undo.toReversed()) step();
    throw error;
  }
}

/**
 * Gives the old database a second name. It is brought into one file first: a log that stayed beside the new
 * database would be taken for the new one's. A database that is too damaged for that keeps its log with it, copied
 * beforehand, for SQLite throws away a log that it can't read.
 */
function keepOldDatabase(path: string, safety: string): void {
  const log = `${safety}-wal`;
  if (existsSync(`${path}-wal`)) copyFileSync(`${path}-wal`, log);
  try {
    intoOneFile(path);
    rmSync(log, { force: true });
  } catch (error) {
    if (isBusy(error) || error instanceof BackupError) {
      rmSync(log, { force: true });
      throw isBusy(error) ? busy(path) : error;
    }
    if (!(error instanceof SQLiteError)) throw error;
    for (const suffix of ["-wal", "-shm"]) rmSync(path + suffix, { force: true });
  }
  linkOrCopy(path, safety);
}

/** Fails where another process has it open. */
function intoOneFile(path: string): void {
  const db = new Database(path, { readwrite: true, strict: true });
  try {
    const mode = db.query<{ journal_mode: string }, []>("PRAGMA journal_mode = DELETE").get()?.journal_mode;
    if (mode !== "delete") throw busy(path);
  } finally {
    db.close();
  }
}

function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    // File systems without second names, and a directory of backups on another one.
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code !== "EPERM" && code !== "EXDEV" && code !== "EOPNOTSUPP") throw error;
    copyFileSync(from, to);
    sync(to);
  }
}

function busy(path: string): BackupError {
  return new BackupError("in-use", `${path}: another process has it open; nothing was changed`, {
    hint: `fuser -v ${path}`,
  });
}

function report(request: RestoreRequest, staged: Staged, safetyCopy: string | null): Restored {
  const { schema, volumes } = staged;
  const directory = volumesDirectory(request.dataDirectory);
  const replaced = volumes.filter((name) => existsSync(join(directory, fileNameOf(name))));
  return { schema, volumes, replaced, safetyCopy, oldVolumes: oldVolumes(request) };
}

function safetyPath(request: RestoreRequest): string | null {
  return existsSync(request.database) ? safetyName(request) : null;
}

function safetyName({ dataDirectory, now }: RestoreRequest): string {
  return join(backupDirectory(dataDirectory), `before-restore-${timeInName(now)}.db`);
}

/** Where the volumes go that were there before. */
function oldVolumes({ dataDirectory, now }: RestoreRequest): string {
  return join(backupDirectory(dataDirectory), `before-restore-${timeInName(now)}.volumes`);
}
