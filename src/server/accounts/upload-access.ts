/** Who may upload builds of which job. */
import type { Database } from "bun:sqlite";
import { write } from "../../db/open.ts";
import type { JobName } from "../../store/api.ts";
import type { User } from "./users.ts";

/** The jobs that are listed for a user, by name. */
export function listedJobs(db: Database, userId: number): JobName[] {
  return db
    .query<{ name: JobName }, [number]>(
      "SELECT job.name FROM upload_access JOIN job ON job.id = upload_access.job WHERE user_id = ? ORDER BY job.name",
    )
    .all(userId)
    .map(({ name }) => name);
}

/** Lists a job for a user. False when there is no such job: only who may upload any can begin one. */
export function allowUpload(db: Database, userId: number, job: JobName): boolean {
  return write(db, () => {
    const row = db.query<{ id: number }, [string]>("SELECT id FROM job WHERE name = ?").get(job);
    if (row === null) return false;
    db.query("INSERT INTO upload_access (user_id, job) VALUES (?, ?) ON CONFLICT DO NOTHING").run(
      userId,
      row.id,
    );
    return true;
  });
}

/** False when it wasn't listed. */
export function forbidUpload(db: Database, userId: number, job: JobName): boolean {
  const { changes } = write(db, () =>
    db
      .query("DELETE FROM upload_access WHERE user_id = ? AND job = (SELECT id FROM job WHERE name = ?)")
      .run(userId, job),
  );
  return changes > 0;
}

/** Whether a user may upload builds of a job; undefined is the Unix socket, which may everything. */
export function mayUpload(db: Database, user: User | undefined, job: JobName): boolean {
  if (user === undefined || user.role === "admin" || user.uploads === "any") return true;
  if (user.uploads === "none") return false;
  return (
    db
      .query(
        "SELECT 1 FROM upload_access JOIN job ON job.id = upload_access.job WHERE user_id = ? AND job.name = ?",
      )
      .get(user.id, job) !== null
  );
}
