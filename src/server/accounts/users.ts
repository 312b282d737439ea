/** The users of this server: administrators, and users bound to a path. */
import type { Database } from "bun:sqlite";
import { write } from "../../db/open.ts";
import { type PolicyPath, ROOT_PATH, parsePath } from "../../orchestrator/names.ts";
import { AccountError } from "./account-error.ts";

export type Role = "admin" | "user";

/** For which jobs a user may upload builds: none, those that are listed, any. Administrators: any. */
export type Uploads = "none" | "listed" | "any";

export interface User {
  readonly id: number;
  readonly name: string;
  readonly role: Role;
  /** What the user sees and touches; the root for an administrator. */
  readonly path: PolicyPath;
  readonly passwordHash: string | undefined;
  readonly uploads: Uploads;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

export interface NewUser {
  readonly name: string;
  readonly role: Role;
  /** Default: the user's own name for a user, everything for an administrator. */
  readonly path?: string | undefined;
  readonly passwordHash?: string | undefined;
  /** Default: listed, with nothing listed yet. */
  readonly uploads?: Uploads | undefined;
}

interface Row {
  readonly id: number;
  readonly name: string;
  readonly role: Role;
  readonly path: PolicyPath;
  readonly password_hash: string | null;
  readonly uploads: Uploads;
  readonly created_at: number;
}

const COLUMNS = "id, name, role, path, password_hash, uploads, created_at";
const NAME = /^[a-z0-9][a-z0-9.-]{0,62}$/;

/** The user of this name, or undefined. */
export function findUser(db: Database, name: string): User | undefined {
  const row = db.query<Row, [string]>(`SELECT ${COLUMNS} FROM user WHERE name = ?`).get(name.toLowerCase());
  return row === null ? undefined : fromRow(row);
}

export function userById(db: Database, id: number): User | undefined {
  const row = db.query<Row, [number]>(`SELECT ${COLUMNS} FROM user WHERE id = ?`).get(id);
  return row === null ? undefined : fromRow(row);
}

/** All users by name. */
export function listUsers(db: Database): User[] {
  return db.query<Row, []>(`SELECT ${COLUMNS} FROM user ORDER BY name`).all().map(fromRow);
}

/** Whether somebody can administer this server by signing in; until then it is not set up. */
export function isSetUp(db: Database): boolean {
  return db.query("SELECT 1 FROM user WHERE role = 'admin' AND password_hash IS NOT NULL").get() !== null;
}

/** Adds a user. Throws AccountError invalid-name, invalid-path, exists. */
export function addUser(db: Database, user: NewUser, now: number): User {
  const name = user.name.toLowerCase();
  if (!NAME.test(name)) {
    throw new AccountError("invalid-name", `${JSON.stringify(user.name)} can't be a user's name`, {
      why: "a name has 1 to 63 characters: letters, digits, dots and dashes, the first a letter or digit",
    });
  }
  const path = user.role === "admin" ? ROOT_PATH : readPath(user.path ?? name);
  return write(db, () => {
    if (findUser(db, name) !== undefined) {
      throw new AccountError("exists", `there is a user ${name} already`, {
        hint: `robur user passwd ${name}`,
      });
    }
    const { lastInsertRowid } = db
      .query(
        "INSERT INTO user (name, role, path, password_hash, uploads, created_at) VALUES (?, ?, ?, ?, ?, ?)",
      )
      .run(name, user.role, path, user.passwordHash ?? null, user.uploads ?? "listed", now);
    return userById(db, Number(lastInsertRowid))!;
  });
}

/** What can be changed of a user. */
export interface UserChange {
  readonly role?: Role;
  readonly path?: string;
  readonly uploads?: Uploads;
}

/** Sessions and tokens follow at once. Throws AccountError missing, last-admin, invalid-path. */
export function changeUser(db: Database, name: string, change: UserChange): User {
  return write(db, () => {
    const user = existing(db, name);
    const role = change.role ?? user.role;
    if (role !== "admin") refuseLastAdmin(db, user);
    const path = role === "admin" ? ROOT_PATH : readPath(change.path ?? (user.path || user.name));
    db.query("UPDATE user SET role = ?, path = ?, uploads = ? WHERE id = ?").run(
      ...([role, path, change.uploads ?? user.uploads, user.id] as const),
    );
    return userById(db, user.id)!;
  });
}

/** Sets the password and ends all sessions of the user. Throws AccountError missing. */
export function setPassword(db: Database, name: string, passwordHash: string, now: number): User {
  return write(db, () => {
    const user = existing(db, name);
    db.query("UPDATE user SET password_hash = ?, password_changed_at = ? WHERE id = ?").run(
      passwordHash,
      now,
      user.id,
    );
    db.query("DELETE FROM session WHERE user_id = ?").run(user.id);
    return user;
  });
}

/**
 * Takes password, sessions, tokens and uploads away from a user who stays: builds and the audit log go on naming one
 * who is known. A new password lets the user in again. Throws AccountError missing, last-admin.
 */
export function disableUser(db: Database, name: string): void {
  write(db, () => {
    const user = existing(db, name);
    refuseLastAdmin(db, user);
    db.query("UPDATE user SET password_hash = NULL, uploads = 'none' WHERE id = ?").run(user.id);
    for (const table of ["upload_access", "session", "token"]) {
      db.query(`DELETE FROM ${table} WHERE user_id = ?`).run(user.id);
    }
  });
}

/** Removes a user with sessions and tokens; unikernels stay. Throws AccountError missing, last-admin. */
export function removeUser(db: Database, name: string): void {
  write(db, () => {
    const user = existing(db, name);
    refuseLastAdmin(db, user);
    db.query("DELETE FROM user WHERE id = ?").run(user.id);
  });
}

function existing(db: Database, name: string): User {
  const user = findUser(db, name);
  if (user === undefined) {
    throw new AccountError("missing", `there is no user ${name}`, { hint: "robur user ls" });
  }
  return user;
}

function refuseLastAdmin(db: Database, user: User): void {
  if (user.role !== "admin" || user.passwordHash === undefined) return;
  const others = db
    .query("SELECT 1 FROM user WHERE role = 'admin' AND password_hash IS NOT NULL AND id <> ?")
    .get(user.id);
  if (others !== null) return;
  throw new AccountError("last-admin", `${user.name} is the only administrator`, {
    why: "nobody could administer this server any more",
    hint: "robur user add --admin OTHER --password-stdin",
  });
}

function readPath(text: string): PolicyPath {
  const path = parsePath(text);
  if (path === undefined || path === ROOT_PATH) {
    throw new AccountError("invalid-path", `${JSON.stringify(text)} can't be a user's path`, {
      why: "a path is labels of letters, digits, dots and dashes with colons between them",
      hint: "family:alice",
    });
  }
  return path;
}

function fromRow({ password_hash, created_at, ...row }: Row): User {
  return { ...row, passwordHash: password_hash ?? undefined, createdAt: created_at };
}
