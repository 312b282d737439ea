/**
 * The link that makes the first administrator. It is valid once and for half an hour, while there is no
 * administrator; the secret stands behind the # of an address, so it is in no log of a proxy.
 */
import type { Database } from "bun:sqlite";
import { write } from "../../db/open.ts";
import { AccountError } from "./account-error.ts";
import { hashSecret, newSecret, sameHash } from "./secrets.ts";
import { type User, addUser, isSetUp } from "./users.ts";

export const SETUP_LIFE_MS = 30 * 60_000;

/** Makes the one valid secret. Throws AccountError set-up when there is an administrator. */
export function createSetupSecret(db: Database, now: number): string {
  const secret = newSecret();
  write(db, () => {
    refuseWhenSetUp(db);
    db.run("DELETE FROM setup_link");
    db.query("INSERT INTO setup_link (hash, created_at, expires_at) VALUES (?, ?, ?)").run(
      hashSecret(secret),
      now,
      now + SETUP_LIFE_MS,
    );
  });
  return secret;
}

/** Whether the secret would be accepted now: asked before a slow hash is made. Throws AccountError. */
export function checkSetupSecret(db: Database, secret: string, now: number): void {
  refuseWhenSetUp(db);
  const links = db
    .query<{ hash: string; expires_at: number }, []>("SELECT hash, expires_at FROM setup_link")
    .all();
  const hash = hashSecret(secret.trim());
  if (links.some((link) => sameHash(link.hash, hash) && link.expires_at > now)) return;
  throw new AccountError("invalid-link", "this set-up link is not valid", {
    why: "it is older than half an hour, was replaced by a newer one, or is not complete",
    hint: "run robur setup-url on the server for a new one",
  });
}

/** Uses the link up and makes the administrator. Throws AccountError. */
export function setUp(
  db: Database,
  secret: string,
  admin: { readonly name: string; readonly passwordHash: string },
  now: number,
): User {
  return write(db, () => {
    checkSetupSecret(db, secret, now);
    db.run("DELETE FROM setup_link");
    return addUser(db, { ...admin, role: "admin" }, now);
  });
}

function refuseWhenSetUp(db: Database): void {
  if (!isSetUp(db)) return;
  throw new AccountError("set-up", "this server is set up already", {
    why: "it has an administrator",
    hint: "sign in, or set a new password on the server: robur user passwd NAME",
  });
}
