// Starts tests/orchestrator/server-process.ts, talks to it, and kills it.
import { join } from "node:path";
import type { Command } from "./server-process.ts";

export interface Server {
  readonly pid: number;
  /** Rejects when the server dies first. */
  ask(command: Command): Promise<unknown>;
  /** SIGKILL, and waits for the end. */
  kill(): Promise<void>;
  /** An orderly end. */
  stop(): Promise<void>;
}

export class Died extends Error {}

/** Answers once it has recovered what there is. */
export async function startServer(directory: string): Promise<Server> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "server-process.ts"), directory], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  const { promise: ready, resolve: markReady, reject: failReady } = Promise.withResolvers<void>();
  const read = async () => {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        const answer = JSON.parse(line) as { ready?: boolean; id?: number; value?: unknown; error?: string };
        if (answer.ready) markReady();
        const asked = waiting.get(answer.id ?? -1);
        waiting.delete(answer.id ?? -1);
        if (answer.error === undefined) asked?.resolve(answer.value);
        else asked?.reject(new Error(answer.error));
      }
    }
    for (const { reject } of waiting.values()) reject(new Died("the server died"));
    waiting.clear();
    failReady(new Died("the server died before it was ready"));
  };
  const reading = read();
  await ready;
  let next = 0;
  return {
    pid: child.pid,
    ask(command) {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      const id = next++;
      waiting.set(id, { resolve, reject });
      try {
        void child.stdin.write(`${JSON.stringify({ id, command })}\n`);
        void child.stdin.flush();
      } catch {
        reject(new Died("the server is dead"));
      }
      return promise;
    },
    async kill() {
      child.kill("SIGKILL");
      await child.exited;
      await reading;
    },
    async stop() {
      void child.stdin.write(`${JSON.stringify({ id: -2, command: { do: "shutdown" } })}\n`);
      void child.stdin.flush();
      await child.exited;
      await reading;
    },
  };
}
