/** What `robur build` does with builds that wait and run. */
import { print, printError } from "../linux/libc.ts";
import { copiesOf, jobWord, platformWord, runWord } from "./client/build-words.ts";
import { resolveBuild } from "./client/builds.ts";
import { ClientError } from "./client/client-error.ts";
import { type Client, ask, connect } from "./client/connect.ts";
import { follow } from "./client/event-source.ts";
import { type Line, type ShowLines, linePrinter, storedLines } from "./client/run-lines.ts";
import { interruptible } from "./long-work.ts";
import { formatTime } from "./table.ts";

interface ToHost {
  readonly host: string | undefined;
}

/** A run, as the API gives it. */
export interface RunAnswer {
  readonly name: string;
  readonly state: "queued" | "running" | "finished" | "aborted";
  readonly outcome: string | null;
  readonly uuid: string | null;
}

export interface StartOptions {
  readonly platform?: string | undefined;
  readonly copies?: number | undefined;
  readonly front?: boolean;
  readonly reason?: string | undefined;
}

/** Queues a job. Throws ClientError. */
export async function startRuns(
  client: Client,
  job: string,
  options: StartOptions,
): Promise<readonly RunAnswer[]> {
  const { platform, copies, front = false, reason } = options;
  const body = {
    ...(platform === undefined ? {} : { platform: platformWord(platform) }),
    ...(copies === undefined ? {} : { copies: copiesOf(copies) }),
    ...(front ? { front } : {}),
    ...(reason === undefined ? {} : { reason }),
  };
  const { runs } = await ask(client, client.api.schedule({ job: jobWord(job) }).start.post(body));
  return runs;
}

/** `robur build start`. Prints the runs' names; with --wait their consoles. */
export async function start(flags: ToHost & StartOptions & { job: string; wait: boolean }): Promise<void> {
  const client = connect(flags.host);
  const runs = await startRuns(client, flags.job, flags);
  if (!flags.wait) return print(runs.map(({ name }) => `${name}\n`).join(""));
  for (const { name } of runs) {
    printError(`${name}\n`);
    await followRun(client, name, { timestamps: false, raw: false });
  }
}

/** `robur build watch`. */
export async function watch(flags: ToHost & ShowLines & { run: string }): Promise<void> {
  await followRun(connect(flags.host), runWord(flags.run), flags);
}

/** `robur build logs`. */
export async function logs(flags: ToHost & ShowLines & { run: string; follow: boolean }): Promise<void> {
  const client = connect(flags.host);
  const name = runWord(flags.run);
  if (flags.follow) return followRun(client, name, flags);
  const show = linePrinter(flags);
  const path = `/api/v1/runs/${encodeURIComponent(name)}/console?raw=${flags.raw}`;
  for (let from = 0; ;) {
    const page = await consolePage(client, `${path}&from=${from}`);
    // A build that came by upload was never a run here.
    if (page === undefined) return printStored(client, name, show);
    for (const line of page.lines) show(line);
    if (page.lines.length === 0) return page.run.state === "queued" ? sayWaiting(client, name) : undefined;
    from = page.next;
  }
}

interface ConsolePage {
  readonly lines: readonly Line[];
  readonly next: number;
  readonly run: RunAnswer;
}

async function consolePage(client: Client, path: string): Promise<ConsolePage | undefined> {
  try {
    return (await (await client.request(path)).json()) as ConsolePage;
  } catch (error) {
    if (error instanceof ClientError && error.code === "missing") return undefined;
    throw error;
  }
}

async function printStored(client: Client, text: string, show: (line: Line) => void): Promise<void> {
  const { build } = await resolveBuild(client, text);
  const response = await client.request(`/job/${encodeURIComponent(build.job)}/build/${build.id}/console`);
  if (response.body !== null) for await (const line of storedLines(response.body)) show(line);
}

/** On standard error: why nothing is to be seen yet. */
async function sayWaiting(client: Client, name: string): Promise<void> {
  const { queues, trouble } = await ask(client, client.api.queue.get());
  for (const { platform, hasWorker, runs } of queues) {
    const place = runs.findIndex((run) => run.name === name || (run.job as string) === name);
    const run = runs[place];
    if (run === undefined) continue;
    const before = place === 0 ? "" : `, ${place} before it on ${platform}`;
    const again = run.notBefore > Date.now() ? `, not before ${formatTime(run.notBefore)}` : "";
    const hint = trouble ?? `robur worker --platform ${platform}`;
    const nobody = hasWorker ? "" : `: nobody builds for ${platform} (${hint})`;
    const why = run.outcome === null ? "" : `: ${run.outcome}`;
    return printError(`${run.name} waits${before}${again}${nobody}${why}\n`);
  }
}

/** One that is handed out at once isn't told of as waiting. */
const SAY_WAITING_MS = 1000;

/** Until it ends; the exit status tells how: 0 for `exited 0`, 1 for all others. */
async function followRun(client: Client, run: string, flags: ShowLines): Promise<void> {
  const path = `/api/v1/runs/${encodeURIComponent(run)}/console/stream?raw=${flags.raw}`;
  const show = linePrinter(flags);
  // It may fail as the stream does, which says so.
  const timer = setTimeout(() => void sayWaiting(client, run).catch(() => undefined), SAY_WAITING_MS);
  try {
    await interruptible(async (signal) => {
      for await (const { event, data } of follow(client, path, { signal, onConnection: sayConnection })) {
        clearTimeout(timer);
        if (event === "line") show(data as Line);
        if (event !== "end") continue;
        const { name, outcome, uuid } = data as RunAnswer;
        printError(`${name}: ${outcome ?? "ended"}${uuid === null ? "" : ` (robur build show ${uuid})`}\n`);
        if (outcome !== "exited 0") process.exitCode = 1;
        return;
      }
      if (signal.aborted) process.exitCode = 130;
    });
  } finally {
    clearTimeout(timer);
  }
}

function sayConnection(isThere: boolean): void {
  printError(isThere ? "robur: connected again\n" : "robur: the server is gone; waiting for it\n");
}

/** `robur build abort`. Prints the runs' names. */
export async function abort(flags: ToHost & { run: readonly string[] }): Promise<void> {
  const client = connect(flags.host);
  for (const run of flags.run) {
    const { name, state } = await ask(client, client.api.runs({ run: runWord(run) }).abort.post());
    print(`${name}\n`);
    if (state === "running") printError(`${name} is told to end\n`);
  }
}
