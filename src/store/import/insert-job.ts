/** Rows that an import makes or mends beside those of whole builds. */
import type { Database } from "bun:sqlite";
import { write } from "../../db/open.ts";
import { sha256Bytes } from "../../lib/sha256.ts";
import type { BuildId, Content, JobName } from "../api.ts";

export interface ImportedJob {
  readonly name: JobName;
  readonly section: string | null;
  readonly synopsis: string | null;
  readonly description: string | null;
  readonly readme: string | null;
}

/** Makes a job, or gives one that is there what it lacks. True: it is new. */
export function insertJob(db: Database, job: ImportedJob, now: number): boolean {
  const { name, section, synopsis, description, readme } = job;
  return write(db, () => {
    const isNew = db.query("SELECT 1 FROM job WHERE name = ?").get(name) === null;
    db.query<unknown, (string | number | null)[]>(
      `INSERT INTO job (name, section, synopsis, description, readme, created_at) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (name) DO UPDATE SET section = coalesce(section, excluded.section),
         synopsis = coalesce(synopsis, excluded.synopsis), description = coalesce(description, excluded.description),
         readme = coalesce(readme, excluded.readme)`,
    ).run(name, section, synopsis, description, readme, now);
    return isNew;
  });
}

export function hasBuild(db: Database, id: BuildId): boolean {
  return db.query("SELECT 1 FROM build WHERE uuid = ?").get(id) !== null;
}

/** The files of a build of which only the hash is known. */
export function lostArtifacts(db: Database, id: BuildId): string[] {
  return db
    .query<{ path: string }, [string]>(
      `SELECT path FROM artifact WHERE build = (SELECT id FROM build WHERE uuid = ?) AND content IS NULL`,
    )
    .all(id)
    .map(({ path }) => path);
}

/** Gives such a file its bytes. */
export function mendArtifact(db: Database, id: BuildId, path: string, content: Content): void {
  write(db, () =>
    db
      .query(
        `UPDATE artifact SET content = ? WHERE build = (SELECT id FROM build WHERE uuid = ?) AND path = ?
         AND sha256 = ?`,
      )
      .run(content.id, id, path, sha256Bytes(content.sha256)),
  );
}
