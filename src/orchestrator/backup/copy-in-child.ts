/**
 * Copies a database in a process of its own, which nothing waits for but its end: SQLite's copying blocks the
 * thread that it is done on, and a server has others to answer, a person wants to see how far it is, and to be
 * able to end it.
 */
import { rmSync, statSync } from "node:fs";
import { RoburError } from "../../lib/errors.ts";
import { selfCommand } from "../../lib/self.ts";
import { BackupError } from "../../db/backup/backup-error.ts";
import { type DatabaseFacts, copyDatabase } from "../../db/backup/copy-database.ts";
import { DatabaseError } from "../../db/database-error.ts";

export interface LongWork {
  /** Bytes done, and of about how many. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Ends it: BackupError interrupted, and nothing was changed. */
  readonly signal?: AbortSignal | undefined;
}

/** The name of the hidden command that the child runs. */
export const COPY_COMMAND = "__copy-database";

/** What the child says, a line each. */
type Said =
  | { readonly total: number }
  | { readonly facts: DatabaseFacts }
  | {
      readonly error: { family: string; code: string; message: string; why?: string; hint?: string };
    };

const LOOK_MS = 100;

/**
 * Copies `from` to `to`, as copyDatabase does; on failure nothing is left at `to`. Throws DatabaseError and
 * BackupError.
 */
export async function copyInChild(from: string, to: string, work: LongWork = {}): Promise<DatabaseFacts> {
  checkSignal(work);
  const child = Bun.spawn([...selfCommand(), COPY_COMMAND, from, to], {
    argv0: "robur",
    env: { ...process.env, BUN_BE_BUN: undefined },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const end = () => child.kill("SIGKILL");
  work.signal?.addEventListener("abort", end);
  let total = 0;
  const look = setInterval(() => {
    const done = statSync(to, { throwIfNoEntry: false })?.size ?? 0;
    if (total > 0) work.onProgress?.(Math.min(done, total), total);
  }, LOOK_MS);
  try {
    let said: Said | undefined;
    for await (const line of lines(child.stdout)) {
      said = JSON.parse(line) as Said;
      if ("total" in said) total = said.total;
    }
    await child.exited;
    checkSignal(work);
    if (said !== undefined && "facts" in said) return said.facts;
    throw said !== undefined && "error" in said ? revive(said.error) : died(child);
  } catch (error) {
    rmSync(to, { force: true });
    rmSync(`${to}-journal`, { force: true });
    throw error;
  } finally {
    clearInterval(look);
    work.signal?.removeEventListener("abort", end);
  }
}

/** What the child does. `say` gets one line of JSON at a time, without the newline. */
export function copyAsChild(from: string, to: string, say: (line: string) => void): void {
  const tell = (said: Said) => say(JSON.stringify(said));
  try {
    tell({ facts: copyDatabase(from, to, (total) => tell({ total })) });
  } catch (error) {
    if (!(error instanceof RoburError)) throw error;
    const { code, message, why, hint } = error;
    const more = { ...(why === undefined ? {} : { why }), ...(hint === undefined ? {} : { hint }) };
    tell({
      error: { family: error instanceof DatabaseError ? "database" : "backup", code, message, ...more },
    });
  }
}

function revive({ family, code, message, ...more }: Extract<Said, { error: unknown }>["error"]): RoburError {
  if (family === "database") return new DatabaseError(code as DatabaseError["code"], message, more);
  return new BackupError(code as BackupError["code"], message, more);
}

function died(child: Bun.Subprocess): BackupError {
  return new BackupError("failed", "the process that copies the database ended without a word", {
    why: child.signalCode === null ? `status ${child.exitCode}` : `signal ${child.signalCode}`,
  });
}

/** Throws BackupError interrupted once somebody ended the work. */
export function checkSignal({ signal }: LongWork): void {
  if (signal?.aborted === true) throw interrupted();
}

export function interrupted(): BackupError {
  return new BackupError("interrupted", "interrupted; nothing was changed");
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
  if (rest !== "") yield rest;
}
