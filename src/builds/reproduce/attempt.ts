/** Runs the job of a rebuild once, in a sandbox of its own. */
import { RoburError } from "../../lib/errors.ts";
import { shownLine } from "../../lib/shown-line.ts";
import type { Assignment, BuildResult } from "../api.ts";
import type { SentLine } from "../runs/console.ts";
import type { JobLimits, JobNetwork, SandboxOrigin, Sandboxes } from "../sandbox/api.ts";
import { readOutput } from "../worker/collect.ts";
import { runJob } from "../worker/run-job.ts";
import type { OriginalBuild } from "./original-build.ts";
import type { OutputFile } from "./outputs.ts";
import { rebuildJob } from "./rebuild-job.ts";
import type { SpooledFiles } from "./spooled-files.ts";
import type { Variation } from "./variations.ts";

export interface AttemptOptions {
  readonly sandboxes: Sandboxes;
  readonly timeoutMs: number;
  readonly limits: JobLimits;
  readonly network: JobNetwork;
  /** Where the rebuilt files go. */
  readonly spool: SpooledFiles;
  readonly signal: AbortSignal;
  /** Told what the jobs write. */
  readonly write: (text: Uint8Array) => void;
}

export interface Attempt {
  readonly result: BuildResult;
  readonly files: readonly OutputFile[];
  /** The beginning of what it wrote, where the variations say what became of them. */
  readonly console: string;
  /** And its end. */
  readonly lastLines: readonly string[];
  readonly sandbox: SandboxOrigin | undefined;
}

const CONSOLE_KEPT = 256 * 1024;
const LAST_LINES = 20;
const LINE_MAX = 400;

/** Throws what the sandboxes throw when none can be made: that is no failure of the build's. */
export async function attempt(
  original: OriginalBuild,
  variations: readonly Variation[],
  { sandboxes, spool, limits, network, timeoutMs, signal, write }: AttemptOptions,
): Promise<Attempt> {
  const job = rebuildJob(original, variations);
  const assignment: Assignment = {
    run: 0 as Assignment["run"],
    uuid: crypto.randomUUID() as Assignment["uuid"],
    ...{ job: original.job, platform: original.platform, script: "", timeoutMs, limits, network },
  };
  let unmade: unknown;
  const withJob: Sandboxes = {
    ...sandboxes,
    async prepare(wish) {
      try {
        return await sandboxes.prepare({ ...wish, ...job });
      } catch (error) {
        unmade = error;
        throw error;
      }
    },
  };
  let console = "";
  const lastLines: string[] = [];
  const keep = async (lines: readonly SentLine[]) => {
    for (const { text } of lines) {
      write(text);
      if (console.length < CONSOLE_KEPT) console += `${Buffer.from(text).toString("latin1")}\n`;
      lastLines.push(Bun.stripANSI(shownLine(text, LINE_MAX)));
      if (lastLines.length > LAST_LINES) lastLines.shift();
    }
  };
  let made: Pick<Attempt, "result" | "files" | "sandbox"> | undefined;
  await runJob(
    assignment,
    { sandboxes: withJob, write: keep, signal },
    async ({ result, directory, files, sandbox }) => {
      if (unmade !== undefined) return;
      const spooled: OutputFile[] = [];
      for (const file of files) spooled.push(await spool.add(file.path, readOutput(directory, file)));
      made = { result, files: spooled, sandbox };
    },
  );
  if (signal.aborted) throw new RoburError("interrupted", "interrupted: nothing was concluded");
  if (unmade !== undefined) throw unmade;
  if (made === undefined) throw new Error("a job ended without a result");
  return { ...made, console, lastLines };
}
