/** Runs one job: on a terminal, in a sandbox, for as long as it may; and collects what it left. */
import { RoburError, errorLine } from "../../lib/errors.ts";
import type { Assignment, BuildResult } from "../api.ts";
import { type Exit, spawn } from "../pty.ts";
import { CONSOLE_MAX, type SentLine, withinLimit } from "../runs/console.ts";
import type { Sandbox, SandboxOrigin, Sandboxes } from "../sandbox/api.ts";
import { type Output, OutputError, type OutputFile, collectOutput } from "./collect.ts";
import { LineSplitter } from "./split-lines.ts";

/** `timeout`'s own status. */
const TIMED_OUT = 124;
const GRACE_MS = 10_000;
/** After the job's own process ended, what it left behind has so long to write its last. */
const DRAIN_MS = 2000;
const COLUMNS = 120;
const ROWS = 40;

export interface RunJobOptions {
  readonly sandboxes: Sandboxes;
  /** Resolves when there is room for more. */
  readonly write: (lines: readonly SentLine[]) => Promise<void>;
  /** Aborted: the job is to end. */
  readonly signal: AbortSignal;
  /** How long a job has between SIGTERM and SIGKILL. Default: 10 s. */
  readonly graceMs?: number;
  /** A job that fails leaves its sandbox for a shell. Default: nothing stays. */
  readonly keepsFailed?: boolean | undefined;
  /** Told where lines go that tell of the sandbox being made, which may take minutes the first time. */
  readonly onPreparing?: ((say: (text: string) => void) => void) | undefined;
}

export interface JobEnd {
  readonly result: BuildResult;
  readonly directory: string;
  readonly files: readonly OutputFile[];
  /** What it ran in; undefined when that could not be made. */
  readonly sandbox: SandboxOrigin | undefined;
}

/** Runs a job; `deliver` is given its end while its files are still there. */
export async function runJob(
  assignment: Assignment,
  options: RunJobOptions,
  deliver: (end: JobEnd) => Promise<void>,
): Promise<void> {
  const { sandboxes, write } = options;
  const began = process.hrtime.bigint();
  const encoder = new TextEncoder();
  const say = (text: string) => {
    const delta = process.hrtime.bigint() - began;
    return write(
      text.split("\n").map((line) => ({ delta, text: encoder.encode(`[robur: ${line.trim()}]`) })),
    );
  };
  const { platform, limits, network, script } = assignment;
  let prepared: Sandbox;
  options.onPreparing?.((text) => void say(text));
  try {
    const bytes = new TextEncoder().encode(script);
    prepared = await sandboxes.prepare({ platform, limits, network, script: bytes, files: [] });
  } catch (error) {
    if (!(error instanceof RoburError)) throw error;
    await say(errorLine(error));
    if (error.hint !== undefined) await say(`try: ${error.hint}`);
    return deliver({
      // The rest is on the console.
      result: { kind: "message", text: error.message.split("\n", 1)[0] ?? "" },
      directory: "/nonexistent",
      files: [],
      sandbox: undefined,
    });
  }
  await using sandbox = prepared;
  const result = await execute(sandbox, assignment, began, options, say);
  const { files, leftOut, complaint } = collect(sandbox.directory, result);
  if (complaint !== undefined) await say(complaint);
  if (leftOut > 0)
    await say(
      `${leftOut} of its files ${leftOut === 1 ? "is" : "are"} left out: no artifact can have such a name`,
    );
  const said: BuildResult = complaint === undefined ? result : { kind: "message", text: complaint };
  // The other kinds have nothing that a shell could be had in later.
  if (options.keepsFailed === true && sandbox.origin.kind === "bwrap" && hasFailed(said)) {
    await sandbox.keep(assignment.uuid, assignment.job);
  }
  await deliver({
    result: said,
    directory: sandbox.directory,
    files,
    sandbox: sandbox.origin,
  });
}

function hasFailed(result: BuildResult): boolean {
  return result.kind !== "exited" || result.code !== 0;
}

async function execute(
  sandbox: Sandbox,
  { timeoutMs }: Assignment,
  began: bigint,
  { write, signal, graceMs = GRACE_MS }: RunJobOptions,
  say: (text: string) => Promise<void>,
): Promise<BuildResult> {
  if (signal.aborted) return { kind: "message", text: "aborted" };
  // Nobody types anything: a script that reads gets the end of the file, and not a terminal that is silent for ever.
  const args = ["-c", 'exec "$@" </dev/null', "sh", ...sandbox.argv];
  const env = { TERM: "xterm", ...sandbox.environment };
  const pty = spawn("/bin/sh", args, { cwd: "/", env, cols: COLUMNS, rows: ROWS });
  let ending: "timeout" | "abort" | undefined;
  let killer: ReturnType<typeof setTimeout> | undefined;
  const end = (why: "timeout" | "abort") => {
    if (ending !== undefined) return;
    ending = why;
    signalGroup(pty.pid, "SIGTERM");
    killer = setTimeout(() => void sandbox.kill(), graceMs);
  };
  const onAbort = () => end("abort");
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  const timer = setTimeout(() => end("timeout"), timeoutMs);
  const reading = copyConsole(pty.output, began, write);
  try {
    const exit = await pty.exited;
    // What runs on in the background would hold the terminal open.
    await Promise.race([reading, pause(200)]);
    await sandbox.kill();
    await Promise.race([reading, pause(DRAIN_MS)]);
    pty.close();
    await reading;
    if (ending === "timeout") await say(`ended after ${timeoutMs / 1000} s, its time-out`);
    if (ending === "abort") await say("aborted");
    return resultOf(exit, ending);
  } finally {
    clearTimeout(timer);
    clearTimeout(killer);
    signal.removeEventListener("abort", onAbort);
    pty.close();
  }
}

/** A time that doesn't keep the process when nothing else does. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms).unref());
}

function resultOf({ exitCode, signal }: Exit, ending: "timeout" | "abort" | undefined): BuildResult {
  if (ending === "timeout") return { kind: "exited", code: TIMED_OUT };
  if (ending === "abort") return { kind: "message", text: "aborted" };
  // As the original's shell reports it.
  return { kind: "exited", code: signal === 0 ? exitCode : 128 + signal };
}

async function copyConsole(
  output: AsyncIterable<Uint8Array>,
  began: bigint,
  write: (lines: readonly SentLine[]) => Promise<void>,
): Promise<void> {
  const splitter = new LineSplitter();
  const stamp = (texts: Uint8Array[]) => {
    const delta = process.hrtime.bigint() - began;
    return texts.map((text) => ({ delta, text }));
  };
  let bytes = 0;
  const send = async (texts: Uint8Array[]) => {
    const kept = withinLimit(stamp(texts), bytes);
    bytes = kept.bytes;
    if (kept.lines.length > 0) await write(kept.lines);
  };
  for await (const chunk of output) {
    // What isn't kept is read all the same: nobody's output waits.
    if (bytes <= CONSOLE_MAX) await send(splitter.push(chunk));
  }
  await send(splitter.end());
}

function collect(directory: string, result: BuildResult): Output & { readonly complaint?: string } {
  const nothing = { files: [], leftOut: 0 };
  // As the original: from whatever ended by itself, whatever its status.
  if (result.kind !== "exited") return nothing;
  try {
    return collectOutput(directory);
  } catch (error) {
    if (!(error instanceof OutputError)) throw error;
    return { ...nothing, complaint: error.message };
  }
}

/** The terminal's session: its leader's number is the group's. */
function signalGroup(pid: number, signal: "SIGTERM"): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as { code?: string }).code !== "ESRCH") throw error;
  }
}
