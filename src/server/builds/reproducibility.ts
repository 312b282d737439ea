/** What is known of whether a build can be made again: by other builds of the store, and by who tried. */
import { type Reproducibility, reproducibilityOf } from "../../../web/components/builds.tsx";
import type { BuildSummary } from "../../store/api.ts";
import { rebuildCounts } from "../../trust/reproductions.ts";
import type { ServerContext } from "../context.ts";

/** Undefined for a build without an output. */
export function reproducibility(
  { db, builds }: Pick<ServerContext, "db" | "builds">,
  build: BuildSummary,
): Reproducibility | undefined {
  return reproducibilityOf(build, builds.reproductions(build), rebuildCounts(db, build.id));
}
