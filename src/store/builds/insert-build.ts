/** Makes a build visible: all of its rows in one transaction. */
import type { Database } from "bun:sqlite";
import { write } from "../../db/open.ts";
import { sha256Bytes } from "../../lib/sha256.ts";
import { sha256Of } from "../../lib/sha256-of.ts";
import type { BuildId, BuildResult, Content, JobName, Platform, Sha256, Solo5Notes } from "../api.ts";

/** A file of a build whose bytes are kept, or known by their hash only. */
export interface BuildFile {
  readonly path: string;
  readonly sha256: Sha256;
  readonly size: number;
  /** Undefined where only the hash is known. */
  readonly content: Content | undefined;
}

/** What a job is said to be; what is undefined stays as it was. */
export interface JobTags {
  readonly section?: string | undefined;
  readonly synopsis?: string | undefined;
  readonly description?: string | undefined;
  readonly readme?: string | undefined;
}

/** A document with its files taken out. */
export interface KeptRecord {
  readonly frame: Content;
  /** In the document's order: each file's bytes, and where they belong in the frame. */
  readonly files: readonly { readonly offset: number; readonly content: Content }[];
}

/** A build with all that was found out about it. Its contents are held by somebody's session. */
export interface BuildRows {
  readonly id: BuildId;
  readonly job: JobName;
  readonly platform: Platform;
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly result: BuildResult;
  readonly artifacts: readonly BuildFile[];
  readonly solo5: Solo5Notes | undefined;
  readonly script: Content;
  readonly console: Content;
  /** Undefined where a file is missing. */
  readonly record: KeptRecord | undefined;
  readonly tags: JobTags;
  /** What the switch export has installed. */
  readonly packages: readonly { readonly name: string; readonly version: string }[];
  readonly uploadedBy: string;
  readonly worker: string | undefined;
  /** What went in, as who built it knows; its files know better. */
  readonly inputId?: Sha256 | undefined;
  readonly receivedAt: number;
}

/** The file that a build is about: the only one below bin/. */
export function mainBinary<T extends { readonly path: string }>(artifacts: readonly T[]): T | undefined {
  const below = artifacts.filter(({ path }) => path.startsWith("bin/"));
  return below.length === 1 ? below[0] : undefined;
}

/** SHA-256 over the three hashes of what went in; undefined where one of the files is missing. */
export function inputId(
  artifacts: readonly { readonly path: string; readonly sha256: Sha256 }[],
): Sha256 | undefined {
  const digests: Uint8Array[] = [];
  for (const name of ["opam-switch", "build-environment", "system-packages"]) {
    const file = artifacts.find(({ path }) => path === name);
    if (file === undefined) return undefined;
    digests.push(sha256Bytes(file.sha256));
  }
  return sha256Of(Buffer.concat(digests));
}

/** False, and nothing is changed, when there is a build with this UUID. Throws DatabaseError. */
export function insertBuild(db: Database, build: BuildRows): boolean {
  return write(db, () => {
    if (db.query("SELECT 1 FROM build WHERE uuid = ?").get(build.id) !== null) return false;
    const job = putJob(db, build.job, build.tags, build.receivedAt);
    const row = insertRow(db, build, job);
    const main = mainBinary(build.artifacts);
    const insert = db.query<unknown, (string | number | Uint8Array | null)[]>(
      "INSERT INTO artifact (build, path, sha256, size, content) VALUES (?, ?, ?, ?, ?)",
    );
    for (const file of build.artifacts) {
      const { lastInsertRowid } = insert.run(
        row,
        file.path,
        sha256Bytes(file.sha256),
        file.size,
        file.content?.id ?? null,
      );
      if (file !== main) continue;
      db.query("UPDATE build SET main_artifact = ?, main_sha256 = ?, main_size = ? WHERE id = ?").run(
        lastInsertRowid,
        sha256Bytes(file.sha256),
        file.size,
        row,
      );
    }
    if (build.record !== undefined) putRecord(db, row, build.record);
    putPackages(db, build);
    return true;
  });
}

function putJob(db: Database, name: JobName, tags: JobTags, now: number): number {
  const { id } = db
    .query<{ id: number }, (string | number | null)[]>(
      `INSERT INTO job (name, section, synopsis, description, readme, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
       ON CONFLICT (name) DO UPDATE SET section = coalesce(?2, section), synopsis = coalesce(?3, synopsis),
         description = coalesce(?4, description), readme = coalesce(?5, readme)
       RETURNING id`,
    )
    .get(
      name,
      tags.section ?? null,
      tags.synopsis ?? null,
      tags.description ?? null,
      tags.readme ?? null,
      now,
    )!;
  return id;
}

function insertRow(db: Database, build: BuildRows, job: number): number {
  const { result } = build;
  const input = inputId(build.artifacts) ?? build.inputId;
  const { id } = db
    .query<{ id: number }, (string | number | Uint8Array | null)[]>(
      `INSERT INTO build (uuid, job, platform, started_at, finished_at, result_kind, result_code, result_text,
         input_id, solo5, script, console, uploaded_by, worker, received_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
    )
    .get(
      build.id,
      job,
      build.platform,
      build.startedAt,
      build.finishedAt,
      result.kind,
      result.kind === "message" ? null : result.kind === "exited" ? result.code : result.signal,
      result.kind === "message" ? result.text : null,
      input === undefined ? null : sha256Bytes(input),
      build.solo5 === undefined ? null : JSON.stringify(build.solo5),
      build.script.id,
      build.console.id,
      build.uploadedBy,
      build.worker ?? null,
      build.receivedAt,
    )!;
  return id;
}

/** Gives a build, by its row, the record that it hasn't yet. Within a transaction. */
export function putRecord(db: Database, build: number, { frame, files }: KeptRecord): void {
  db.query("UPDATE build SET record = ? WHERE id = ?").run(frame.id, build);
  const insert = db.query<unknown, [number, number, number, number]>(
    "INSERT INTO record_file (build, position, offset, content) VALUES (?, ?, ?, ?)",
  );
  for (const [position, { offset, content }] of files.entries())
    insert.run(build, position, offset, content.id);
}

/** What a switch export has installed, to be searched for. One that was here before has its packages already. */
export function putPackages(
  db: Database,
  { artifacts, packages }: Pick<BuildRows, "artifacts" | "packages">,
): void {
  const file = artifacts.find(({ path }) => path === "opam-switch");
  if (file === undefined || packages.length === 0) return;
  const key = sha256Bytes(file.sha256);
  if (db.query("SELECT 1 FROM switch_package WHERE switch = ? LIMIT 1").get(key) !== null) return;
  for (const { name, version } of packages) {
    db.query("INSERT INTO package (name, version) VALUES (?, ?) ON CONFLICT DO NOTHING").run(name, version);
    db.query(
      `INSERT INTO switch_package (package, switch) SELECT id, ? FROM package WHERE name = ? AND version = ?
       ON CONFLICT DO NOTHING`,
    ).run(key, name, version);
  }
}
