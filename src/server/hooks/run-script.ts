/**
 * One script, run to its end: within its time, and with what it wrote told line by line. It is the first of a process
 * group, so that nothing of it goes on when its time is over; what it leaves in the background when it ends by itself
 * goes on, and isn't waited for.
 */

export interface ScriptRun {
  /** The script's path first. */
  readonly argv: readonly [string, ...string[]];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Default: nothing to read. */
  readonly stdin?: string;
  readonly limitMs: number;
  /** Ends it before. */
  readonly signal?: AbortSignal;
  readonly say: (line: string, from: "stdout" | "stderr") => void;
}

/** How it ended: `it ended with 3`. */
export type ScriptEnd = { readonly ok: true } | { readonly ok: false; readonly why: string };

const LINES = 200;
const LINE = 2000;
/** For what is still in the pipe when the script has ended, and something else holds it open. */
const LAST_WORDS_MS = 500;

/** Never throws. */
export async function runScript(run: ScriptRun): Promise<ScriptEnd> {
  const { argv, cwd, env, stdin, limitMs, signal, say } = run;
  if (signal?.aborted === true) return { ok: false, why: "the server stops" };
  // The shell is for scripts that don't say what they are for (#!): to builder-web's hooks that made no difference.
  const child = Bun.spawn(["/bin/sh", "-c", 'exec "$0" "$@"', ...argv], {
    ...{ cwd, env, stdout: "pipe", stderr: "pipe", detached: true },
    stdin: stdin === undefined ? "ignore" : new TextEncoder().encode(stdin),
  });
  let isLate = false;
  const end = () => killGroup(child.pid);
  const timer = setTimeout(() => {
    isLate = true;
    end();
  }, limitMs);
  signal?.addEventListener("abort", end, { once: true });
  const outputs = (["stdout", "stderr"] as const).map((from) =>
    follow(child[from], (line) => say(line, from)),
  );
  try {
    await child.exited;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", end);
  }
  await lastWords(outputs);
  if (child.exitCode === 0) return { ok: true };
  if (isLate) return { ok: false, why: `it was ended after ${limitMs / 1000} seconds` };
  return {
    ok: false,
    why:
      child.signalCode === null ? `it ended with ${child.exitCode}` : `it was ended by ${child.signalCode}`,
  };
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    // It has just gone.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

interface Output {
  readonly done: Promise<void>;
  readonly cancel: () => Promise<void>;
}

async function lastWords(outputs: readonly Output[]): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, LAST_WORDS_MS);
  await Promise.race([Promise.all(outputs.map(({ done }) => done)), promise]);
  clearTimeout(timer);
  await Promise.all(outputs.map(({ cancel }) => cancel()));
}

/** Tells the first lines; the rest is read and left out, so that who writes it doesn't stand still. */
function follow(stream: ReadableStream<Uint8Array>, say: (line: string) => void): Output {
  const reader = stream.getReader();
  return { done: tellLines(reader, say), cancel: () => reader.cancel().catch(() => undefined) };
}

async function tellLines(
  reader: { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }> },
  say: (line: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let [rest, count] = ["", 0];
  const tell = (line: string) => {
    count += 1;
    if (count <= LINES && line !== "") say(line.slice(0, LINE));
    if (count === LINES + 1) say("… what it writes from here on is left out");
  };
  for (;;) {
    const { value } = await reader.read();
    if (value === undefined) break;
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = (lines.pop() ?? "").slice(0, LINE);
    for (const line of lines) tell(line);
  }
  tell(rest);
}
