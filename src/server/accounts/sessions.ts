/** Browsers that signed in. A session ends after a week without use, a month after signing in, or by hand. */
import type { Database } from "bun:sqlite";
import { write } from "../../db/open.ts";
import { hashSecret, newSecret } from "./secrets.ts";
import { type User, userById } from "./users.ts";

const DAY_MS = 86_400_000;
const IDLE_MS = 7 * DAY_MS;
export const SESSION_LIFE_MS = 30 * DAY_MS;
/** The time of last use is written at most this often: a page makes many requests. */
const TOUCH_MS = 60_000;

export interface Session {
  /** The first digits of the hash: names the session without giving it away. */
  readonly id: string;
  readonly createdAt: number;
  readonly usedAt: number;
  readonly address: string;
  readonly agent: string;
}

interface Row {
  readonly hash: string;
  readonly user_id: number;
  readonly created_at: number;
  readonly used_at: number;
  readonly expires_at: number;
  readonly address: string;
  readonly agent: string;
}

/** Signs a user in; the answer is what the cookie holds. Sessions that ended are taken away. */
export function startSession(
  db: Database,
  user: User,
  from: { readonly address: string; readonly agent: string },
  now: number,
): string {
  const secret = newSecret();
  write(db, () => {
    db.query("DELETE FROM session WHERE expires_at <= ? OR used_at <= ?").run(now, now - IDLE_MS);
    db.query(
      "INSERT INTO session (hash, user_id, created_at, used_at, expires_at, address, agent) VALUES (?, ?, ?, ?, ?, ?, ?)",
    ).run(
      hashSecret(secret),
      user.id,
      now,
      now,
      now + SESSION_LIFE_MS,
      from.address,
      from.agent.slice(0, 200),
    );
  });
  return secret;
}

/** Whose session a cookie is; undefined for one that ended or never was. */
export function sessionUser(db: Database, secret: string, now: number): User | undefined {
  const hash = hashSecret(secret);
  const row = db.query<Row, [string]>("SELECT * FROM session WHERE hash = ?").get(hash);
  if (row === null || row.expires_at <= now || row.used_at <= now - IDLE_MS) return undefined;
  if (now - row.used_at > TOUCH_MS) {
    write(db, () => db.query("UPDATE session SET used_at = ? WHERE hash = ?").run(now, hash));
  }
  return userById(db, row.user_id);
}

/** Ends the session of a cookie. */
export function endSession(db: Database, secret: string): void {
  write(db, () => db.query("DELETE FROM session WHERE hash = ?").run(hashSecret(secret)));
}

/** A user's sessions, last used first. */
export function listSessions(db: Database, userId: number): Session[] {
  return db
    .query<Row, [number]>("SELECT * FROM session WHERE user_id = ? ORDER BY used_at DESC")
    .all(userId)
    .map(({ hash, created_at, used_at, address, agent }) => ({
      id: hash.slice(0, 12),
      createdAt: created_at,
      usedAt: used_at,
      address,
      agent,
    }));
}

/** Ends one of a user's sessions by its id. False when there is none. */
export function endSessionById(db: Database, userId: number, id: string): boolean {
  if (!/^[0-9a-f]{12}$/.test(id)) return false;
  const { changes } = write(db, () =>
    db.query("DELETE FROM session WHERE user_id = ? AND substr(hash, 1, 12) = ?").run(userId, id),
  );
  return changes > 0;
}
