/** Runs of a job under what came of them. Pure. */
import type { RunGroup } from "../../../web/pages/job-timeline.tsx";
import type { BuildSummary } from "../../store/api.ts";

/**
 * Runs that gave the same main binary together, at the place of the newest; runs of a platform that failed one after
 * another together. `runs`: newest first, and so are the groups.
 */
export function groupRuns(runs: readonly BuildSummary[]): RunGroup[] {
  const groups: { kind: RunGroup["kind"]; runs: BuildSummary[] }[] = [];
  const outputs = new Map<string, BuildSummary[]>();
  /** The streak of failures that a platform's next older run may go on with. */
  const streaks = new Map<string, BuildSummary[]>();
  for (const run of runs) {
    const open = run.main === undefined ? streaks.get(run.platform) : outputs.get(run.main.sha256);
    if (run.main !== undefined) streaks.delete(run.platform);
    if (open !== undefined) {
      open.push(run);
      continue;
    }
    const group = [run];
    groups.push({ kind: run.main === undefined ? "failed" : "output", runs: group });
    if (run.main === undefined) streaks.set(run.platform, group);
    else outputs.set(run.main.sha256, group);
  }
  return groups;
}
