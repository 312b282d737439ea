/**
 * Which backups there are. They are known by the names of their files; no list is kept that could say otherwise.
 * The times in the names are UTC's, so that they sort and survive a move to another time zone.
 */
import { readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { explainBackupIo } from "./backup-error.ts";

/** `scheduled`: by the server; `before-restore`, `before-migration`: what was there before. */
export type BackupKind = "scheduled" | "before-restore" | "before-migration";

export interface FoundBackup {
  readonly name: string;
  readonly path: string;
  readonly kind: BackupKind;
  readonly hasVolumes: boolean;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly bytes: number;
}

const SCHEDULED = /^robur-(\d{8}T\d{6}Z)\.(db|tar\.zst)$/;
const BEFORE_RESTORE = /^before-restore-(\d{8}T\d{6}Z)\.db$/;

/** Where a data directory's backups are unless the settings say otherwise. */
export function backupDirectory(dataDirectory: string): string {
  return join(dataDirectory, "backups");
}

/** `20261121T033000Z`. */
export function timeInName(at: number): string {
  return new Date(at).toISOString().replaceAll(/[-:]|\.\d+/g, "");
}

/** The name of a backup that the schedule makes. */
export function scheduledName(at: number, withVolumes: boolean): string {
  return `robur-${timeInName(at)}.${withVolumes ? "tar.zst" : "db"}`;
}

/**
 * The backups in a directory and, beside the database, the copies made before migrations; newest first. Throws
 * BackupError not-permitted.
 */
export function listBackups(directory: string, database: string): FoundBackup[] {
  const ours = namesIn(directory).map((name) => look(join(directory, name)));
  const prefix = `${basename(database)}.schema-`;
  const copies = namesIn(dirname(database))
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map((name) => look(join(dirname(database), name), "before-migration"));
  return [...ours, ...copies].filter((found) => found !== undefined).sort((a, b) => b.at - a.at);
}

/** The time in a scheduled backup's or safety copy's name; undefined for any other file. */
export function timeOfName(name: string): number | undefined {
  const [, time] = SCHEDULED.exec(name) ?? BEFORE_RESTORE.exec(name) ?? [];
  if (time === undefined) return undefined;
  const at = Date.parse(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"));
  return Number.isNaN(at) ? undefined : at;
}

function look(path: string, kind?: BackupKind): FoundBackup | undefined {
  const name = basename(path);
  const time = timeOfName(name);
  if (time === undefined && kind === undefined) return undefined;
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isFile()) return undefined;
  return {
    name,
    path,
    kind: kind ?? (name.startsWith("before-restore-") ? "before-restore" : "scheduled"),
    hasVolumes: name.endsWith(".tar.zst"),
    at: time ?? Math.floor(stat.mtimeMs),
    bytes: stat.size,
  };
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw explainBackupIo(error, `can't look for backups in ${directory}`, directory);
  }
}
