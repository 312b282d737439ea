/** What a switch export says of the build that it came from: the words under which a job is listed. */
import { namesIn, rootOf } from "./dependencies.ts";
import type { SwitchExport } from "./switch-export.ts";
import { fieldOf, textOf } from "./syntax.ts";

export interface RootDescription {
  /** builder-web's words. */
  readonly section: "Unikernels (with metrics reported to Influx)" | "Unikernels" | "Packages";
  readonly synopsis: string | undefined;
  readonly description: string | undefined;
}

/** Of the only root; undefined where there isn't exactly one with its opam file. */
export function describeRoot(exported: SwitchExport): RootDescription | undefined {
  const root = rootOf(exported);
  if (root === undefined) return undefined;
  const { file } = root;
  const isUnikernel =
    fieldOf(file, "x-mirage-opam-lock-location") !== undefined ||
    root.package.name.startsWith("mirage-unikernel-");
  const reportsMetrics =
    exported.installed.some(({ name }) => name === "metrics-influx") ||
    namesIn(fieldOf(file, "depends")).includes("mirage-monitoring");
  const section = !isUnikernel
    ? "Packages"
    : reportsMetrics
      ? "Unikernels (with metrics reported to Influx)"
      : "Unikernels";
  return { section, synopsis: textOf(file, "synopsis"), description: textOf(file, "description") };
}
