/** A hundred watchers of one console, of which some stall: each sees every line once, and the server holds little. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { until } from "../robur.ts";
import { BuildServer } from "./build-server.ts";

const WATCHERS = 100;
const STALLED = 40;
const LINES = 20_000;
const SCRIPT = `i=0; while [ $i -lt 100 ]; do yes 'a line of a console that is as long as lines of consoles are, about' | head -n ${LINES / 100}; i=$((i+1)); done`;
/** Lines as objects for each watcher, as they were made once, took ten times as much. */
const HELD_MAX_KB = 400_000;

const server = new BuildServer();
beforeAll(() => server.up(), 60_000);
afterAll(() => server[Symbol.asyncDispose]());

/** Follows the stream, from when it may; answers what came, as the numbers of lines. */
async function watch(run: string, may: Promise<unknown>): Promise<number[]> {
  const { promise, resolve, reject } = Promise.withResolvers<number[]>();
  const socket = connect({ path: server.host.slice("unix://".length) });
  socket.pause();
  socket.write(`GET /api/v1/runs/${run}/console/stream HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  const seen: number[] = [];
  let rest = "";
  socket.on("data", (bytes: Buffer) => {
    const parts = (rest + bytes.toString("latin1")).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) {
      const [, id] = /^id: (\d+)\r?$/.exec(part) ?? [];
      if (id !== undefined) seen.push(Number(id));
      if (!part.startsWith("event: end")) continue;
      resolve(seen);
      socket.destroy();
    }
  });
  socket.on("error", reject);
  socket.on("close", () => resolve(seen));
  await may;
  socket.resume();
  return promise;
}

function highestMemory(pid: number): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]);
}

test("a hundred watchers see each line once and in order, also those that stall", async () => {
  await server.job("loud", SCRIPT);
  const before = highestMemory(server.pid);
  const name = await server.startJob("loud");
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const stalled = Array.from({ length: STALLED }, () => watch(name, released));
  const all = Array.from({ length: WATCHERS - STALLED }, () => watch(name, Promise.resolve()));
  const wanted = Array.from({ length: LINES }, (_, i) => i);
  for (const seen of await Promise.all(all)) expect(seen).toEqual(wanted);
  await until("it has ended", async () => (await server.run(name)).state === "finished");
  release();
  for (const seen of await Promise.all(stalled)) expect(seen).toEqual(wanted);
  expect(highestMemory(server.pid) - before).toBeLessThan(HELD_MAX_KB);
}, 120_000);
