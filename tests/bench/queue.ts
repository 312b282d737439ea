// What the queue costs with 5,000 jobs waiting: each operation on it, in milliseconds; and how long it is from a job
// being queued to its first console line, with a worker that waits and no sandbox, through the compiled server.
import { openDatabase } from "../../src/db/open.ts";
import type { JobName, Platform } from "../../src/builds/api.ts";
import { DEFAULT_SETTINGS } from "../../src/builds/schedule/settings.ts";
import { openBuildService } from "../../src/builds/service.ts";
import { BuildServer } from "../builds/build-server.ts";
import { FakeStore } from "../builds/fake-store.ts";
import { temporaryDirectory, until } from "../robur.ts";

const WAITING = 5000;
const ROUNDS = 100;
const LIMIT_MS = 5;
const FIRST_LINE_MS = 300;
const PLATFORM = "debian-12" as Platform;

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

async function measureOperations(): Promise<Map<string, number>> {
  const store = new FakeStore();
  await using service = openBuildService({
    ...{
      db: openDatabase(`${temporaryDirectory()}/robur.db`),
      contents: store.contents,
      builds: store.builds,
    },
    ...{ templates: () => "", report: console.error },
  });
  const settings = {
    ...DEFAULT_SETTINGS,
    work: { kind: "script" as const, script: "true\n" },
    platforms: [PLATFORM],
  };
  const name = (i: number) => `job-${i}` as JobName;
  const queue = (i: number, place: "front" | "back" = "back") =>
    service.dispatch({
      ...{ kind: "start", name: name(i), platform: undefined, reason: "bench", place, priority: 0 },
      ...{ copies: undefined, mayMove: true },
    });
  for (let i = 0; i < WAITING + ROUNDS; i++) {
    service.dispatch({ kind: "define", name: name(i), settings, isNew: true });
    if (i < WAITING) queue(i);
  }
  const signal = new AbortController().signal;
  const worker = { name: "w", platforms: [PLATFORM], link: "http" as const, address: "" };
  const operations: readonly [string, (i: number) => unknown][] = [
    ["queue one", (i) => queue(WAITING + i)],
    ["queue one that waits, to the front", (i) => queue(i * 7, "front")],
    ["find one", (i) => service.findRun(`job-${i}:1`)],
    ["move one", (i) => service.move(service.findRun(`job-${i * 3 + 1}:1`)!, "back")],
    ["hand one out", () => service.desk.take(worker, { waitMs: 0, signal })],
    ["abort one", (i) => service.abort(service.findRun(`job-${4000 + i}:1`)!, "bench")],
    ["list 100", () => service.runs({ limit: 100 })],
    ["tick", () => service.tick()],
  ];
  const found = new Map<string, number>();
  for (const [what, operation] of operations) {
    const times: number[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      const start = performance.now();
      await operation(i);
      times.push(performance.now() - start);
    }
    found.set(what, median(times));
  }
  return found;
}

async function measureFirstLine(): Promise<number> {
  await using server = new BuildServer();
  await server.up();
  await server.job("quick", "echo begun; sleep 0.2");
  const times: number[] = [];
  for (let i = 0; i < 12; i++) {
    await until("a worker waits", async () => {
      const { workers } = await server.json<{ workers: { state: string }[] }>("/api/v1/workers");
      return i === 0 || workers.some(({ state }) => state === "waiting");
    });
    const start = performance.now();
    const response = await fetch("http://localhost/api/v1/schedule/quick/start", {
      ...{ method: "POST", body: "{}", headers: { "content-type": "application/json" } },
      unix: server.host.slice("unix://".length),
    } as RequestInit);
    const { runs } = (await response.json()) as { runs: { name: string }[] };
    await server.untilRun(runs[0]!.name, "has a line", ({ lines }) => lines > 0);
    times.push(performance.now() - start);
    await server.untilEnd(runs[0]!.name);
  }
  // The first has the worker's own start in it.
  return median(times.slice(1));
}

const operations = await measureOperations();
const firstLine = await measureFirstLine();
const { rss } = process.memoryUsage();
console.log(`${WAITING} jobs waiting, median of ${ROUNDS}`);
for (const [what, ms] of operations) console.log(`${what.padEnd(40)} ${ms.toFixed(2).padStart(8)} ms`);
console.log(`${"queued to first line".padEnd(40)} ${firstLine.toFixed(1).padStart(8)} ms`);
console.log(`${"this process".padEnd(40)} ${(rss / 1e6).toFixed(0).padStart(8)} MB`);
const tooSlow = [...operations].filter(([, ms]) => ms > LIMIT_MS).map(([what]) => what);
if (firstLine > FIRST_LINE_MS) tooSlow.push("queued to first line");
if (tooSlow.length > 0) console.error(`slower than wanted: ${tooSlow.join(", ")}`);
process.exit(tooSlow.length === 0 ? 0 : 1);
