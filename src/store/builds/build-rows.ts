/** Builds as the database has them. */
import { sha256Text } from "../../lib/sha256.ts";
import type { Artifact, BuildId, BuildResult, BuildSummary, JobName, Platform, Solo5Notes } from "../api.ts";

export interface SummaryRow {
  id: number;
  uuid: string;
  job: string;
  platform: string;
  started_at: number;
  finished_at: number;
  result_kind: BuildResult["kind"];
  result_code: number | null;
  result_text: string | null;
  input_id: Uint8Array | null;
  main_sha256: Uint8Array | null;
  main_size: number | null;
  main_path: string | null;
  main_content: number | null;
  solo5: string | null;
  is_pinned: number;
}

/** What SummaryRow has, of a build `b`. The job's name is no join, which the planner could begin with. */
export const SUMMARY = `b.id, b.uuid, (SELECT name FROM job WHERE id = b.job) AS job, b.platform, b.started_at,
  b.finished_at, b.result_kind, b.result_code, b.result_text, b.input_id, b.main_sha256, b.main_size,
  (SELECT path FROM artifact WHERE id = b.main_artifact) AS main_path,
  (SELECT content FROM artifact WHERE id = b.main_artifact) AS main_content, b.solo5, b.is_pinned`;

export function summaryOf(row: SummaryRow): BuildSummary {
  return {
    id: row.uuid as BuildId,
    job: row.job as JobName,
    platform: row.platform as Platform,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    result: resultOf(row),
    inputId: row.input_id === null ? undefined : sha256Text(row.input_id),
    main: mainOf(row),
    solo5: row.solo5 === null ? undefined : (JSON.parse(row.solo5) as Solo5Notes),
    isPinned: row.is_pinned === 1,
  };
}

function mainOf(row: SummaryRow): Artifact | undefined {
  if (row.main_sha256 === null || row.main_path === null || row.main_size === null) return undefined;
  return {
    path: row.main_path,
    sha256: sha256Text(row.main_sha256),
    size: row.main_size,
    isKept: row.main_content !== null,
  };
}

function resultOf({ result_kind: kind, result_code, result_text }: SummaryRow): BuildResult {
  switch (kind) {
    case "exited":
      return { kind, code: result_code ?? 0 };
    case "signalled":
    case "stopped":
      return { kind, signal: result_code ?? 0 };
    case "message":
      return { kind, text: result_text ?? "" };
  }
}

export interface ArtifactRow {
  path: string;
  sha256: Uint8Array;
  size: number;
  content: number | null;
}

export function artifactOf({ path, sha256, size, content }: ArtifactRow): Artifact {
  return { path, sha256: sha256Text(sha256), size, isKept: content !== null };
}
