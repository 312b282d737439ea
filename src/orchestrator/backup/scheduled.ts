/**
 * Backups by themselves. The server calls `scheduleBackups` once it has its database, and ends it when it stops.
 * Each backup is made by a process of its own, so that the server answers meanwhile.
 */
import type { Database } from "bun:sqlite";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type FoundBackup, backupDirectory, listBackups, scheduledName } from "../../db/backup/catalog.ts";
import { backupsToRemove, nextBackupAt } from "../../db/backup/plan.ts";
import { type BackupSettings, readBackupSettings } from "../../db/backup/settings.ts";
import { RoburError, errorLine } from "../../lib/errors.ts";
import { pause } from "../../lib/pause.ts";
import { selfCommand } from "../../lib/self.ts";
import { BackupError } from "../../db/backup/backup-error.ts";

export interface ScheduleOptions {
  readonly db: Database;
  /** The database's path. */
  readonly database: string;
  readonly dataDirectory: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Told of each backup that was made or failed: for the log, and for the event `backup.failed`. */
  readonly report: (outcome: BackupOutcome) => void;
  /** Makes one; default: by `robur backup` in a process of its own. */
  readonly make?: (target: string, settings: BackupSettings, signal: AbortSignal) => Promise<void>;
}

export type BackupOutcome =
  | { readonly kind: "made"; readonly path: string; readonly removed: readonly string[] }
  | { readonly kind: "failed"; readonly message: string };

/** Settings may change, and the clock may jump: it looks at least this often. */
const LOOK_MS = 60_000;
/** A backup that failed is tried again after this, not each time somebody looks. */
const AGAIN_MS = 30 * 60_000;

/** Makes backups as the settings say until `signal`; answers when the one at work has ended. Never throws. */
export async function scheduleBackups(options: ScheduleOptions, signal: AbortSignal): Promise<void> {
  let notBefore = 0;
  while (!signal.aborted) {
    const now = options.now();
    const outcome = now < notBefore ? undefined : await backUpIfDue(options, signal);
    if (outcome?.kind === "failed" && !signal.aborted) notBefore = now + AGAIN_MS;
    // A clock that was put back must not keep it waiting.
    notBefore = Math.min(notBefore, now + AGAIN_MS);
    if (outcome !== undefined && !signal.aborted) options.report(outcome);
    await pause(LOOK_MS, signal);
  }
}

/** Makes one backup if one is due, and removes those that needn't be kept. Undefined: nothing was due. */
export async function backUpIfDue(
  options: ScheduleOptions,
  signal: AbortSignal,
): Promise<BackupOutcome | undefined> {
  try {
    const settings = readBackupSettings(options.db);
    const { schedule, since, retention, withVolumes } = settings;
    if (schedule === null) return undefined;
    const now = options.now();
    const directory = settings.directory ?? backupDirectory(options.dataDirectory);
    const past = scheduledIn(directory, options.database);
    const due = nextBackupAt(schedule, past, since, now);
    if (due === undefined || due > now) return undefined;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const path = join(directory, scheduledName(now, withVolumes));
    await (options.make ?? makeInChild(options))(path, settings, signal);
    // Only now, that there is a new one, may an old one go.
    const removed = backupsToRemove(scheduledIn(directory, options.database), retention, now);
    for (const { name } of removed) rmSync(join(directory, name), { force: true });
    return { kind: "made", path, removed: removed.map(({ name }) => name) };
  } catch (error) {
    if (error instanceof RoburError) return { kind: "failed", message: errorLine(error) };
    if (error instanceof Error && "code" in error) return { kind: "failed", message: error.message };
    throw error;
  }
}

/** The backups that the schedule made. */
function scheduledIn(directory: string, database: string): FoundBackup[] {
  return listBackups(directory, database).filter(({ kind }) => kind === "scheduled");
}

function makeInChild({ database, dataDirectory }: ScheduleOptions) {
  return async (target: string, { withVolumes }: BackupSettings, signal: AbortSignal): Promise<void> => {
    const args = ["backup", target, "--db", database, "--data-dir", dataDirectory, "--quiet"];
    const child = Bun.spawn([...selfCommand(), ...args, ...(withVolumes ? ["--with-volumes"] : [])], {
      argv0: "robur",
      env: { ...process.env, BUN_BE_BUN: undefined },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const end = () => child.kill("SIGTERM");
    signal.addEventListener("abort", end);
    try {
      const [said] = await Promise.all([new Response(child.stderr).text(), child.exited]);
      if (child.exitCode !== 0) {
        throw new BackupError(
          "failed",
          said.replace(/^error: /, "").trim() || `backup ended with ${child.signalCode ?? child.exitCode}`,
        );
      }
    } finally {
      signal.removeEventListener("abort", end);
    }
  };
}
