/** Addresses of runs, and of jobs as they are defined. Pure. */
import type { JobName, Run } from "../../builds/api.ts";

export function runPath({ job, number }: Pick<Run, "job" | "number">): string {
  return `/runs/${encodeURIComponent(job)}:${number}`;
}

export function jobSettingsPath(name: JobName): string {
  return `/jobs/${encodeURIComponent(name)}/settings`;
}
