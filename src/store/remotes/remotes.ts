/** Other servers by name, to pull from and to push to. */
import type { Database } from "bun:sqlite";
import { write } from "../../db/open.ts";
import { RemoteError } from "./remote-error.ts";
import { parseRemoteAddress } from "./remote-address.ts";

export interface Remote {
  readonly name: string;
  readonly url: string;
  readonly isDefault: boolean;
}

/** What is there before anybody adds one: the public builds of the unikernels. */
export const PUBLIC_REMOTE: Remote = { name: "robur", url: "https://builds.robur.coop", isDefault: true };

const NAME = /^[a-z0-9][a-z0-9.-]{0,62}$/;

interface Row {
  readonly name: string;
  readonly url: string;
  readonly is_default: number;
}

/** By name; the public one while there is no other. */
export function listRemotes(db: Database): Remote[] {
  const rows = db.query<Row, []>("SELECT name, url, is_default FROM remote ORDER BY name").all();
  if (rows.length === 0) return [PUBLIC_REMOTE];
  return rows.map(({ name, url, is_default }) => ({ name, url, isDefault: is_default === 1 }));
}

/** Adds one; the first is the default. Throws RemoteError bad-address, exists. */
export function addRemote(db: Database, name: string, text: string, isDefault: boolean, now: number): Remote {
  if (!NAME.test(name)) {
    throw new RemoteError("bad-address", `${JSON.stringify(name)} can't be a remote's name`, {
      why: "a name has letters, digits, dots and dashes",
    });
  }
  const { origin, authorization } = parseRemoteAddress(text);
  if (authorization !== undefined) {
    throw new RemoteError("bad-address", "a remote is kept without a password", {
      why: "everybody who may see this server's remotes would see it",
      hint: "robur push --to https://NAME:PASSWORD@…, or ROBUR_REMOTE_TOKEN",
    });
  }
  return write(db, () => {
    if (db.query("SELECT 1 FROM remote WHERE name = ?").get(name) !== null) {
      throw new RemoteError("exists", `there is a remote ${name} already`, {
        hint: `robur remote rm ${name}`,
      });
    }
    const isFirst = db.query("SELECT 1 FROM remote").get() === null;
    // It was there, unwritten, and doesn't go because another one comes.
    if (isFirst && name !== PUBLIC_REMOTE.name) insert(db, PUBLIC_REMOTE, now);
    if (isDefault) db.run("UPDATE remote SET is_default = 0");
    const added = { name, url: origin, isDefault: isDefault || (isFirst && name === PUBLIC_REMOTE.name) };
    insert(db, added, now);
    return added;
  });
}

function insert(db: Database, { name, url, isDefault }: Remote, now: number): void {
  db.query("INSERT INTO remote (name, url, is_default, created_at) VALUES (?, ?, ?, ?)").run(
    ...([name, url, isDefault ? 1 : 0, now] as const),
  );
}

/** Makes one the default. False when there is none of that name. */
export function chooseRemote(db: Database, name: string, now: number): boolean {
  return write(db, () => {
    if (name === PUBLIC_REMOTE.name && db.query("SELECT 1 FROM remote").get() === null) {
      insert(db, PUBLIC_REMOTE, now);
    }
    if (db.query("SELECT 1 FROM remote WHERE name = ?").get(name) === null) return false;
    db.query("UPDATE remote SET is_default = (name = ?)").run(name);
    return true;
  });
}

/** Where it was the default, the first of the others is. False when there is none of that name. */
export function removeRemote(db: Database, name: string): boolean {
  return write(db, () => {
    const { changes } = db.query("DELETE FROM remote WHERE name = ?").run(name);
    const hasDefault = db.query("SELECT 1 FROM remote WHERE is_default = 1").get() !== null;
    if (!hasDefault) {
      db.run("UPDATE remote SET is_default = 1 WHERE name = (SELECT name FROM remote ORDER BY name LIMIT 1)");
    }
    return changes > 0;
  });
}
