/**
 * One thread that draws, one thing after another: what takes a processor for seconds must not take two. It is started
 * by the first task, ended when none came for a while, and given up when one takes too long.
 */
import { RoburError } from "../../lib/errors.ts";
import { workerFile } from "../../lib/worker-file.ts";
import type { DrawingAnswer, DrawingRequest, DrawingTask, ResultOf } from "./messages.ts";

/** The file is at fault, or what is asked can't be done in time. */
export class DrawingError extends RoburError<"unreadable" | "too-slow" | "closed"> {}

const LONGEST_MS = 120_000;
const IDLE_MS = 60_000;

interface Pending {
  readonly resolve: (answer: DrawingAnswer) => void;
  readonly reject: (error: Error) => void;
}

export class DrawingThread implements AsyncDisposable {
  #worker: Worker | undefined;
  #pending: (Pending & { readonly id: number }) | undefined;
  #next = 0;
  #idle: Timer | undefined;
  #isClosed = false;
  /** Settles when the task before has. */
  #turn: Promise<unknown> = Promise.resolve();

  /** Throws DrawingError. */
  draw<T extends DrawingTask>(task: T): Promise<ResultOf[T["kind"]]> {
    const result = this.#turn.then(() => this.#perform(task));
    this.#turn = result.catch(() => undefined);
    return result as Promise<ResultOf[T["kind"]]>;
  }

  async #perform(task: DrawingTask): Promise<ResultOf[DrawingTask["kind"]]> {
    if (this.#isClosed) throw new DrawingError("closed", "the server is stopping");
    clearTimeout(this.#idle);
    const worker = (this.#worker ??= this.#start());
    const id = this.#next++;
    const limit = setTimeout(
      () => this.#giveUp(new DrawingError("too-slow", `it took longer than ${LONGEST_MS / 1000} s`)),
      LONGEST_MS,
    );
    try {
      const answer = await new Promise<DrawingAnswer>((resolve, reject) => {
        this.#pending = { id, resolve, reject };
        worker.ref();
        worker.postMessage({ id, task } satisfies DrawingRequest, []);
      });
      if (answer.ok) return answer.result;
      if (answer.isFault) throw new Error(`the drawing thread failed: ${answer.message}`);
      throw new DrawingError("unreadable", answer.message);
    } finally {
      clearTimeout(limit);
      this.#pending = undefined;
      worker.unref();
      this.#idle = setTimeout(() => void this.#end(), IDLE_MS);
      this.#idle.unref();
    }
  }

  #start(): Worker {
    const worker = new Worker(workerFile("store/visualisations/draw-worker.ts"));
    worker.addEventListener("message", ({ data }: MessageEvent<DrawingAnswer>) => {
      if (this.#pending?.id === data.id) this.#pending.resolve(data);
    });
    worker.addEventListener("error", ({ message }) => {
      if (this.#worker === worker) this.#giveUp(new Error(`the drawing thread failed: ${message}`));
    });
    return worker;
  }

  #giveUp(error: Error): void {
    this.#pending?.reject(error);
    void this.#end();
  }

  async #end(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    clearTimeout(this.#idle);
    await worker?.terminate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#pending?.reject(new DrawingError("closed", "the server is stopping"));
    await this.#turn;
    await this.#end();
  }
}
