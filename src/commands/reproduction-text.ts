/** What came of building something again, for people. Pure. */
import { formatExplanation } from "../builds/reproduce/explain.ts";
import type { ReproductionReport, VariationReport } from "../builds/reproduce/reproduce.ts";
import { VARIATION_TEXTS, type Variation } from "../builds/reproduce/variations.ts";
import { visible } from "../lib/errors.ts";

const STATES = { same: "same   ", differs: "DIFFERS", missing: "MISSING", new: "NEW    " } as const;
const PACKAGES = 20;
/** Of those that are the same; all others are listed. */
const SAME = 20;

/** The verdict is its last line. `isQuiet`: nobody has seen the job's console. */
export function reproductionText(report: ReproductionReport, isQuiet: boolean): string {
  const { verdict, summary, files, explanations, variations, lastLines, isOtherBase } = report;
  const unexplained = files.filter(({ state }) => state === "differs").length - explanations.length;
  const lines = [
    ...(isQuiet ? lastLines.map((line) => `  | ${line}`) : []),
    ...fileLines(files),
    ...explanations.flatMap((one) => ["", ...formatExplanation(one)]),
    ...(unexplained > 0 && explanations.length > 0
      ? ["", `${unexplained} more that differ are not explained`]
      : []),
    ...packageLines(report.otherPackages),
    ...(isOtherBase
      ? ["", verdict === "GOOD" ? OTHER_BASE : `${OTHER_BASE}, which may be what differs`]
      : []),
    ...(variations === undefined ? [] : variationLines(variations)),
    "",
    `${verdict}: ${summary}`,
  ];
  return visible(`${lines.join("\n")}\n`);
}

function fileLines(files: ReproductionReport["files"]): string[] {
  const isSame = ({ state }: (typeof files)[number]) => state === "same";
  const unsaid = new Set(files.filter(isSame).slice(SAME));
  return [
    ...files.filter((file) => !unsaid.has(file)).map(({ state, path }) => `  ${STATES[state]}  ${path}`),
    ...(unsaid.size === 0 ? [] : [`  and ${unsaid.size} more that are the same`]),
  ];
}

const OTHER_BASE = "the root file system has other packages than the one that the original ran in";

function packageLines(packages: ReproductionReport["otherPackages"]): string[] {
  if (packages.length === 0) return [];
  const lines = packages
    .slice(0, PACKAGES)
    .map(({ name, recorded, used }) => `  ${name}: ${recorded} was recorded, ${used ?? "nothing"} was used`);
  const more = packages.length > PACKAGES ? [`  and ${packages.length - PACKAGES} more`] : [];
  return ["", "system packages that could not be had in the recorded version:", ...lines, ...more];
}

function variationLines({ done, left, culprits, failing }: VariationReport): string[] {
  const mark = (name: Variation) => {
    if (culprits.includes(name)) return "MATTERS";
    return failing.includes(name) ? "FAILS  " : "varied ";
  };
  return [
    "",
    ...done.map((name) => `  ${mark(name)}  ${name}: ${VARIATION_TEXTS[name]}`),
    ...left.map(({ variation, why }) => `  not so   ${variation}: ${why}`),
  ];
}
