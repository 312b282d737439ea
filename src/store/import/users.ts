/**
 * The uploaders of a builder-web. Their passwords go on working: what scrypt made of them is kept as it is, in the
 * form that password hashes have here (https://github.com/P-H-C/phc-string-format).
 */
import type { Database } from "bun:sqlite";
import { write } from "../../db/open.ts";
import { isScryptAffordable } from "../../lib/scrypt.ts";
import type { JobName } from "../api.ts";
import type { UserRow } from "./builder-web-rows.ts";
import { userNameFor } from "./names.ts";
import type { Tally } from "./report.ts";

/** The hash as it is kept here; undefined for a user who was disabled, or whose hash can't be one. Pure. */
export function scryptHash({ hash, salt, n, r, p }: UserRow): string | undefined {
  if (hash.length === 0 || salt.length === 0) return undefined;
  if (!isScryptAffordable({ N: n, r, p }) || hash.length > 128 || salt.length > 128) return undefined;
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
  return `$scrypt$n=${n},r=${r},p=${p}$${base64(salt)}$${base64(hash)}`;
}

/**
 * Adds the users that aren't there, each for their own path and without any unikernel. Answers which user of ours
 * each of theirs is; who had the name before isn't among them.
 */
export function importUsers(
  db: Database,
  rows: readonly UserRow[],
  tally: Tally,
  now: number,
): ReadonlyMap<number, number> {
  const known = new Map<number, number>();
  for (const row of rows) {
    const name = userNameFor(row.username);
    if (name === undefined) {
      tally.note(`user ${JSON.stringify(row.username)} is left out: nothing of this can be a user's name`);
      continue;
    }
    const hash = scryptHash(row);
    if (hash === undefined && row.hash.length > 0) {
      tally.note(
        `user ${name} can't sign in: scrypt's parameters are impossible, or cost too much (n ${row.n}, r ${row.r}, p ${row.p}); ` +
          `robur user passwd ${name} sets another password`,
      );
    }
    // Who was disabled stays it; who only needs another password may upload what was allowed before.
    const uploads = row.hash.length === 0 ? "none" : row.restricted !== 0 ? "listed" : "any";
    const id = importUser(db, { name, hash, uploads }, now, tally);
    if (id === undefined) continue;
    known.set(row.id, id);
    if (name !== row.username) tally.note(`user ${JSON.stringify(row.username)} is now ${name}`);
  }
  if (tally.users > 0) {
    tally.note(
      "users may upload as before, and like every user here see and run unikernels below their own names, within what robur policy allows",
    );
  }
  return known;
}

interface ImportedUser {
  readonly name: string;
  readonly hash: string | undefined;
  readonly uploads: "none" | "listed" | "any";
}

function importUser(
  db: Database,
  { name, hash, uploads }: ImportedUser,
  now: number,
  tally: Tally,
): number | undefined {
  return write(db, () => {
    const there = db
      .query<{ id: number; hash: string | null; role: string }, [string]>(
        "SELECT id, password_hash AS hash, role FROM user WHERE name = ?",
      )
      .get(name);
    if (there !== null) {
      // The same hash, salt included: an earlier run of this import made it.
      if (hash !== undefined && there.hash === hash) return there.id;
      if (hash !== undefined || there.hash !== null) {
        tally.note(
          `user ${name} is there already, and stays as it is: password and rights are not taken over`,
        );
      }
      return undefined;
    }
    tally.users += 1;
    const { lastInsertRowid } = db
      .query(
        "INSERT INTO user (name, role, path, password_hash, uploads, created_at) VALUES (?, 'user', ?, ?, ?, ?)",
      )
      .run(name, name, hash ?? null, uploads, now);
    return Number(lastInsertRowid);
  });
}

/** Lists the jobs that users may upload. */
export function importAccess(
  db: Database,
  access: readonly { readonly user: number; readonly job: number }[],
  users: ReadonlyMap<number, number>,
  jobs: ReadonlyMap<number, { readonly name: JobName }>,
): void {
  write(db, () => {
    for (const { user, job } of access) {
      const [ours, name] = [users.get(user), jobs.get(job)?.name];
      if (ours === undefined || name === undefined) continue;
      db.query(
        "INSERT INTO upload_access (user_id, job) SELECT ?, id FROM job WHERE name = ? ON CONFLICT DO NOTHING",
      ).run(ours, name);
    }
  });
}
