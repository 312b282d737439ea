/** Rows that an import makes or mends beside those of whole builds. */
import type { Database } from "bun:sqlite";
import { write } from "../../db/open.ts";
import { sha256Bytes } from "../../lib/sha256.ts";
import type { BuildId, Content, JobName } from "../api.ts";
import { type BuildFile, type BuildRows, putPackages, putRecord } from "../builds/insert-build.ts";

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

export interface ImportedState {
  /** False where a file, the script or the console was missing when it came: then there is no record of it either. */
  readonly isWhole: boolean;
}

/** How a build is here; undefined where it isn't. */
export function importedState(db: Database, id: BuildId): ImportedState | undefined {
  const row = db
    .query<{ record: number | null }, [string]>("SELECT record FROM build WHERE uuid = ?")
    .get(id);
  return row === null ? undefined : { isWhole: row.record !== null };
}

export interface FoundParts extends Pick<BuildRows, "artifacts" | "solo5" | "packages" | "record"> {
  readonly script: Content | undefined;
  readonly console: Content | undefined;
}

/** Gives a build that came without some of its parts those that were found since. Answers their names. */
export function mendBuild(db: Database, id: BuildId, found: FoundParts): string[] {
  return write(db, () => {
    const row = db
      .query<{ id: number; script: number; console: number; main: Uint8Array | null }, [string]>(
        "SELECT id, script, console, main_sha256 AS main FROM build WHERE uuid = ? AND record IS NULL",
      )
      .get(id);
    if (row === null) return [];
    const mended = mendArtifacts(db, row.id, found.artifacts);
    for (const part of ["script", "console"] as const) {
      const content = found[part];
      if (content === undefined || content.id === row[part]) continue;
      db.query(`UPDATE build SET ${part} = ? WHERE id = ?`).run(content.id, row.id);
      mended.push(`${part}.txt`);
    }
    if (found.solo5 !== undefined && row.main !== null) {
      db.query("UPDATE build SET solo5 = ? WHERE id = ?").run(JSON.stringify(found.solo5), row.id);
    }
    putPackages(db, found);
    if (found.record !== undefined) putRecord(db, row.id, found.record);
    return mended;
  });
}

function mendArtifacts(db: Database, build: number, artifacts: readonly BuildFile[]): string[] {
  const update = db.query<unknown, [number, number, string, Uint8Array]>(
    "UPDATE artifact SET content = ? WHERE build = ? AND path = ? AND sha256 = ? AND content IS NULL",
  );
  return artifacts.flatMap(({ path, sha256, content }) => {
    const isMended =
      content !== undefined && update.run(content.id, build, path, sha256Bytes(sha256)).changes > 0;
    return isMended ? [path] : [];
  });
}
