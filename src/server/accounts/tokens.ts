/** Tokens for programs: scoped, expiring, shown once. */
import type { Database } from "bun:sqlite";
import { write } from "../../db/open.ts";
import { type PolicyPath, isWithin, parsePath } from "../../orchestrator/names.ts";
import { AccountError } from "./account-error.ts";
import { hashSecret, newId, newSecret, sameHash } from "./secrets.ts";
import { type User, userById } from "./users.ts";

/**
 * What a token may do: see; start and stop; make, change and remove; be scraped; run the builds that the server hands
 * out; administer.
 */
export const SCOPES = ["read", "operate", "write", "metrics", "worker", "admin"] as const;
export type Scope = (typeof SCOPES)[number];

export interface Token {
  /** Public: it is a part of the token, and names it. */
  readonly id: string;
  readonly user: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly path: PolicyPath;
  readonly createdAt: number;
  /** Undefined: it doesn't expire. */
  readonly expiresAt: number | undefined;
  readonly usedAt: number | undefined;
}

export interface NewToken {
  readonly name: string;
  readonly scopes: readonly string[];
  /** At most the user's own; that is the default. */
  readonly path?: string | undefined;
  readonly expiresAt?: number | undefined;
}

interface Row {
  readonly id: string;
  readonly user_id: number;
  readonly user: string;
  readonly name: string;
  readonly hash: string;
  readonly scopes: string;
  readonly path: PolicyPath;
  readonly created_at: number;
  readonly expires_at: number | null;
  readonly used_at: number | null;
}

const SELECT = "SELECT token.*, user.name AS user FROM token JOIN user ON user.id = token.user_id";
const TOUCH_MS = 60_000;

/**
 * Makes a token and answers it whole, for the only time.
 * Throws AccountError invalid-scope, invalid-path, invalid-name, exists.
 */
export function createToken(
  db: Database,
  user: User,
  wanted: NewToken,
  now: number,
): { token: Token; secret: string } {
  const scopes = readScopes(wanted.scopes, user);
  const path = wanted.path === undefined ? user.path : parsePath(wanted.path);
  if (path === undefined || !isWithin(path, user.path)) {
    throw new AccountError("invalid-path", `${wanted.path} is not a path of ${user.name}`);
  }
  if (!/^[\w .:@/-]{1,64}$/.test(wanted.name)) {
    throw new AccountError("invalid-name", `${JSON.stringify(wanted.name)} can't be a token's name`, {
      why: "a name has 1 to 64 letters, digits, spaces and . : @ / - _",
    });
  }
  const id = newId();
  const secret = newSecret();
  return write(db, () => {
    if (db.query("SELECT 1 FROM token WHERE user_id = ? AND name = ?").get(user.id, wanted.name) !== null) {
      throw new AccountError("exists", `${user.name} has a token ${wanted.name} already`);
    }
    db.query(
      "INSERT INTO token (id, user_id, name, hash, scopes, path, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    ).run(
      ...[id, user.id, wanted.name, hashSecret(secret), JSON.stringify(scopes), path, now],
      wanted.expiresAt ?? null,
    );
    const row = db.query<Row, [string]>(`${SELECT} WHERE token.id = ?`).get(id)!;
    return { token: fromRow(row), secret: `robur_${id}_${secret}` };
  });
}

/** Whose token this is, and what it may; undefined for one that expired, was removed or never was. */
export function checkToken(
  db: Database,
  text: string,
  now: number,
): { user: User; token: Token } | undefined {
  const [, id, secret] = /^robur_([0-9a-f]{12})_([\w-]{43})$/.exec(text) ?? [];
  if (id === undefined || secret === undefined) return undefined;
  const row = db.query<Row, [string]>(`${SELECT} WHERE token.id = ?`).get(id);
  const isRight = sameHash(hashSecret(secret), row?.hash ?? hashSecret(""));
  if (row === null || !isRight || (row.expires_at !== null && row.expires_at <= now)) return undefined;
  if (now - (row.used_at ?? 0) > TOUCH_MS) {
    write(db, () => db.query("UPDATE token SET used_at = ? WHERE id = ?").run(now, id));
  }
  const user = userById(db, row.user_id);
  return user === undefined ? undefined : { user, token: fromRow(row) };
}

/** Tokens by age, of one user or of all. */
export function listTokens(db: Database, userId?: number): Token[] {
  const rows =
    userId === undefined
      ? db.query<Row, []>(`${SELECT} ORDER BY token.created_at`).all()
      : db.query<Row, [number]>(`${SELECT} WHERE user_id = ? ORDER BY token.created_at`).all(userId);
  return rows.map(fromRow);
}

/** Removes a token by its id, only if it is `userId`'s where that is given. False when there is none. */
export function removeToken(db: Database, id: string, userId?: number): boolean {
  const { changes } = write(db, () =>
    userId === undefined
      ? db.query("DELETE FROM token WHERE id = ?").run(id)
      : db.query("DELETE FROM token WHERE id = ? AND user_id = ?").run(id, userId),
  );
  return changes > 0;
}

function readScopes(wanted: readonly string[], user: User): readonly Scope[] {
  const unknown = wanted.find((scope) => !SCOPES.some((known) => known === scope));
  if (unknown !== undefined || wanted.length === 0) {
    throw new AccountError(
      "invalid-scope",
      unknown === undefined ? "a token needs a scope" : `there is no scope ${unknown}`,
      {
        hint: SCOPES.join(", "),
      },
    );
  }
  // Whoever runs builds says what they are made of.
  if ((wanted.includes("admin") || wanted.includes("worker")) && user.role !== "admin") {
    throw new AccountError("invalid-scope", `${user.name} is no administrator, so no token of theirs can be`);
  }
  return SCOPES.filter((scope) => wanted.includes(scope));
}

function fromRow(row: Row): Token {
  return {
    id: row.id,
    user: row.user,
    name: row.name,
    scopes: JSON.parse(row.scopes) as Scope[],
    path: row.path,
    createdAt: row.created_at,
    expiresAt: row.expires_at ?? undefined,
    usedAt: row.used_at ?? undefined,
  };
}
