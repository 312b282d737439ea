/**
 * The workers of this machine: processes of their own, so that what a job does to its worker it doesn't do to the
 * server. They have sessions of their own and outlive a server: one that builds goes on and finds the next server,
 * whose own worker for that slot waits until it has ended.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { selfCommand } from "../lib/self.ts";
import { readSmallFile } from "../linux/libc.ts";

export interface LocalWorkersOptions {
  readonly count: number;
  /** Arguments of `robur worker` beside the slot. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** A worker's process ended: what it was doing is lost. */
  readonly onEnd: (name: string) => void;
  readonly report: (text: string) => void;
}

const FIRST_PAUSE_MS = 500;
const LAST_PAUSE_MS = 60_000;
/** Who lived for so long was no bad start. */
const STEADY_MS = 30_000;
const STOP_WAIT_MS = 1000;

/** A worker's name, which says which process it is. */
export function localWorkerName(slot: number, pid: number): string {
  return `local-${slot}-${pid}`;
}

/** The process that such a name is of; undefined for other names. */
export function localWorkerPid(name: string): number | undefined {
  const pid = /^local-\d{1,3}-(\d{1,9})$/.exec(name)?.[1];
  return pid === undefined ? undefined : Number(pid);
}

/** Whether there is a process of that number. */
export function isProcess(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as { code?: string }).code !== "ESRCH";
  }
}

const TROUBLE = /^slot-\d{1,3}\.trouble$/;

/** A worker of this machine says why it can't work, or that it can: whoever waits for it isn't to read a log. */
export function noteTrouble(dataDirectory: string, slot: number, why: string | undefined): void {
  const directory = join(dataDirectory, "workers");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, `slot-${slot}.trouble`);
  if (why === undefined) rmSync(path, { force: true });
  else writeFileSync(path, why, { mode: 0o600 });
}

/** Why the workers of this machine can't work; undefined where nothing is known of that. */
export function readTrouble(dataDirectory: string): string | undefined {
  const directory = join(dataDirectory, "workers");
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return undefined;
    throw error;
  }
  const name = names.find((name) => TROUBLE.test(name));
  return name === undefined ? undefined : readSmallFile(join(directory, name));
}

export class LocalWorkers implements AsyncDisposable {
  readonly #options: LocalWorkersOptions;
  readonly #children = new Map<number, Bun.Subprocess>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #isStarted = false;
  #isStopping = false;

  constructor(options: LocalWorkersOptions) {
    this.#options = options;
  }

  /** Starts them, the first time: a server without jobs needs none. */
  start(): void {
    if (this.#isStarted || this.#isStopping) return;
    this.#isStarted = true;
    for (let slot = 1; slot <= this.#options.count; slot++) this.#spawn(slot, FIRST_PAUSE_MS);
  }

  #spawn(slot: number, pause: number): void {
    const { args, environment, onEnd, report } = this.#options;
    const began = performance.now();
    const own = ["--slot", String(slot), "--parent", String(process.pid)];
    const child = Bun.spawn([...selfCommand(), "worker", ...own, ...args], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "inherit",
      detached: true,
      env: environment as Record<string, string>,
    });
    child.unref();
    this.#children.set(slot, child);
    void child.exited.then((code) => {
      if (this.#isStopping) return undefined;
      onEnd(localWorkerName(slot, child.pid));
      const wasSteady = performance.now() - began > STEADY_MS;
      const next = wasSteady ? FIRST_PAUSE_MS : Math.min(LAST_PAUSE_MS, pause * 2);
      report(`worker ${slot} ended (${child.signalCode ?? code}); another is started`);
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        if (!this.#isStopping) this.#spawn(slot, next);
      }, pause);
      this.#timers.add(timer);
      return undefined;
    });
  }

  /** Those that wait end; those that build go on, and end afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    for (const timer of this.#timers) clearTimeout(timer);
    const children = [...this.#children.values()];
    for (const child of children) child.kill("SIGTERM");
    await Promise.race([Promise.all(children.map(({ exited }) => exited)), Bun.sleep(STOP_WAIT_MS)]);
  }
}
