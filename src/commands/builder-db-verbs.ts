/** What `builder-db` does to robur's database. */
import type { Database } from "bun:sqlite";
import { databasePath, openDatabase } from "../db/open.ts";
import { dataDirectory } from "../lib/data-directory.ts";
import { UsageError } from "../lib/errors.ts";
import { print, printError } from "../linux/libc.ts";
import { AccountError } from "../server/accounts/account-error.ts";
import { recordLocal } from "../server/accounts/audit.ts";
import { hashPassword } from "../server/accounts/passwords.ts";
import { allowUpload, forbidUpload } from "../server/accounts/upload-access.ts";
import {
  addUser,
  changeUser,
  disableUser,
  findUser,
  listUsers,
  removeUser,
  setPassword,
} from "../server/accounts/users.ts";
import { parseBuildId, parseJobName, parsePlatform } from "../store/api.ts";
import { openBuildStore } from "../store/builds/build-store.ts";
import { removeBuilds } from "../store/collection/remove-builds.ts";
import type { RetentionRule } from "../store/collection/retention.ts";
import { verifyStore } from "../store/collection/verify.ts";
import { openContentStore } from "../store/contents/content-store.ts";
import { unreproducible } from "../store/import/unreproducible.ts";
import { downloadFile } from "../store/remotes/download.ts";
import { parseSince } from "./client/since.ts";
import { readPassword } from "./password.ts";

type Directory = string | undefined;

const directoryOf = (text: Directory) => dataDirectory(text, process.env, process.getuid?.() === 0);

async function withDatabase(
  text: Directory,
  work: (db: Database, now: number) => void | Promise<void>,
): Promise<void> {
  const db = openDatabase(databasePath(directoryOf(text)));
  try {
    await work(db, Date.now());
  } finally {
    db.close();
  }
}

/** A change that the audit log has. */
function change(
  text: Directory,
  action: string,
  target: string,
  work: (db: Database, now: number) => unknown,
) {
  return withDatabase(text, async (db, now) => {
    await work(db, now);
    recordLocal(db, action, target, now);
  });
}

export const migrate = (text: Directory) => withDatabase(text, () => undefined);

export async function userAdd(text: Directory, name: string, isUnrestricted: boolean): Promise<void> {
  const passwordHash = await askPassword();
  const uploads = isUnrestricted ? "any" : "listed";
  await change(text, "user.add", name, (db, now) =>
    addUser(db, { name, role: "user", passwordHash, uploads }, now),
  );
}

export async function userUpdate(text: Directory, name: string, isUnrestricted: boolean): Promise<void> {
  const hash = await askPassword();
  await change(text, "user.password", name, (db, now) => {
    setPassword(db, name, hash, now);
    changeUser(db, name, { uploads: isUnrestricted ? "any" : "listed" });
  });
}

function askPassword(): Promise<string> {
  print("Password: ");
  const password = readPassword();
  print("\n");
  return hashPassword(password);
}

export function userList(text: Directory): Promise<void> {
  return withDatabase(text, (db) =>
    print(
      listUsers(db)
        .map(({ name }) => `${name}\n`)
        .join(""),
    ),
  );
}

export function userRemove(text: Directory, name: string): Promise<void> {
  return change(text, "user.remove", name, (db) => removeUser(db, name));
}

export function userDisable(text: Directory, name: string): Promise<void> {
  return change(text, "user.disable", name, (db) => disableUser(db, name));
}

function existing(db: Database, name: string) {
  const user = findUser(db, name);
  if (user === undefined)
    throw new AccountError("missing", `there is no user ${name}`, { hint: "builder-db user-list" });
  return user;
}

function jobOf(text: string) {
  const job = parseJobName(text);
  if (job === undefined) throw new UsageError(`${text} can't be a job's name`);
  return job;
}

export function accessAdd(text: Directory, name: string, job: string): Promise<void> {
  return change(text, "upload-access.add", `${name} ${job}`, (db) => {
    if (!allowUpload(db, existing(db, name).id, jobOf(job))) throw new UsageError(`there is no job ${job}`);
  });
}

export function accessRemove(text: Directory, name: string, job: string): Promise<void> {
  return change(text, "upload-access.remove", `${name} ${job}`, (db) => {
    if (!forbidUpload(db, existing(db, name).id, jobOf(job)))
      throw new UsageError(`${job} isn't listed for ${name}`);
  });
}

export function jobRemove(text: Directory, job: string): Promise<void> {
  return change(text, "job.remove", job, (db) => {
    const builds = openBuildStore(db, openContentStore(db));
    // As in the original, one that isn't there is none any more.
    if (!builds.removeJob(jobOf(job))) printError(`there is no job ${job}\n`);
  });
}

export function extractBuild(text: Directory, build: string, dest: string): Promise<void> {
  return withDatabase(text, async (db) => {
    await using contents = openContentStore(db);
    const id = parseBuildId(build);
    const record = id === undefined ? undefined : openBuildStore(db, contents).record(id);
    if (record === undefined) throw new UsageError(`there is no build ${build}, or files of it are lost`);
    await downloadFile(dest, {
      ...{ sha256: undefined, size: record.size },
      from: async () => new Response(record.stream()),
    });
  });
}

export function verifyInputId(text: Directory): Promise<void> {
  return withDatabase(text, (db) => {
    for (const { inputId, builds } of unreproducible(db, 100_000)) {
      printError(`warning: input ${inputId} has different outputs\n`);
      for (const { id, job, platform, output } of builds)
        printError(`  ${output} ${job} on ${platform} (${id})\n`);
    }
  });
}

/** Names what is damaged; unlike the original it then ends with 1. */
export function verifyDataDir(text: Directory): Promise<void> {
  return withDatabase(text, async (db) => {
    const { contents, damage } = await verifyStore(db);
    for (const { sha256, why, usedBy } of damage) {
      printError(`error: ${sha256}: ${why}\n${usedBy.map((user) => `  ${user}\n`).join("")}`);
    }
    if (damage.length > 0) process.exitCode = 1;
    printError(`${damage.length} of ${contents} contents are damaged\n`);
  });
}

export interface Vacuum {
  readonly rule: "older-than" | "except-latest" | "except-latest-successful";
  readonly value: string;
  readonly platform: string | undefined;
  readonly jobs: readonly string[] | undefined;
}

export function vacuum(text: Directory, { rule: kind, value, platform, jobs }: Vacuum): Promise<void> {
  const selection = {
    jobs: jobs?.map(jobOf),
    platform: platform === undefined ? undefined : platformOf(platform),
  };
  const rule: RetentionRule =
    kind === "older-than"
      ? { kind, at: parseSince(value, Date.now()), ...selection }
      : { kind, count: countOf(value), ...selection };
  return change(text, "store.vacuum", `${kind} ${value}`, async (db, now) => {
    await using contents = openContentStore(db);
    const removed = await removeBuilds(db, openBuildStore(db, contents), [rule], { now });
    printError(`removed ${removed.length} builds; pinned ones stay, and those that a unikernel runs\n`);
  });
}

function platformOf(text: string) {
  const platform = parsePlatform(text);
  if (platform === undefined) throw new UsageError(`${text} can't be a platform's name`);
  return platform;
}

function countOf(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new UsageError(`${text}: a number from 1 on`);
}
