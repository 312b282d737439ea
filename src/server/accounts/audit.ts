/** Who changed what, when, from where. Written before the change is tried, completed by what came of it. */
import type { Database } from "bun:sqlite";
import { write } from "../../db/open.ts";

export interface AuditEntry {
  readonly id: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly actor: string;
  readonly action: string;
  readonly target: string;
  readonly address: string;
  /** The HTTP status; undefined where the server ended before it answered. */
  readonly status: number | undefined;
  readonly request: string;
}

/** Rows beyond this many are forgotten, oldest first. */
const KEPT = 100_000;

/** Writes that something is about to be tried. Answers the entry's id. */
export function recordAttempt(db: Database, entry: Omit<AuditEntry, "id" | "status">): number {
  return write(db, () => {
    const { lastInsertRowid } = db
      .query("INSERT INTO audit (at, actor, action, target, address, request) VALUES (?, ?, ?, ?, ?, ?)")
      .run(entry.at, entry.actor, entry.action, entry.target.slice(0, 500), entry.address, entry.request);
    const id = Number(lastInsertRowid);
    if (id % 1000 === 0) db.query("DELETE FROM audit WHERE id <= ?").run(id - KEPT);
    return id;
  });
}

/** Writes what came of it. */
export function recordOutcome(db: Database, id: number, status: number): void {
  write(db, () => db.query("UPDATE audit SET status = ? WHERE id = ?").run(status, id));
}

/** A change made by a command on the database itself. */
export function recordLocal(db: Database, action: string, target: string, now: number): void {
  const entry = { at: now, actor: "command line", action, target, address: "", request: "" };
  recordOutcome(db, recordAttempt(db, entry), 200);
}

/** The newest entries first, older than entry `before` where that is given. */
export function listAudit(db: Database, limit: number, before = Number.MAX_SAFE_INTEGER): AuditEntry[] {
  return db
    .query<Omit<AuditEntry, "status"> & { status: number | null }, [number, number]>(
      "SELECT id, at, actor, action, target, address, status, request FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?",
    )
    .all(before, limit)
    .map(({ status, ...entry }) => ({ ...entry, status: status ?? undefined }));
}
