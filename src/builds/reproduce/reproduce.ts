/**
 * Makes a build again in a fresh sandbox and compares bit by bit. With variations, once more in surroundings that are
 * as different as they can be made; if that differs, once for each variation, to find the one that the result depends on.
 */
import type { Sha256 } from "../../lib/sha256.ts";
import { resultText } from "../../protocols/builder/result-text.ts";
import { readSystemPackages } from "../attestations/ingredients.ts";
import { type Attempt, type AttemptOptions, attempt } from "./attempt.ts";
import { type Explanation, explainDifference } from "./explain.ts";
import { type OriginalBuild, inputsOf } from "./original-build.ts";
import { type FileComparison, type OutputFile, type Verdict, compareOutputs, verdictOn } from "./outputs.ts";
import { rebuildKind } from "./rebuild-job.ts";
import { type Variation, readVariations } from "./variations.ts";

export interface ReproduceOptions extends AttemptOptions {
  /** Empty: the surroundings are only new, not different. */
  readonly variations: readonly Variation[];
  /** The packages of the root file system that the original ran in, where that is known. */
  readonly base: Sha256 | undefined;
  readonly basePackages: string | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Told what is being done. */
  readonly say: (text: string) => void;
  /** Told of the first files that differ, while both are there. */
  readonly onDifference?: (path: string, original: string, rebuilt: string) => Promise<void>;
}

/** What came of it, as it is kept and shown. */
export interface ReproductionReport {
  readonly verdict: Verdict;
  readonly startedAt: number;
  readonly finishedAt: number;
  /** One sentence. */
  readonly summary: string;
  readonly files: readonly FileComparison[];
  readonly explanations: readonly Explanation[];
  /** System packages whose recorded versions could not be had. */
  readonly otherPackages: readonly {
    readonly name: string;
    readonly recorded: string;
    readonly used: string | undefined;
  }[];
  /** Whether the root file system was made of other packages than the original's. */
  readonly isOtherBase: boolean;
  /** Of what could not be built: the end of its console. */
  readonly lastLines: readonly string[];
  readonly variations: VariationReport | undefined;
}

export interface VariationReport {
  readonly done: readonly Variation[];
  readonly left: readonly { readonly variation: Variation; readonly why: string }[];
  /** Those that change the result by themselves. */
  readonly culprits: readonly Variation[];
  /** Those with which it can't be built. */
  readonly failing: readonly Variation[];
}

type Findings = Omit<
  ReproductionReport,
  "startedAt" | "finishedAt" | "otherPackages" | "isOtherBase" | "lastLines"
>;

const EXPLAINED = 5;

/** Makes a build again. Throws what the sandboxes throw when none can be made, and OpamError for a damaged record. */
export async function reproduce(
  original: OriginalBuild,
  options: ReproduceOptions,
): Promise<ReproductionReport> {
  const startedAt = options.now();
  const end = (findings: Findings, made?: Attempt): ReproductionReport => ({
    ...findings,
    otherPackages: made === undefined ? [] : differentPackages(original, made, options.basePackages),
    isOtherBase: made !== undefined && isOther(options.base, made),
    lastLines: made !== undefined && findings.verdict === "FAIL" ? made.lastLines : [],
    startedAt,
    finishedAt: options.now(),
  });
  const nothing = { files: [], explanations: [], variations: undefined };
  if (verdictOn(compareOutputs(original.files, original.files)) === "UNKNOWN") {
    return end({
      ...nothing,
      verdict: "UNKNOWN",
      summary: "the build has no results that could be compared",
    });
  }
  options.say(`building ${original.job} again on ${original.platform}`);
  const plain = await attempt(original, [], options);
  if (!hasEndedWell(original, plain)) {
    const summary = `it could not be built again: ${resultText(plain.result)}`;
    return end({ ...nothing, verdict: "FAIL", summary }, plain);
  }
  const files = compareOutputs(original.files, plain.files);
  const verdict = verdictOn(files);
  if (verdict !== "GOOD" || options.variations.length === 0) {
    const explanations = await explain(original.files, plain.files, files, options);
    return end({ verdict, files, explanations, variations: undefined, summary: summarise(files) }, plain);
  }
  const { findings, failed } = await vary(original, files, options);
  return end(findings, failed === undefined ? plain : { ...plain, lastLines: failed.lastLines });
}

/** What one varied build came to. */
type Effect = "same" | "differs" | "fails";

function effectOf(original: OriginalBuild, made: Attempt): Effect {
  if (!hasEndedWell(original, made)) return "fails";
  return verdictOn(compareOutputs(original.files, made.files)) === "GOOD" ? "same" : "differs";
}

/**
 * It is the same in the same surroundings; is it in others? What can't be built in others is FAIL, unless a result that
 * differs came of some of them.
 */
async function vary(
  original: OriginalBuild,
  plain: readonly FileComparison[],
  options: ReproduceOptions,
): Promise<{ readonly findings: Findings; readonly failed: Attempt | undefined }> {
  options.say("the same, bit for bit; once more in other surroundings");
  const all = await attempt(original, options.variations, options);
  const { done, left } = readVariations(all.console);
  const effects = new Map<Variation, Effect>();
  const together = effectOf(original, all);
  let different = together === "differs" ? all : undefined;
  if (together !== "same") {
    for (const variation of done) {
      if (done.length > 1) options.say(`${SAID[together]}: trying ${variation} alone`);
      const alone = done.length === 1 ? all : await attempt(original, [variation], options);
      effects.set(variation, effectOf(original, alone));
      if (effects.get(variation) === "differs") different ??= alone;
    }
  }
  const having = (effect: Effect) => done.filter((variation) => effects.get(variation) === effect);
  const variations = { done, left, culprits: having("differs"), failing: having("fails") };
  if (together === "same") {
    const summary = `${summarise(plain)}, also in other surroundings`;
    return {
      findings: { verdict: "GOOD", files: plain, explanations: [], variations, summary },
      failed: undefined,
    };
  }
  const files = different === undefined ? plain : compareOutputs(original.files, different.files);
  return {
    findings: {
      verdict: different === undefined ? "FAIL" : "BAD",
      files,
      explanations:
        different === undefined ? [] : await explain(original.files, different.files, files, options),
      variations,
      summary: blame(variations, different !== undefined),
    },
    failed: different === undefined ? all : undefined,
  };
}

const SAID = { differs: "it differs", fails: "it can't be built" } as const;

function blame({ culprits, failing }: VariationReport, isDifferent: boolean): string {
  const name = (names: readonly Variation[]) =>
    names.length === 0 ? "several of them together" : names.join(", ");
  if (!isDifferent)
    return `the same in the same surroundings, but it can't be built in others: ${name(failing)}`;
  const more = failing.length === 0 ? "" : `; and it can't be built in others: ${failing.join(", ")}`;
  return `the result depends on its surroundings, on: ${name(culprits)}${more}`;
}

/** A script may leave files and end with another status than 0: then it is to end with that again. */
function hasEndedWell(original: OriginalBuild, { result }: Attempt): boolean {
  if (result.kind !== "exited") return false;
  const { result: before } = original;
  const isAsBefore = before.kind === "exited" && before.code === result.code;
  return result.code === 0 || (isAsBefore && rebuildKind(original) === "script");
}

function isOther(base: Sha256 | undefined, { sandbox }: Attempt): boolean {
  return base !== undefined && sandbox?.packagesSha256 !== undefined && sandbox.packagesSha256 !== base;
}

async function explain(
  original: readonly OutputFile[],
  rebuilt: readonly OutputFile[],
  files: readonly FileComparison[],
  { onDifference }: ReproduceOptions,
): Promise<Explanation[]> {
  const explanations: Explanation[] = [];
  for (const { path, state } of files) {
    if (state !== "differs" || explanations.length >= EXPLAINED) continue;
    const [left, right] = [original, rebuilt].map((side) => side.find((file) => file.path === path)!);
    explanations.push(await explainDifference(path, left!.source, right!.source));
    await onDifference?.(path, left!.place, right!.place);
  }
  return explanations;
}

function summarise(files: readonly FileComparison[]): string {
  const bad = files.filter(({ state }) => state !== "same");
  if (files.length === 0) return "there was nothing to compare";
  if (bad.length === 0) {
    const what = files.length === 1 ? `${files[0]!.path} is` : `all ${files.length} files are`;
    return `${what} the same, bit for bit`;
  }
  const WORDS = { differs: "differs", missing: "is missing", new: "is new", same: "" } as const;
  const some = bad.slice(0, 3).map(({ path, state }) => `${path} ${WORDS[state]}`);
  if (files.length === 1) return some[0]!;
  const more = bad.length > 3 ? `, and ${bad.length - 3} more` : "";
  return `${bad.length} of ${files.length} files are not the same: ${some.join(", ")}${more}`;
}

/** By what orb recorded of both, or by the root file systems of both. */
function differentPackages(
  { inputs }: OriginalBuild,
  { files, sandbox }: Attempt,
  basePackages: string | undefined,
): ReproductionReport["otherPackages"] {
  const [before, now] =
    inputs.systemPackages === undefined
      ? [basePackages, sandbox?.packages]
      : [inputs.systemPackages, inputsOf(files).systemPackages];
  if (before === undefined || now === undefined) return [];
  const used = new Map(readSystemPackages(now).map(({ name, version }) => [name, version]));
  return readSystemPackages(before)
    .filter(({ name, version }) => used.get(name) !== version)
    .map(({ name, version }) => ({ name, recorded: version, used: used.get(name) }));
}
