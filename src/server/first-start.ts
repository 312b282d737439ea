/** What a server without an administrator does: makes one that the environment names, or prints set-up links. */
import type { Database } from "bun:sqlite";
import { readFileSync } from "node:fs";
import { UsageError } from "../lib/errors.ts";
import { recordLocal } from "./accounts/audit.ts";
import { hashPassword } from "./accounts/passwords.ts";
import { createSetupSecret } from "./accounts/setup-links.ts";
import { addUser, isSetUp } from "./accounts/users.ts";
import { type Listen, reachableUrls } from "./addresses.ts";
import { readSetting, writeSetting } from "./settings.ts";

/** Where the server that has this database listens, for `robur setup-url`. */
const LISTEN = "server.listen";

export function rememberListen(db: Database, listen: Listen): void {
  writeSetting(db, LISTEN, listen);
}

/** Where the last server listened. */
export function lastListen(db: Database): Listen | undefined {
  const value = readSetting(db, LISTEN);
  const isListen = typeof value === "object" && value !== null && "host" in value && "port" in value;
  return isListen ? (value as Listen) : undefined;
}

/** Makes a new set-up link and answers it for each address. Throws AccountError set-up. */
export function setupUrls(db: Database, listen: Listen, now: number): string[] {
  const secret = createSetupSecret(db, now);
  return reachableUrls(listen).map((url) => `${url}/setup#${secret}`);
}

/** The administrator that ROBUR_ADMIN_USER and ROBUR_ADMIN_PASSWORD_FILE name, once. Throws UsageError, AccountError. */
export async function adminFromEnvironment(
  db: Database,
  environment: Readonly<Record<string, string | undefined>>,
  now: number,
): Promise<void> {
  const { ROBUR_ADMIN_USER: name, ROBUR_ADMIN_PASSWORD_FILE: file } = environment;
  if (!name || isSetUp(db)) return;
  if (!file) {
    throw new UsageError("ROBUR_ADMIN_USER is set, ROBUR_ADMIN_PASSWORD_FILE is not", {
      why: "a password doesn't belong into the environment, but its file's name does",
    });
  }
  const password = readFileSync(file, "utf8").replace(/\r?\n$/, "");
  addUser(db, { name, role: "admin", passwordHash: await hashPassword(password) }, now);
  recordLocal(db, "user.add", name, now);
}
