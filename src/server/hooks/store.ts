/** Who is told of events, and what they were told. */
import type { Database } from "bun:sqlite";
import { write } from "../../db/open.ts";
import { HttpError } from "../http/http-error.ts";
import { nextAttempt } from "./schedule.ts";

export type HookKind = "webhook" | "ntfy" | "script";

export interface Hook {
  readonly id: number;
  readonly name: string;
  readonly kind: HookKind;
  /** An address, or a script's name in the data directory's folder `hooks`. */
  readonly target: string;
  readonly secret: string | undefined;
  /** Patterns: `unikernel.failed`, `unikernel.*`, `*`. */
  readonly events: readonly string[];
  readonly enabled: boolean;
  readonly createdAt: number;
}

export interface Delivery {
  readonly id: number;
  readonly hookId: number;
  readonly event: string;
  /** The JSON that is sent, byte for byte the same at each attempt. */
  readonly body: string;
  readonly createdAt: number;
  readonly attempts: number;
  readonly nextAt: number | undefined;
  readonly doneAt: number | undefined;
  readonly result: string | undefined;
}

interface HookRow {
  readonly id: number;
  readonly name: string;
  readonly kind: HookKind;
  readonly target: string;
  readonly secret: string | null;
  readonly events: string;
  readonly enabled: number;
  readonly created_at: number;
}

interface DeliveryRow {
  readonly id: number;
  readonly hook_id: number;
  readonly event: string;
  readonly body: string;
  readonly created_at: number;
  readonly attempts: number;
  readonly next_at: number | null;
  readonly done_at: number | null;
  readonly result: string | null;
}

/** Deliveries kept of each hook, newest first. */
const KEPT = 500;

export type NewHook = Omit<Hook, "id" | "createdAt">;

export function listHooks(db: Database): Hook[] {
  return db.query<HookRow, []>("SELECT * FROM hook ORDER BY name").all().map(fromHook);
}

export function findHook(db: Database, id: number): Hook | undefined {
  const row = db.query<HookRow, [number]>("SELECT * FROM hook WHERE id = ?").get(id);
  return row === null ? undefined : fromHook(row);
}

/** Throws HttpError 409 when the name is taken. */
export function addHook(db: Database, hook: NewHook, now: number): Hook {
  return write(db, () => {
    refuseName(db, hook.name, 0);
    const { lastInsertRowid } = db
      .query(
        "INSERT INTO hook (name, kind, target, secret, events, enabled, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
      )
      .run(...columns(hook), now);
    return findHook(db, Number(lastInsertRowid))!;
  });
}

export function changeHook(db: Database, id: number, hook: NewHook): Hook {
  return write(db, () => {
    refuseName(db, hook.name, id);
    db.query(
      "UPDATE hook SET name = ?, kind = ?, target = ?, secret = ?, events = ?, enabled = ? WHERE id = ?",
    ).run(...columns(hook), id);
    return findHook(db, id)!;
  });
}

/** False when there is none. */
export function removeHook(db: Database, id: number): boolean {
  return write(db, () => db.query("DELETE FROM hook WHERE id = ?").run(id)).changes > 0;
}

/** Puts a message in line for a hook. */
export function queueDelivery(
  db: Database,
  hookId: number,
  event: string,
  body: string,
  now: number,
): number {
  return write(db, () => {
    const { lastInsertRowid } = db
      .query(
        "INSERT INTO hook_delivery (hook_id, event, body, created_at, attempts, next_at) VALUES (?, ?, ?, ?, 0, ?)",
      )
      .run(hookId, event, body, now, now);
    db.query(
      `DELETE FROM hook_delivery WHERE hook_id = ?1 AND next_at IS NULL AND id <= (
         SELECT id FROM hook_delivery WHERE hook_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ${KEPT})`,
    ).run(hookId);
    return Number(lastInsertRowid);
  });
}

/** Deliveries whose time has come, oldest first. */
export function dueDeliveries(db: Database, now: number, limit: number): Delivery[] {
  return db
    .query<DeliveryRow, [number, number]>(
      "SELECT * FROM hook_delivery WHERE next_at <= ? ORDER BY next_at, id LIMIT ?",
    )
    .all(now, limit)
    .map(fromDelivery);
}

/** When the next one is due; undefined when none waits. */
export function nextDue(db: Database): number | undefined {
  return (
    db
      .query<{ at: number | null }, []>(
        "SELECT min(next_at) AS at FROM hook_delivery WHERE next_at IS NOT NULL",
      )
      .get()?.at ?? undefined
  );
}

/** Writes what came of an attempt; one that failed is tried again, until it is given up. */
export function recordDelivery(
  db: Database,
  delivery: Delivery,
  isDone: boolean,
  result: string,
  now: number,
): void {
  const attempts = delivery.attempts + 1;
  const nextAt = isDone ? undefined : nextAttempt(attempts, now);
  write(db, () =>
    db
      .query("UPDATE hook_delivery SET attempts = ?, next_at = ?, done_at = ?, result = ? WHERE id = ?")
      .run(attempts, nextAt ?? null, isDone ? now : null, result.slice(0, 500), delivery.id),
  );
}

export function listDeliveries(db: Database, hookId: number, limit: number): Delivery[] {
  return db
    .query<DeliveryRow, [number, number]>(
      "SELECT * FROM hook_delivery WHERE hook_id = ? ORDER BY id DESC LIMIT ?",
    )
    .all(hookId, limit)
    .map(fromDelivery);
}

function columns(hook: NewHook) {
  const { name, kind, target, secret = null, events, enabled } = hook;
  return [name, kind, target, secret, JSON.stringify(events), enabled ? 1 : 0] as const;
}

function refuseName(db: Database, name: string, exceptId: number): void {
  if (db.query("SELECT 1 FROM hook WHERE name = ? AND id <> ?").get(name, exceptId) === null) return;
  throw new HttpError(409, "exists", `there is a hook ${name} already`);
}

function fromHook({ created_at, secret, events, enabled, ...row }: HookRow): Hook {
  return {
    ...row,
    secret: secret ?? undefined,
    events: JSON.parse(events) as string[],
    enabled: enabled === 1,
    createdAt: created_at,
  };
}

function fromDelivery(row: DeliveryRow): Delivery {
  return {
    id: row.id,
    hookId: row.hook_id,
    event: row.event,
    body: row.body,
    createdAt: row.created_at,
    attempts: row.attempts,
    nextAt: row.next_at ?? undefined,
    doneAt: row.done_at ?? undefined,
    result: row.result ?? undefined,
  };
}
