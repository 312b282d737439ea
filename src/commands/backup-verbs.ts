/** What `robur backup` does, with the words around it. */
import { resolve } from "node:path";
import { styleText } from "node:util";
import { formatSize } from "../lib/units.ts";
import { print, printError } from "../linux/libc.ts";
import { type FoundBackup, backupDirectory, listBackups } from "../db/backup/catalog.ts";
import { BackupError } from "../db/backup/backup-error.ts";
import { checkDatabase } from "../db/backup/copy-database.ts";
import { nextBackupAt } from "../db/backup/plan.ts";
import { type BackupSettings, readBackupSettings, writeBackupSettings } from "../db/backup/settings.ts";
import { DatabaseError } from "../db/database-error.ts";
import { openDatabase } from "../db/open.ts";
import {
  type BackupMade,
  type BackupStep,
  checkHash,
  makeBackup,
} from "../orchestrator/backup/make-backup.ts";
import { kindOfBackup, readArchive } from "../orchestrator/backup/read-archive.ts";
import type { Places } from "./backup.ts";
import { interruptible, longWork } from "./long-work.ts";
import { withProgress } from "./progress.ts";
import { type Column, formatTable, formatTime } from "./table.ts";

const say = (text: string) => printError(`${text}\n`);

/** `robur backup FILE`. */
export async function make(
  places: Places,
  file: string,
  flags: { withVolumes: boolean; force: boolean; quiet: boolean; json: boolean },
): Promise<void> {
  const { withVolumes, force: replace, quiet, json } = flags;
  const target = resolve(file);
  if (target === places.database) {
    throw new BackupError("exists", `${file} is the database itself`, { hint: "another name" });
  }
  const request = { ...places, target, withVolumes, replace, now: Date.now() };
  const made = await interruptible((signal) =>
    quiet
      ? makeBackup(request, { signal })
      : withSteps((onProgress) => makeBackup(request, { signal, onProgress })),
  );
  if (json) print(`${JSON.stringify({ ...made, leftOut: made.leftOut.map(({ name }) => name) }, null, 2)}\n`);
  else if (!quiet) tell(made, withVolumes);
}

/** One bar, which begins anew with each step: copying, packing, checking. */
function withSteps<T>(
  work: (onProgress: (step: BackupStep, done: number, total: number) => void) => Promise<T>,
): Promise<T> {
  return withProgress("backing up", (onProgress) => work((_step, done, total) => onProgress(done, total)));
}

function tell({ path, bytes, sha256, schema, volumes, leftOut }: BackupMade, withVolumes: boolean): void {
  const also = withVolumes ? `, ${volumes.length} ${volumes.length === 1 ? "volume" : "volumes"}` : "";
  say(`${path}: ${formatSize(bytes)}, schema ${schema}${also}, checked`);
  say(`SHA-256 ${sha256}`);
  const live = volumes.filter(({ read }) => read === "live").map(({ name }) => name);
  if (live.length > 0) {
    say(`warning: ${live.join(", ")} changed while being read; to be sure, stop the unikernel for a backup`);
  }
  if (leftOut.length === 0) return;
  const size = formatSize(leftOut.reduce((sum, volume) => sum + volume.size, 0));
  const names = leftOut.map(({ name }) => name).join(", ");
  say(
    withVolumes
      ? `warning: not in it, for their files are gone: ${names}`
      : `not in it: the volumes ${names} (${size}); --with-volumes takes them along`,
  );
}

const COLUMNS: readonly Column<FoundBackup>[] = [
  { title: "MADE", text: ({ at }) => formatTime(at) },
  { title: "WHY", text: ({ kind }) => kind.replace("-", " ") },
  { title: "SIZE", text: ({ bytes }) => formatSize(bytes), isRight: true },
  { title: "VOLUMES", text: ({ hasVolumes }) => (hasVolumes ? "yes" : "no") },
  { title: "FILE", text: ({ path }) => path },
];

/** `robur backup ls`. */
export function list(
  { database, dataDirectory }: Places,
  { format, json, quiet }: { format: "table" | "json" | "jsonl"; json: boolean; quiet: boolean },
): void {
  const directory = directoryOf({ database, dataDirectory });
  const found = listBackups(directory, database);
  const rows = found.map(({ at, ...rest }) => ({ ...rest, at: new Date(at).toISOString() }));
  if (quiet) print(found.map(({ path }) => `${path}\n`).join(""));
  else if (json || format === "json") print(`${JSON.stringify(rows, null, 2)}\n`);
  else if (format === "jsonl") print(rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  else print(formatTable(COLUMNS, found));
}

/** `robur backup verify`. */
export async function verify(
  file: string,
  { sha256, json }: { sha256: string | undefined; json: boolean },
): Promise<void> {
  const path = resolve(file);
  const kind = await kindOfBackup(path);
  if (sha256 !== undefined) checkHash(path, sha256);
  if (kind === "database") {
    const facts = checkDatabase(path);
    if (json) print(`${JSON.stringify({ path, kind, ...facts }, null, 2)}\n`);
    else {
      print(
        `${styleText("green", "ok", { stream: process.stdout })}  ${file}: a database, ${formatSize(facts.bytes)}, schema ${facts.schema}\n`,
      );
      if (sha256 === undefined) print(`    SHA-256 ${facts.sha256}\n`);
    }
    return;
  }
  const manifest = await longWork("checking", (work) => readArchive(path, {}, work));
  if (json) {
    print(`${JSON.stringify({ path, kind, ...manifest }, null, 2)}\n`);
    return;
  }
  const { database, volumes, createdAt, version } = manifest;
  print(
    `${styleText("green", "ok", { stream: process.stdout })}  ${file}: made ${formatTime(createdAt)} by robur ${version}, schema ${database.schema}\n`,
  );
  for (const { name, size, read } of volumes) {
    print(`    volume ${name}, ${formatSize(size)}${read === "live" ? ", in use while it was read" : ""}\n`);
  }
}

interface ScheduleFlags {
  readonly when: string | undefined;
  readonly keepLast: number | undefined;
  readonly keepDaily: number | undefined;
  readonly keepWeekly: number | undefined;
  readonly keepMonthly: number | undefined;
  readonly withVolumes: boolean | undefined;
  readonly directory: string | undefined;
  readonly json: boolean;
}

/** `robur backup schedule`. */
export function schedule(places: Places, flags: ScheduleFlags): void {
  using db = openDatabase(places.database);
  const old = readBackupSettings(db);
  const settings = changed(old, flags, Date.now());
  if (settings !== old) writeBackupSettings(db, settings);
  if (flags.json) {
    print(`${JSON.stringify(settings, null, 2)}\n`);
    return;
  }
  const { retention: keep, withVolumes } = settings;
  const directory = settings.directory ?? backupDirectory(places.dataDirectory);
  const past = listBackups(directory, places.database).filter(({ kind }) => kind === "scheduled");
  const next =
    settings.schedule === null
      ? undefined
      : nextBackupAt(settings.schedule, past, settings.since, Date.now());
  const rows: [string, string][] = [
    ["schedule", settings.schedule ?? "off"],
    [
      "next",
      next === undefined ? "never" : next <= Date.now() ? "as soon as a server runs" : formatTime(next),
    ],
    ["keep", `${keep.last} newest, ${keep.daily} daily, ${keep.weekly} weekly, ${keep.monthly} monthly`],
    ["volumes", withVolumes ? "with them" : "without them"],
    ["directory", directory],
    ["newest", past[0] === undefined ? "none" : `${formatTime(past[0].at)} (${formatSize(past[0].bytes)})`],
  ];
  print(rows.map(([name, value]) => `${name.padEnd(10)} ${value}\n`).join(""));
}

/** The settings with what the flags change; the same object where they change nothing. Pure. */
function changed(old: BackupSettings, flags: ScheduleFlags, now: number): BackupSettings {
  const { when, keepLast, keepDaily, keepWeekly, keepMonthly, withVolumes, directory } = flags;
  const asked = [when, keepLast, keepDaily, keepWeekly, keepMonthly, withVolumes, directory];
  if (asked.every((flag) => flag === undefined)) return old;
  const { last, daily, weekly, monthly } = old.retention;
  return {
    schedule: when === undefined ? old.schedule : when === "off" ? null : when,
    retention: {
      last: keepLast ?? last,
      daily: keepDaily ?? daily,
      weekly: keepWeekly ?? weekly,
      monthly: keepMonthly ?? monthly,
    },
    withVolumes: withVolumes ?? old.withVolumes,
    directory: directory === undefined ? old.directory : resolve(directory),
    // An old schedule that was never met isn't made up for by a new one.
    since: when === undefined ? old.since : now,
  };
}

/** Where the scheduled backups are, also of a database that can't be opened any more. */
function directoryOf({ database, dataDirectory }: Places): string {
  try {
    using db = openDatabase(database, { readOnly: true });
    return readBackupSettings(db).directory ?? backupDirectory(dataDirectory);
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    return backupDirectory(dataDirectory);
  }
}
