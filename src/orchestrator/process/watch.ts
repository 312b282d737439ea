/**
 * Processes that are supervised though they are nobody's children here, because another server started them. The
 * kernel tells by a descriptor when one ends, and newer kernels also how.
 */
import { constants } from "node:os";
import { close } from "../../linux/libc.ts";
import type { Exit } from "../api.ts";
import { lookAt, zombieStatus } from "./identity.ts";
import { endedProcesses, exitStatusOf, openProcess, signalProcess } from "./kernel-calls.ts";

/** A process that can be told to end, and tells when it has. */
export interface WatchedProcess {
  readonly pid: number;
  signal(signal: "SIGTERM" | "SIGKILL"): void;
  readonly ended: Promise<Exit>;
}

const SIGNAL_NAMES = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));
/** How often adopted processes are looked at, all in one system call. */
const INTERVAL_MS = 100;

/** An exit as wait(2) encodes it. */
export function exitOf(status: number | undefined): Exit {
  if (status === undefined) return { kind: "unknown" };
  const signal = status & 0x7f;
  if (signal === 0) return { kind: "status", status: (status >> 8) & 0xff };
  return { kind: "signal", signal: signalName(signal) };
}

/** `SIGTERM`, or `signal 40`. */
export function signalName(signal: number): string {
  const name = SIGNAL_NAMES.get(signal);
  return name === "SIGIOT" ? "SIGABRT" : (name ?? `signal ${signal}`);
}

interface Adopted {
  readonly pid: number;
  readonly startTicks: number;
  /** Undefined on a kernel before 5.3. */
  readonly pidfd: number | undefined;
  readonly done: (exit: Exit) => void;
}

/** Watches any number of processes with one timer, which runs only while there are some. */
export class ProcessWatch implements Disposable {
  readonly #adopted = new Set<Adopted>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** A living process of that start time; undefined when it has ended meanwhile. */
  adopt(pid: number, startTicks: number): WatchedProcess | undefined {
    const opened = openProcess(pid);
    const pidfd = opened < 0 ? undefined : opened;
    // Only now, with the descriptor in hand, is it certain whose it is.
    if (lookAt(pid)?.startTicks !== startTicks) {
      if (pidfd !== undefined) close(pidfd);
      return undefined;
    }
    const { promise, resolve } = Promise.withResolvers<Exit>();
    const adopted: Adopted = { pid, startTicks, pidfd, done: resolve };
    this.#adopted.add(adopted);
    this.#timer ??= setInterval(() => this.#look(), INTERVAL_MS);
    return {
      pid,
      ended: promise,
      signal: (signal) => {
        if (!this.#adopted.has(adopted)) return;
        const number = constants.signals[signal];
        if (pidfd !== undefined) signalProcess(pidfd, number);
        else if (lookAt(pid)?.startTicks === startTicks) process.kill(pid, signal);
      },
    };
  }

  #look(): void {
    const withDescriptor = [...this.#adopted].flatMap(({ pidfd }) => (pidfd === undefined ? [] : [pidfd]));
    const ended = new Set(withDescriptor.length === 0 ? [] : endedProcesses(withDescriptor));
    for (const adopted of this.#adopted) {
      const { pid, pidfd, startTicks } = adopted;
      const isOver = pidfd === undefined ? lookAt(pid)?.startTicks !== startTicks : ended.has(pidfd);
      if (isOver) this.#finish(adopted);
    }
  }

  #finish(adopted: Adopted): void {
    this.#adopted.delete(adopted);
    // Whoever is its parent now may have taken note of its end already, or may not.
    const status =
      zombieStatus(adopted.pid) ?? (adopted.pidfd === undefined ? undefined : exitStatusOf(adopted.pidfd));
    if (adopted.pidfd !== undefined) close(adopted.pidfd);
    if (this.#adopted.size === 0) this.#stop();
    adopted.done(exitOf(status));
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Looks no more; the processes go on, and their promises stay open. */
  [Symbol.dispose](): void {
    this.#stop();
    for (const { pidfd } of this.#adopted) if (pidfd !== undefined) close(pidfd);
    this.#adopted.clear();
  }
}
