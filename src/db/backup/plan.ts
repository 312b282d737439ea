/**
 * When the next backup is due, and which old ones may go. Pure: what is there and what time it is are parameters.
 *
 * The rules for keeping: the newest `last`, and of each of the newest `daily` days (weeks, months) that have any, the
 * newest. Days and weeks are UTC's. Never removed are the newest of all, and those from the future: a clock that
 * jumped back must not cost anything.
 */
export interface Retention {
  readonly last: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
}

/** A backup that the schedule made. */
export interface PastBackup {
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

const DAY_MS = 86_400_000;
const PERIODS: Readonly<Record<Exclude<keyof Retention, "last">, (at: number) => string>> = {
  daily: (at) => new Date(at).toISOString().slice(0, 10),
  // 1970 began on a Thursday: weeks that begin on Mondays are counted from three days before.
  weekly: (at) => String(Math.floor((at + 3 * DAY_MS) / DAY_MS / 7)),
  monthly: (at) => new Date(at).toISOString().slice(0, 7),
};

/** Whether `schedule` (five fields of cron, or @daily and its like, in the server's time zone) can be understood. */
export function isSchedule(schedule: string): boolean {
  return occurrence(schedule, Date.UTC(2024, 0, 1)) !== undefined;
}

/**
 * When the next backup is due; in the past for one that was missed. `since`: when the schedule began to count,
 * where there is no backup yet. Undefined for a schedule that never occurs.
 */
export function nextBackupAt(
  schedule: string,
  backups: readonly PastBackup[],
  since: number,
  now: number,
): number | undefined {
  // Those from the future don't count: the clock was put back, and nothing protects this day yet.
  const last = Math.max(...backups.map(({ at }) => at).filter((at) => at <= now), Math.min(since, now));
  return occurrence(schedule, last);
}

/** Those that may be removed, oldest first. */
export function backupsToRemove(
  backups: readonly PastBackup[],
  retention: Retention,
  now: number,
): PastBackup[] {
  const newestFirst = backups.filter(({ at }) => at <= now).sort((a, b) => b.at - a.at);
  const kept = new Set(newestFirst.slice(0, Math.max(1, retention.last)));
  for (const [name, periodOf] of Object.entries(PERIODS)) {
    const seen = new Set<string>();
    for (const backup of newestFirst) {
      if (seen.has(periodOf(backup.at))) continue;
      if (seen.size >= retention[name as keyof typeof PERIODS]) break;
      seen.add(periodOf(backup.at));
      kept.add(backup);
    }
  }
  return newestFirst.filter((backup) => !kept.has(backup)).toReversed();
}

function occurrence(schedule: string, after: number): number | undefined {
  try {
    return Bun.cron.parse(schedule, after)?.getTime();
  } catch (error) {
    // Its words for what it can't read.
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}
