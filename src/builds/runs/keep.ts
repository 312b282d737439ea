/** Makes an attempt a build of the store: with its console, the files that it made, and how it ended. */
import type { Database } from "bun:sqlite";
import { write } from "../../db/open.ts";
import { parseSha256 } from "../../lib/sha256.ts";
import type { BuildStore, Content } from "../../store/api.ts";
import type { BuildId, BuildResult, Outcome, RunId } from "../api.ts";
import { done, refuse } from "../api.ts";
import type { SandboxOrigin } from "../sandbox/api.ts";
import { linesBetween } from "./console.ts";
import { scriptInputId } from "./input-id.ts";
import { type Attempt, runById } from "./records.ts";

export interface CollectedFile {
  readonly path: string;
  readonly content: Content;
}

export interface AttemptEnding {
  readonly result: BuildResult;
  readonly files: readonly CollectedFile[];
  readonly finishedAt: number;
  /** What it ran in, where the worker says so. */
  readonly sandbox?: SandboxOrigin | undefined;
}

/** Whoever built it: the user that the store shows. */
const BUILDER = "robur";

/** Adds the build, once: one that is there already is that one. Throws StoreError. */
export async function keepAttempt(
  { db, builds }: { readonly db: Database; readonly builds: BuildStore },
  attempt: Attempt,
  { result, files, finishedAt, sandbox }: AttemptEnding,
): Promise<Outcome<BuildId>> {
  const { uuid, run, assignment, startedAt, firstLine, worker } = attempt;
  const outcome = await builds.add({
    id: uuid,
    ...{ job: assignment.job, platform: assignment.platform, startedAt, result, files, worker },
    script: new TextEncoder().encode(assignment.script),
    // A clock that was set back must not make a build that ended before it began.
    finishedAt: Math.max(startedAt, finishedAt),
    console: one(linesBetween(db, run, firstLine, endOfLines(db, attempt))),
    inputId: scriptInputId(
      assignment,
      parseSha256(sandbox?.packagesSha256 ?? ""),
      runById(db, run)?.batch ?? undefined,
    ),
    uploadedBy: BUILDER,
  });
  if (outcome.ok || outcome.refusal.code === "exists") return done(uuid);
  // Not the worker's fault, and it won't be better when it is sent again: the build says what was wrong with it.
  if (result.kind !== "message" || files.length > 0) {
    const message = { kind: "message" as const, text: `its output was refused: ${outcome.refusal.message}` };
    return keepAttempt({ db, builds }, attempt, { result: message, files: [], finishedAt });
  }
  return refuse("invalid", outcome.refusal.message);
}

function* one<T>(batches: Iterable<readonly T[]>): Generator<T, void> {
  for (const batch of batches) yield* batch;
}

/** Where the lines of the next attempt begin. */
export function endOfLines(db: Database, { run, number }: Attempt): number {
  const next = db
    .query<{ first_line: number }, [number, number]>(
      "SELECT first_line FROM run_attempt WHERE run = ? AND number > ? ORDER BY number LIMIT 1",
    )
    .get(run, number);
  return next?.first_line ?? Number.MAX_SAFE_INTEGER;
}

/** Frees what kept builds' consoles take here; their readers read the store's. */
export function dropConsoles(db: Database, endedBefore: number): void {
  // Runs with lines are few, those that ended are many.
  const next = db.query<{ run: RunId }, [number]>(
    "SELECT run FROM run_console WHERE run > ? ORDER BY run LIMIT 1",
  );
  const isOver = db.query<object, [number, number]>(
    `SELECT 1 FROM run WHERE id = ? AND finished_at < ? AND NOT EXISTS
       (SELECT 1 FROM run_attempt WHERE run_attempt.run = run.id AND is_kept = 0)`,
  );
  for (let row = next.get(0); row !== null; row = next.get(row.run)) {
    const { run } = row;
    if (isOver.get(run, endedBefore) === null) continue;
    write(db, () => db.query("DELETE FROM run_console WHERE run = ?").run(run));
  }
}
