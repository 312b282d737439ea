/** Removes the builds that rules let go, one transaction each, with rests between. Their contents go by collection. */
import type { Database } from "bun:sqlite";
import type { BuildId, BuildStore, JobName, Platform } from "../api.ts";
import { type PastBuild, type RetentionRule, buildsToRemove } from "./retention.ts";
import { Steps } from "./steps.ts";

interface BuildRow {
  id: BuildId;
  job: JobName;
  platform: Platform;
  startedAt: number;
  finishedAt: number;
  isSuccessful: 0 | 1;
  isPinned: 0 | 1;
  isUsed: 0 | 1;
}

export interface RemoveOptions {
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly signal?: AbortSignal | undefined;
  /** Only says which. Default: false. */
  readonly dryRun?: boolean;
}

/** Those that went, or would go; oldest first. Throws DatabaseError. */
export async function removeBuilds(
  db: Database,
  builds: Pick<BuildStore, "remove">,
  rules: readonly RetentionRule[],
  { now, signal, dryRun = false }: RemoveOptions,
): Promise<PastBuild[]> {
  if (rules.length === 0) return [];
  const steps = new Steps(db, signal);
  const removed: PastBuild[] = [];
  for (const build of buildsToRemove(pastBuilds(db), rules, now)) {
    if (steps.isOver) break;
    // Looked at again: it may have been pinned, or started as a unikernel, since.
    const isFree = dryRun || !isKept(db, build.id);
    if (isFree && (dryRun || builds.remove(build.id))) removed.push(build);
    await steps.rest();
  }
  return removed;
}

const COLUMNS = `uuid AS id, job.name AS job, platform, started_at AS startedAt, finished_at AS finishedAt,
  main_sha256 IS NOT NULL AS isSuccessful, is_pinned AS isPinned,
  main_sha256 IS NOT NULL AND EXISTS (SELECT 1 FROM unikernel WHERE image = lower(hex(main_sha256))) AS isUsed`;

/** All builds, for buildsToRemove. */
export function pastBuilds(db: Database): PastBuild[] {
  const rows = db.query<BuildRow, []>(`SELECT ${COLUMNS} FROM build JOIN job ON job.id = build.job`).all();
  return rows.map((row) => ({
    ...row,
    isSuccessful: row.isSuccessful === 1,
    isPinned: row.isPinned === 1,
    isUsed: row.isUsed === 1,
  }));
}

function isKept(db: Database, id: BuildId): boolean {
  const row = db
    .query<BuildRow, [string]>(`SELECT ${COLUMNS} FROM build JOIN job ON job.id = build.job WHERE uuid = ?`)
    .get(id);
  return row === null || row.isPinned === 1 || row.isUsed === 1;
}
