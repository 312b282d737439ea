/** Collection by itself: soon after the server starts, and each day. The server calls it once and ends it by `signal`. */
import type { Database } from "bun:sqlite";
import { RoburError, errorLine } from "../../lib/errors.ts";
import { pause } from "../../lib/pause.ts";
import type { BuildStore } from "../api.ts";
import { type Collected, type CollectedContents, collect } from "./collect.ts";
import { removeBuilds } from "./remove-builds.ts";
import { readRetention, rulesOf } from "./retention-settings.ts";

export interface CollectionSchedule {
  readonly db: Database;
  readonly contents: CollectedContents;
  readonly builds: Pick<BuildStore, "remove">;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Told of each run. */
  readonly report: (outcome: CollectionOutcome) => void;
}

export type CollectionOutcome =
  | { readonly kind: "done"; readonly builds: number; readonly collected: Collected }
  | { readonly kind: "failed"; readonly message: string };

/** After a start there is other work first. */
const FIRST_MS = 60_000;
const DAY_MS = 86_400_000;

/** Runs until `signal`. */
export async function scheduleCollection(options: CollectionSchedule, signal: AbortSignal): Promise<void> {
  await pause(FIRST_MS, signal);
  while (!signal.aborted) {
    options.report(await collectOnce(options, signal));
    await pause(DAY_MS, signal);
  }
}

/** Removes what retention lets go, and collects. */
export async function collectOnce(
  { db, contents, builds, now }: Omit<CollectionSchedule, "report">,
  signal?: AbortSignal,
): Promise<CollectionOutcome> {
  try {
    const removed = await removeBuilds(db, builds, rulesOf(readRetention(db)), { now: now(), signal });
    const collected = await collect(db, contents, { now: now(), signal });
    return { kind: "done", builds: removed.length, collected };
  } catch (error) {
    if (error instanceof RoburError) return { kind: "failed", message: errorLine(error) };
    throw error;
  }
}
