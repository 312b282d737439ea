/** The builds of a database: taken in, selected, given back. */
import type { Database } from "bun:sqlite";
import { write } from "../../db/open.ts";
import type { RecordLimits } from "../../protocols/builder/record.ts";
import type { Build, BuildId, BuildStore, Content, ContentStore, UploadOutcome } from "../api.ts";
import { type ArtifactRow, SUMMARY, type SummaryRow, artifactOf, summaryOf } from "./build-rows.ts";
import { type Reception, receiveFiles, receiveRecord } from "./receive.ts";
import { recordOf } from "./record-stream.ts";
import { selectBuilds } from "./select-builds.ts";
import { selectJobs } from "./select-jobs.ts";

export interface BuildStoreOptions {
  /** Of uploads; what is left out is as in RECORD_LIMITS. */
  readonly limits?: Partial<RecordLimits>;
  /** Milliseconds since 1970. Default: the clock. */
  readonly now?: () => number;
}

interface BuildRow extends SummaryRow {
  script: number;
  console: number;
  uploaded_by: string;
  worker: string | null;
  received_at: number;
}

/** Opens the builds that a database has. `contents` is over the same database. */
export function openBuildStore(
  db: Database,
  contents: ContentStore,
  options: BuildStoreOptions = {},
): BuildStore {
  const summary = (id: BuildId) => {
    const row = db.query<SummaryRow, [string]>(`SELECT ${SUMMARY} FROM build b WHERE b.uuid = ?`).get(id);
    return row === null ? undefined : summaryOf(row);
  };
  const build = (id: BuildId) => buildOf(db, contents, id);
  const reception: Reception = {
    db,
    contents,
    limits: options.limits ?? {},
    now: options.now ?? Date.now,
    find: summary,
  };
  const outcome = (received: Awaited<ReturnType<typeof receiveRecord>>): UploadOutcome =>
    received.ok ? { ok: true, build: build(received.id)! } : received;

  return {
    ...selectBuilds(db),
    ...selectJobs(db),
    build,

    artifact(id, path) {
      const row = db
        .query<ArtifactRow, [string, string]>(
          `SELECT a.path, a.sha256, a.size, a.content FROM build b CROSS JOIN artifact a ON a.build = b.id
           WHERE b.uuid = ? AND a.path = ?`,
        )
        .get(id, path);
      if (row === null) return undefined;
      const content = row.content === null ? undefined : contents.byId(row.content);
      return { artifact: artifactOf(row), content };
    },

    upload: async (record, upload) => outcome(await receiveRecord(reception, record, upload)),
    add: async (made) => outcome(await receiveFiles(reception, made)),
    record: (id) => recordOf(db, contents, id),

    pin: (id, isPinned) =>
      write(
        db,
        () => db.query("UPDATE build SET is_pinned = ? WHERE uuid = ?").run(isPinned ? 1 : 0, id).changes > 0,
      ),
    remove: (id) =>
      write(db, () => db.query("DELETE FROM build WHERE uuid = ? RETURNING id").all(id).length > 0),
    removeJob: (name) =>
      write(db, () => {
        db.query("DELETE FROM build WHERE job = (SELECT id FROM job WHERE name = ?)").run(name);
        return db.query("DELETE FROM job WHERE name = ? RETURNING id").all(name).length > 0;
      }),
  };
}

function buildOf(db: Database, contents: ContentStore, id: BuildId): Build | undefined {
  const row = db
    .query<BuildRow, [string]>(
      `SELECT ${SUMMARY}, b.script, b.console, b.uploaded_by, b.worker, b.received_at FROM build b WHERE b.uuid = ?`,
    )
    .get(id);
  if (row === null) return undefined;
  const summary = summaryOf(row);
  const artifacts = db
    .query<ArtifactRow, [number]>(
      "SELECT path, sha256, size, content FROM artifact WHERE build = ? ORDER BY path",
    )
    .all(row.id)
    .map(artifactOf);
  const { main } = summary;
  return {
    ...summary,
    artifacts: main === undefined ? artifacts : [main, ...artifacts.filter(({ path }) => path !== main.path)],
    script: contentOf(contents, row.script),
    console: contentOf(contents, row.console),
    uploadedBy: row.uploaded_by,
    worker: row.worker ?? undefined,
    receivedAt: row.received_at,
  };
}

/** The build refers to it, so that it is there. */
function contentOf(contents: ContentStore, id: number): Content {
  return contents.byId(id)!;
}
