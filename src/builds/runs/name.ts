/** How a run is called. Needs nothing of the runtime: pages' scripts use it as well. */
import type { Run } from "../api.ts";

/** hello:12 */
export function nameOf({ job, number }: Pick<Run, "job" | "number">): string {
  return `${job}:${number}`;
}
