/** One worker: asks for a job, runs it, says what became of it, and asks again. */
import type { Assignment, BuildId } from "../api.ts";
import type { SentLine } from "../runs/console.ts";
import type { Sandboxes } from "../sandbox/api.ts";
import { type JobEnd, type RunJobOptions, runJob } from "./run-job.ts";
import { type ServerLink, WorkerError } from "./server-link.ts";

export interface WorkOptions {
  readonly link: ServerLink;
  readonly sandboxes: Sandboxes;
  readonly name: string;
  readonly platforms: readonly string[];
  /** Ends after one job. */
  readonly isOnce: boolean;
  /** Aborted: no further job is asked for; one that runs goes on. */
  readonly stop: AbortSignal;
  /** Aborted: a job that runs is ended. */
  readonly abort: AbortSignal;
  /** Asked between two jobs. */
  readonly mayGoOn?: () => boolean;
  readonly say: (text: string) => void;
  /** How long the sandbox of a job that failed stays for a shell; 0: not at all. Default: a day. */
  readonly keepFailedMs?: number | undefined;
  /** As for runJob. */
  readonly onPreparing?: RunJobOptions["onPreparing"];
}

const GIVEN_UP = "the server gave this attempt up";
const KEEP_FAILED_MS = 24 * 3_600_000;
/** Between two looks for what is kept too long. */
const SWEEP_MS = 15 * 60_000;

/** Works until it is to stop. Throws WorkerError. Answers how many jobs were done. */
export async function work(options: WorkOptions): Promise<number> {
  const { link, sandboxes, name, platforms, isOnce, stop, mayGoOn = () => true } = options;
  const { keepFailedMs = KEEP_FAILED_MS } = options;
  await sandboxes.sweep(keepFailedMs);
  let swept = performance.now();
  let count = 0;
  const instance = crypto.randomUUID();
  // One ticket for each job: a request whose answer was lost is answered with the same job.
  for (let ticket: string = crypto.randomUUID(); !stop.aborted && mayGoOn();) {
    let assignment: Assignment | undefined;
    try {
      assignment = await link.take({ name, instance, platforms, ticket }, stop);
    } catch (error) {
      if (stop.aborted) break;
      throw error;
    }
    if (performance.now() - swept > SWEEP_MS && assignment === undefined) {
      await sandboxes.sweep(keepFailedMs);
      swept = performance.now();
    }
    if (assignment === undefined) continue;
    ticket = crypto.randomUUID();
    await perform(assignment, options);
    count += 1;
    if (isOnce) break;
  }
  return count;
}

async function perform(
  assignment: Assignment,
  { link, sandboxes, abort, say, onPreparing, keepFailedMs }: WorkOptions,
): Promise<void> {
  const { uuid, job, platform } = assignment;
  say(`${job} on ${platform} (${uuid})`);
  const ending = new AbortController();
  const console_ = new ConsoleSender(link, uuid, (why) => ending.abort(why));
  const options: RunJobOptions = {
    ...{ sandboxes, onPreparing, keepsFailed: keepFailedMs !== 0 },
    write: (lines) => console_.write(lines),
    signal: AbortSignal.any([ending.signal, abort]),
  };
  try {
    await runJob(assignment, options, async (end) => {
      await console_.end();
      if (console_.isStale) return say(`${job}: ${console_.failure?.message ?? GIVEN_UP}`);
      const said = await keepingAlive(console_, () => finish(link, uuid, end));
      say(`${job}: ${said === "stale" ? GIVEN_UP : describe(end.result)}`);
    });
  } finally {
    console_.stop();
  }
}

/** Says how it ended. What the server can't take of its output would be no better the next time: it is told so. */
async function finish(link: ServerLink, uuid: BuildId, end: JobEnd): Promise<"done" | "stale"> {
  try {
    return await link.finish(uuid, end);
  } catch (error) {
    if (!(error instanceof WorkerError) || error.code !== "refused") throw error;
    const text = `its output was refused: ${error.message}`.slice(0, 1000);
    return link.finish(uuid, { ...end, result: { kind: "message", text }, files: [] });
  }
}

function describe(result: { readonly kind: string; readonly code?: number; readonly text?: string }): string {
  return result.kind === "exited" ? `exited ${result.code}` : (result.text ?? result.kind);
}

/** While a large build is being sent, and taken, the server hears of its worker. */
async function keepingAlive<T>(sender: ConsoleSender, action: () => Promise<T>): Promise<T> {
  const done = new AbortController();
  const beats = async () => {
    while (!done.signal.aborted) {
      await Bun.sleep(HEARTBEAT_MS);
      // One at a time, however long it takes.
      if (!done.signal.aborted) await sender.beat();
    }
  };
  void beats();
  try {
    return await action();
  } finally {
    done.abort();
  }
}

/** Lines are sent when so many bytes of them are there, or so long after the first. */
const BATCH_BYTES = 64 * 1024;
const BATCH_MS = 250;
const FIRST_BATCH_MS = 10;
/** The job waits when so much isn't acknowledged: memory is bounded also while the server is away. */
const PENDING_MAX = 8 * 1024 * 1024;
const HEARTBEAT_MS = 1000;
/** Per request. */
const REQUEST_MAX = 1024 * 1024;

/** Sends console lines in order, some together, and hears from the server what it wants. */
class ConsoleSender {
  readonly #link: ServerLink;
  readonly #uuid: BuildId;
  readonly #onAbort: (why: unknown) => void;
  #pending: SentLine[] = [];
  #pendingBytes = 0;
  #acknowledged = 0;
  #isEnding = false;
  #isOver = false;
  isStale = false;
  /** Why nothing more is sent, where it wasn't the server's decision. */
  failure: WorkerError | undefined;
  #wake: (() => void) | undefined;
  #room: (() => void)[] = [];
  readonly #loop: Promise<void>;

  constructor(link: ServerLink, uuid: BuildId, onAbort: (why: unknown) => void) {
    this.#link = link;
    this.#uuid = uuid;
    this.#onAbort = onAbort;
    this.#loop = this.#run().catch((error: unknown) => {
      // A server that stays away has given the job to somebody else by now.
      if (!(error instanceof WorkerError)) throw error;
      this.isStale = true;
      this.failure = error;
      this.#onAbort(error);
      this.#makeRoom();
    });
  }

  async write(lines: readonly SentLine[]): Promise<void> {
    if (this.isStale) return;
    for (const line of lines) {
      this.#pending.push(line);
      this.#pendingBytes += line.text.length + 12;
    }
    if (this.#pendingBytes >= BATCH_BYTES || this.#pending.length === lines.length) this.#wake?.();
    if (this.#pendingBytes < PENDING_MAX) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#room.push(resolve);
    await promise;
  }

  /** Resolves when all lines are acknowledged, or won't be. */
  async end(): Promise<void> {
    this.#isEnding = true;
    this.#wake?.();
    await this.#loop;
  }

  stop(): void {
    this.#isEnding = true;
    this.#isOver = true;
    this.#wake?.();
  }

  async beat(): Promise<void> {
    try {
      await this.#link.append(this.#uuid, this.#acknowledged, []);
    } catch (error) {
      if (!(error instanceof WorkerError)) throw error;
    }
  }

  async #run(): Promise<void> {
    while (!this.#isOver && !this.isStale) {
      if (this.#pending.length === 0) {
        if (this.#isEnding) return;
        await this.#sleep(HEARTBEAT_MS);
      }
      if (this.#isOver) return;
      if (!this.#isEnding && this.#pending.length > 0 && this.#pendingBytes < BATCH_BYTES) {
        await this.#sleep(this.#acknowledged === 0 ? FIRST_BATCH_MS : BATCH_MS);
      }
      await this.#send();
    }
  }

  async #send(): Promise<void> {
    const batch: SentLine[] = [];
    let bytes = 0;
    for (const line of this.#pending) {
      if (batch.length > 0 && bytes + line.text.length > REQUEST_MAX) break;
      batch.push(line);
      bytes += line.text.length + 12;
    }
    const answer = await this.#link.append(this.#uuid, this.#acknowledged, batch);
    if (answer === "stale") {
      this.isStale = true;
      this.#onAbort("stale");
      return this.#makeRoom();
    }
    const count = Math.max(0, Math.min(batch.length, answer.taken - this.#acknowledged));
    for (const { text } of this.#pending.splice(0, count)) this.#pendingBytes -= text.length + 12;
    this.#acknowledged += count;
    this.#makeRoom();
    if (answer.abort !== null) this.#onAbort(answer.abort);
  }

  #makeRoom(): void {
    for (const resolve of this.#room.splice(0)) resolve();
  }

  async #sleep(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
    this.#wake = undefined;
  }
}
