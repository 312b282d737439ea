/**
 * Makes a build again in a fresh sandbox and compares bit by bit. With variations, once more in surroundings that are
 * as different as they can be made; if that differs, once for each variation, to find the one that the result depends on.
 */
import { RoburError } from "../../lib/errors.ts";
import type { Assignment, BuildResult } from "../api.ts";
import { sayResult } from "../api.ts";
import { readSystemPackages } from "../attestations/ingredients.ts";
import type { SentLine } from "../runs/console.ts";
import type { JobLimits, JobNetwork, Sandboxes } from "../sandbox/api.ts";
import { readOutput } from "../worker/collect.ts";
import { runJob } from "../worker/run-job.ts";
import { type Explanation, explainDifference } from "./explain.ts";
import { type OriginalBuild, inputsOf } from "./original-build.ts";
import { type FileComparison, type OutputFile, type Verdict, compareOutputs, verdictOn } from "./outputs.ts";
import { rebuildJob } from "./rebuild-job.ts";
import type { SpooledFiles } from "./spooled-files.ts";
import { type Variation, readVariations } from "./variations.ts";

export interface ReproduceOptions {
  readonly sandboxes: Sandboxes;
  /** Empty: the surroundings are only new, not different. */
  readonly variations: readonly Variation[];
  readonly timeoutMs: number;
  readonly limits: JobLimits;
  readonly network: JobNetwork;
  /** Where the rebuilt files go. */
  readonly spool: SpooledFiles;
  readonly signal: AbortSignal;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Told what is being done. */
  readonly say: (text: string) => void;
  /** Told what the jobs write. */
  readonly write: (text: Uint8Array) => void;
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
  readonly variations:
    | {
        readonly done: readonly Variation[];
        readonly left: readonly { readonly variation: Variation; readonly why: string }[];
        /** Those that change the result by themselves. */
        readonly culprits: readonly Variation[];
      }
    | undefined;
}

interface Attempt {
  readonly result: BuildResult;
  readonly files: readonly OutputFile[];
  readonly console: string;
}

const EXPLAINED = 5;
/** Of a job's console, to find out what the variations said: at its beginning. */
const CONSOLE_KEPT = 256 * 1024;

/** Makes a build again. Throws what the sandboxes throw when none can be made, and OpamError for a damaged record. */
export async function reproduce(
  original: OriginalBuild,
  options: ReproduceOptions,
): Promise<ReproductionReport> {
  const startedAt = options.now();
  const end = (rest: Omit<ReproductionReport, "startedAt" | "finishedAt">): ReproductionReport => ({
    ...rest,
    startedAt,
    finishedAt: options.now(),
  });
  const nothing = { files: [], explanations: [], otherPackages: [], variations: undefined };
  if (verdictOn(compareOutputs(original.files, original.files)) === "UNKNOWN") {
    return end({
      ...nothing,
      verdict: "UNKNOWN",
      summary: "the build has no results that could be compared",
    });
  }
  options.say(`building ${original.job} again on ${original.platform}`);
  const plain = await attempt(original, [], options);
  const otherPackages = differentPackages(original, plain);
  if (!isSuccess(plain.result)) {
    const summary = `it could not be built again: ${sayResult(plain.result)}`;
    return end({ ...nothing, verdict: "FAIL", summary, otherPackages });
  }
  const files = compareOutputs(original.files, plain.files);
  const verdict = verdictOn(files);
  if (verdict !== "GOOD" || options.variations.length === 0) {
    const explanations = await explain(original.files, plain.files, files, options);
    return end({
      verdict,
      files,
      explanations,
      otherPackages,
      variations: undefined,
      summary: summarise(files),
    });
  }
  return end({ otherPackages, ...(await vary(original, files, options)) });
}

async function vary(
  original: OriginalBuild,
  plain: readonly FileComparison[],
  options: ReproduceOptions,
): Promise<Pick<ReproductionReport, "verdict" | "files" | "explanations" | "variations" | "summary">> {
  options.say("the same, bit for bit; once more in other surroundings");
  const all = await attempt(original, options.variations, options);
  const { done, left } = readVariations(all.console);
  const files = isSuccess(all.result) ? compareOutputs(original.files, all.files) : [];
  if (isSuccess(all.result) && verdictOn(files) === "GOOD") {
    const summary = `${summarise(plain)}, also in other surroundings`;
    return { verdict: "GOOD", files, explanations: [], variations: { done, left, culprits: [] }, summary };
  }
  const culprits: Variation[] = [];
  for (const variation of done) {
    options.say(`it differs: trying ${variation} alone`);
    const alone = await attempt(original, [variation], options);
    const isSame =
      isSuccess(alone.result) && verdictOn(compareOutputs(original.files, alone.files)) === "GOOD";
    if (!isSame) culprits.push(variation);
  }
  const blame = culprits.length === 0 ? "on several of them together" : `on: ${culprits.join(", ")}`;
  const what = isSuccess(all.result) ? "the result depends" : "whether it can be built depends";
  return {
    verdict: "BAD",
    files,
    explanations: await explain(original.files, all.files, files, options),
    variations: { done, left, culprits },
    summary: `${what} on its surroundings, ${blame}`,
  };
}

/** Runs the job once. */
async function attempt(
  original: OriginalBuild,
  variations: readonly Variation[],
  options: ReproduceOptions,
): Promise<Attempt> {
  const { sandboxes, spool, limits, network, timeoutMs, signal, write } = options;
  const job = rebuildJob(original, variations);
  const assignment: Assignment = {
    run: 0 as Assignment["run"],
    uuid: crypto.randomUUID() as Assignment["uuid"],
    ...{ job: original.job, platform: original.platform, script: job.script, timeoutMs, limits, network },
  };
  // The record of an orb build is put beside the script.
  const withFiles: Sandboxes = {
    ...sandboxes,
    prepare: (wish) => sandboxes.prepare({ ...wish, files: job.files }),
  };
  let console = "";
  const keep = async (lines: readonly SentLine[]) => {
    for (const { text } of lines) {
      write(text);
      if (console.length < CONSOLE_KEPT) console += `${Buffer.from(text).toString("latin1")}\n`;
    }
  };
  let made: Attempt | undefined;
  await runJob(
    assignment,
    { sandboxes: withFiles, write: keep, signal },
    async ({ result, directory, files }) => {
      const spooled: OutputFile[] = [];
      for (const file of files) spooled.push(await spool.add(file.path, readOutput(directory, file)));
      made = { result, files: spooled, console: "" };
    },
  );
  if (made === undefined) throw new Error("a job ended without a result");
  if (signal.aborted) throw new RoburError("interrupted", "interrupted: nothing was concluded");
  return { ...made, console };
}

function isSuccess(result: BuildResult): boolean {
  return result.kind === "exited" && result.code === 0;
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
  if (bad.length === 0) return `all ${files.length} files are the same, bit for bit`;
  const WORDS = { differs: "differs", missing: "is missing", new: "is new", same: "" } as const;
  const some = bad.slice(0, 3).map(({ path, state }) => `${path} ${WORDS[state]}`);
  const more = bad.length > 3 ? `, and ${bad.length - 3} more` : "";
  return `${bad.length} of ${files.length} files are not the same: ${some.join(", ")}${more}`;
}

function differentPackages(original: OriginalBuild, rebuilt: Attempt): ReproductionReport["otherPackages"] {
  const now = inputsOf(rebuilt.files).systemPackages;
  if (original.inputs.systemPackages === undefined || now === undefined) return [];
  const used = new Map(readSystemPackages(now).map(({ name, version }) => [name, version]));
  return readSystemPackages(original.inputs.systemPackages)
    .filter(({ name, version }) => used.get(name) !== version)
    .map(({ name, version }) => ({ name, recorded: version, used: used.get(name) }));
}
