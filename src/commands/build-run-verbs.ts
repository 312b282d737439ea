/** What `robur build` does with builds that wait and run. */
import { print, printError } from "../linux/libc.ts";
import { resolveBuild } from "./client/builds.ts";
import { ClientError } from "./client/client-error.ts";
import { type Client, ask, connect } from "./client/connect.ts";
import { follow } from "./client/event-source.ts";
import { interruptible } from "./long-work.ts";

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

interface Line {
  readonly index: number;
  readonly seconds: number;
  readonly text: string;
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
    ...(platform === undefined ? {} : { platform }),
    ...(copies === undefined ? {} : { copies }),
    ...(front ? { front } : {}),
    ...(reason === undefined ? {} : { reason }),
  };
  const { runs } = await ask(client, client.api.schedule({ job }).start.post(body));
  return runs;
}

/** `robur build start`. Prints the runs' names; with --wait their consoles. */
export async function start(flags: ToHost & StartOptions & { job: string; wait: boolean }): Promise<void> {
  const client = connect(flags.host);
  const runs = await startRuns(client, flags.job, flags);
  if (!flags.wait) return print(runs.map(({ name }) => `${name}\n`).join(""));
  for (const { name } of runs) {
    printError(`${name}\n`);
    await followRun(client, name, false);
  }
}

/** `robur build watch`. */
export async function watch(flags: ToHost & { run: string }): Promise<void> {
  await followRun(connect(flags.host), flags.run, false);
}

/** `robur build logs`. */
export async function logs(
  flags: ToHost & { run: string; follow: boolean; timestamps: boolean },
): Promise<void> {
  const client = connect(flags.host);
  if (flags.follow) return followRun(client, flags.run, flags.timestamps);
  const path = `/api/v1/runs/${encodeURIComponent(flags.run)}/console`;
  for (let from = 0; ;) {
    const page = await consolePage(client, `${path}?from=${from}`);
    // A build that came by upload was never a run here.
    if (page === undefined) return printStored(client, flags.run, flags.timestamps);
    for (const line of page.lines) printLine(line, flags.timestamps);
    if (page.lines.length === 0) return;
    from = page.next;
  }
}

async function consolePage(
  client: Client,
  path: string,
): Promise<{ lines: readonly Line[]; next: number } | undefined> {
  try {
    return (await (await client.request(path)).json()) as { lines: readonly Line[]; next: number };
  } catch (error) {
    if (error instanceof ClientError && error.code === "missing") return undefined;
    throw error;
  }
}

async function printStored(client: Client, text: string, timestamps: boolean): Promise<void> {
  const { build } = await resolveBuild(client, text);
  const response = await client.request(`/job/${encodeURIComponent(build.job)}/build/${build.id}/console`);
  const decoder = new TextDecoder();
  let rest = "";
  for await (const piece of response.body ?? []) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    print(lines.map((line) => `${timestamps ? line : line.replace(/^\d+\.\d{3}s:/, "")}\n`).join(""));
  }
}

function printLine({ seconds, text }: Line, timestamps: boolean): void {
  print(timestamps ? `${seconds.toFixed(3).padStart(9)}s ${text}\n` : `${text}\n`);
}

/** Until it ends; the exit status tells how: 0 for `exited 0`, 1 for all others. */
async function followRun(client: Client, run: string, timestamps: boolean): Promise<void> {
  const path = `/api/v1/runs/${encodeURIComponent(run)}/console/stream`;
  await interruptible(async (signal) => {
    for await (const { event, data } of follow(client, path, { signal })) {
      if (event === "line") printLine(data as Line, timestamps);
      if (event !== "end") continue;
      const { name, outcome, uuid } = data as RunAnswer;
      printError(`${name}: ${outcome ?? "ended"}${uuid === null ? "" : ` (robur build show ${uuid})`}\n`);
      if (outcome !== "exited 0") process.exitCode = 1;
      return;
    }
    if (signal.aborted) process.exitCode = 130;
  });
}

/** `robur build abort`. Prints the runs' names. */
export async function abort(flags: ToHost & { run: readonly string[] }): Promise<void> {
  const client = connect(flags.host);
  for (const run of flags.run) {
    const { name, state } = await ask(client, client.api.runs({ run }).abort.post());
    print(`${name}\n`);
    if (state === "running") printError(`${name} is told to end\n`);
  }
}
