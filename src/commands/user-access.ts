/** The jobs of which a user may upload builds, where the user's uploads are `listed`. */
import type { Database } from "bun:sqlite";
import { print } from "../linux/libc.ts";
import { AccountError } from "../server/accounts/account-error.ts";
import { allowUpload, forbidUpload, listedJobs } from "../server/accounts/upload-access.ts";
import { findUser } from "../server/accounts/users.ts";
import { parseJobName } from "../store/api.ts";

export function list(db: Database, name: string): void {
  print(
    listedJobs(db, existing(db, name))
      .map((job) => `${job}\n`)
      .join(""),
  );
}

export function add(db: Database, name: string, text: string): void {
  const user = existing(db, name);
  const job = parseJobName(text);
  if (job !== undefined && allowUpload(db, user, job)) return;
  throw new AccountError("missing", `there is no job ${text}`, {
    why: "a job begins with its first build, which who may upload any of them brings",
    hint: `robur user uploads ${name} any`,
  });
}

export function remove(db: Database, name: string, text: string): void {
  const user = existing(db, name);
  const job = parseJobName(text);
  if (job !== undefined && forbidUpload(db, user, job)) return;
  throw new AccountError("missing", `${text} isn't on the list of ${name}`, {
    hint: `robur user access ls ${name}`,
  });
}

function existing(db: Database, name: string): number {
  const user = findUser(db, name);
  if (user === undefined)
    throw new AccountError("missing", `there is no user ${name}`, { hint: "robur user ls" });
  return user.id;
}
