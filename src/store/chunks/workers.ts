/**
 * The worker threads of a content store: few, started with the first large content, and ended with the store. A thread
 * keeps the process alive only while it has work.
 */
import { availableParallelism } from "node:os";
import { workerFile } from "../../lib/worker-file.ts";
import { StoreError } from "../store-error.ts";
import type { CheckpointAnswer, CutAnswer, PackAnswer, WorkerAnswer, WorkerRequest } from "./messages.ts";

const MOST = 4;

/** The bytes of one content, on their way through a thread. */
export interface ChunkStream extends Disposable {
  /** Cuts and hashes what comes next. `buffer` is gone, and comes back with the answer. Throws worker-lost. */
  cut(
    buffer: ArrayBuffer,
    length: number,
    more?: { readonly isEnd?: boolean; readonly isStored?: boolean },
  ): Promise<CutAnswer>;
  /** Compresses the chunks of an answer that are needed, by their places in it. Throws worker-lost. */
  pack(of: number, needed: readonly number[]): Promise<readonly Uint8Array[]>;
}

interface Waiting {
  readonly resolve: (answer: WorkerAnswer) => void;
  readonly reject: (error: StoreError) => void;
}

class Thread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  /** Contents that go through it. */
  streams = 0;
  /** Why it can't be used any more. */
  lost: StoreError | undefined;

  constructor() {
    this.#worker = new Worker(workerFile("store/chunks/worker.ts"));
    this.#worker.addEventListener("message", ({ data }: MessageEvent<WorkerAnswer>) => {
      const waiting = this.#waiting.get(data.request);
      this.#waiting.delete(data.request);
      if (this.#waiting.size === 0) this.#worker.unref();
      waiting?.resolve(data);
    });
    this.#worker.addEventListener("error", ({ message }) => this.#fail(message));
    this.#worker.addEventListener("close", () => this.#fail("it ended"));
    this.#worker.unref();
  }

  ask<A extends WorkerAnswer>(
    message: WorkerRequest & { readonly request: number },
    transfer: ArrayBuffer[] = [],
  ): Promise<A> {
    if (this.lost !== undefined) return Promise.reject(this.lost);
    return new Promise((resolve, reject) => {
      if (this.#waiting.size === 0) this.#worker.ref();
      this.#waiting.set(message.request, { resolve: resolve as Waiting["resolve"], reject });
      this.#worker.postMessage(message, transfer);
    });
  }

  tell(message: WorkerRequest): void {
    if (this.lost === undefined) this.#worker.postMessage(message, []);
  }

  #fail(why: string): void {
    this.lost ??= new StoreError("worker-lost", "a worker thread of the store ended", { why });
    for (const { reject } of this.#waiting.values()) reject(this.lost);
    this.#waiting.clear();
  }

  async end(): Promise<void> {
    this.#fail("the store was closed");
    await this.#worker.terminate();
  }
}

export class ChunkWorkers implements AsyncDisposable {
  #threads: Thread[] = [];
  /** Waits for the disk, while the others work. */
  #checkpointer: Thread | undefined;
  #next = 0;
  #isOver = false;

  /** A way through the thread that has the fewest. Throws StoreError closed. */
  stream(): ChunkStream {
    if (this.#isOver) throw new StoreError("closed", "the store is closed");
    const thread = this.#thread();
    const stream = this.#next++;
    thread.streams += 1;
    let isOver = false;
    return {
      cut: (buffer, length, { isEnd = false, isStored = false } = {}) =>
        thread.ask<CutAnswer>(
          { kind: "cut", request: this.#next++, stream, buffer, length, isEnd, isStored },
          [buffer],
        ),
      pack: async (of, needed) => {
        const request = this.#next++;
        return (await thread.ask<PackAnswer>({ kind: "pack", request, stream, of, needed })).packed;
      },
      [Symbol.dispose]: () => {
        if (isOver) return;
        isOver = true;
        thread.streams -= 1;
        thread.tell({ kind: "drop", stream });
      },
    };
  }

  /** Writes a database's log back. Throws StoreError worker-lost, also for what SQLite says. */
  async checkpoint(path: string): Promise<void> {
    if (this.#isOver) throw new StoreError("closed", "the store is closed");
    if (this.#checkpointer === undefined || this.#checkpointer.lost !== undefined) {
      this.#checkpointer = new Thread();
    }
    const request = this.#next++;
    await this.#checkpointer.ask<CheckpointAnswer>({ kind: "checkpoint", request, path });
  }

  #thread(): Thread {
    this.#threads = this.#threads.filter(({ lost }) => lost === undefined);
    const idlest = this.#threads.toSorted((a, b) => a.streams - b.streams)[0];
    const most = Math.min(MOST, availableParallelism());
    if (idlest !== undefined && (idlest.streams === 0 || this.#threads.length >= most)) return idlest;
    const thread = new Thread();
    this.#threads.push(thread);
    return thread;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await Promise.all([...this.#threads, this.#checkpointer].map((thread) => thread?.end()));
  }
}
