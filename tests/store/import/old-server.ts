/** A data directory as builder-web leaves one, by its schema 16, 17 or 18. */
import { Database } from "bun:sqlite";
import { scryptSync } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { sha256Of } from "../../../src/lib/sha256-of.ts";

export interface OldFile {
  readonly path: string;
  readonly bytes: Uint8Array | string;
  /** What is done to the bytes after the database has their hash. */
  readonly trouble?: "missing" | "damaged" | "short";
}

export interface OldBuild {
  readonly uuid: string;
  readonly job: string;
  readonly user?: string;
  readonly platform?: string;
  /** Days, and picoseconds of the day. */
  readonly start?: readonly [bigint, bigint];
  readonly finish?: readonly [bigint, bigint];
  readonly code?: number;
  readonly message?: string;
  readonly files?: readonly OldFile[];
  readonly console?: string | Uint8Array;
  /** Default: the only file below bin/. */
  readonly main?: string | null;
  readonly inputId?: Uint8Array;
  readonly withoutTexts?: boolean;
}

export interface OldUser {
  readonly name: string;
  readonly password?: string;
  readonly restricted?: boolean;
  readonly access?: readonly string[];
}

export interface OldServer {
  readonly version: 16 | 17 | 18;
  readonly users: readonly OldUser[];
  readonly jobs: readonly { readonly name: string; readonly tags?: Readonly<Record<string, string>> }[];
  readonly builds: readonly OldBuild[];
}

const SALT = new Uint8Array(16).map((_, i) => i);
const START = [19970n, 36_672_123_000_000_000n] as const;
const FINISH = [19970n, 36_674_000_000_000_000n] as const;

export function writeOldServer(directory: string, old: OldServer): void {
  mkdirSync(directory, { recursive: true });
  using db = new Database(join(directory, "builder.sqlite3"), {
    create: true,
    strict: true,
    safeIntegers: true,
  });
  const isOld = old.version < 18;
  db.run(`
    PRAGMA application_id = 1234839235;
    PRAGMA user_version = ${old.version};
    CREATE TABLE job (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, name VARCHAR(255) NOT NULL UNIQUE);
    CREATE TABLE tag (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, tag VARCHAR(255) NOT NULL UNIQUE);
    CREATE TABLE job_tag (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, tag INTEGER NOT NULL, value TEXT NOT NULL,
      job INTEGER NOT NULL, FOREIGN KEY (job) REFERENCES job (id), UNIQUE (tag, job));
    CREATE TABLE user (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, username VARCHAR(255) NOT NULL UNIQUE,
      password_hash BLOB NOT NULL, password_salt BLOB NOT NULL, scrypt_n INTEGER NOT NULL, scrypt_r INTEGER NOT NULL,
      scrypt_p INTEGER NOT NULL, restricted BOOLEAN NOT NULL);
    CREATE TABLE access_list (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, user INTEGER NOT NULL,
      job INTEGER NOT NULL, UNIQUE (user, job));
    CREATE TABLE build (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, uuid VARCHAR(36) NOT NULL UNIQUE,
      start_d INTEGER NOT NULL, start_ps INTEGER NOT NULL, finish_d INTEGER NOT NULL, finish_ps INTEGER NOT NULL,
      result_code INTEGER NOT NULL, result_msg TEXT, console TEXT NOT NULL, script TEXT NOT NULL,
      platform TEXT NOT NULL, main_binary INTEGER, user INTEGER NOT NULL, job INTEGER NOT NULL, input_id BLOB);
    CREATE TABLE build_artifact (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, filepath TEXT NOT NULL,
      ${isOld ? "localpath TEXT NOT NULL," : ""} sha256 BLOB NOT NULL, size INTEGER NOT NULL, build INTEGER NOT NULL,
      UNIQUE (build, filepath));
  `);
  for (const { name, tags = {} } of old.jobs) {
    db.query("INSERT INTO job (name) VALUES (?)").run(name);
    for (const [tag, value] of Object.entries(tags)) {
      db.query("INSERT INTO tag (tag) VALUES (?) ON CONFLICT DO NOTHING").run(tag);
      db.query(
        "INSERT INTO job_tag (tag, value, job) SELECT tag.id, ?, job.id FROM tag, job WHERE tag.tag = ? AND job.name = ?",
      ).run(value, tag, name);
    }
  }
  for (const user of old.users) writeUser(db, user);
  for (const build of old.builds) writeBuild(db, directory, build, isOld);
}

function writeUser(db: Database, { name, password, restricted = true, access = [] }: OldUser): void {
  const none = new Uint8Array(0);
  const hash = password === undefined ? none : scryptSync(password, SALT, 32, { N: 16384, r: 8, p: 1 });
  db.query(
    `INSERT INTO user (username, password_hash, password_salt, scrypt_n, scrypt_r, scrypt_p, restricted)
     VALUES (?, ?, ?, 16384, 8, 1, ?)`,
  ).run(name, hash, password === undefined ? none : SALT, restricted ? 1 : 0);
  for (const job of access) {
    db.query(
      "INSERT INTO access_list (user, job) SELECT user.id, job.id FROM user, job WHERE username = ? AND name = ?",
    ).run(name, job);
  }
}

function writeBuild(db: Database, directory: string, build: OldBuild, isOld: boolean): void {
  const { uuid, job, files = [], start = START, finish = FINISH } = build;
  const folder = job.includes("/") || job === ".." ? uuid : `${job}/${uuid}`;
  if (build.withoutTexts !== true) {
    put(join(directory, folder, "script.txt"), "true\n");
    put(join(directory, folder, "console.txt"), build.console ?? "0.250s:start\n1.500s:done\n");
  }
  const { lastInsertRowid } = db
    .query(
      `INSERT INTO build (uuid, start_d, start_ps, finish_d, finish_ps, result_code, result_msg, console, script,
         platform, user, job, input_id)
       SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT id FROM user WHERE username = ?), job.id, ? FROM job WHERE name = ?`,
    )
    .run(
      ...([uuid, ...start, ...finish, build.code ?? 0, build.message ?? null] as const),
      ...([`${folder}/console.txt`, `${folder}/script.txt`, build.platform ?? "debian-12"] as const),
      ...([build.user ?? "builder", build.inputId ?? null, job] as const),
    );
  for (const { path, bytes, trouble } of files) {
    const content = Buffer.from(bytes);
    const sha256 = sha256Of(content);
    const localpath = `${folder}/output/${path}`;
    const place = join(directory, isOld ? localpath : `_artifacts/${sha256.slice(0, 2)}/${sha256}`);
    if (trouble === "damaged")
      put(
        place,
        content.map((byte) => byte ^ 1),
      );
    else if (trouble === "short") put(place, content.subarray(1));
    else if (trouble !== "missing") put(place, content);
    const columns = isOld ? "localpath," : "";
    const row = db
      .query(
        `INSERT INTO build_artifact (filepath, ${columns} sha256, size, build) VALUES (?, ${isOld ? "?," : ""} ?, ?, ?)`,
      )
      .run(
        ...(isOld ? [path, localpath] : [path]),
        Buffer.from(sha256, "hex"),
        content.length,
        lastInsertRowid,
      );
    const isMain =
      build.main === undefined ? path.replace(/^\.\//, "").startsWith("bin/") : build.main === path;
    if (isMain)
      db.query("UPDATE build SET main_binary = ? WHERE id = ?").run(row.lastInsertRowid, lastInsertRowid);
  }
}

function put(path: string, bytes: Uint8Array | string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
}
