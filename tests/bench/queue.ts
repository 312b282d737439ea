// What the queue costs with 5,000 jobs waiting: each operation on it, in milliseconds; what 5,000 builds do to the
// memory; and how long it is from a job being queued to its first console line, with a worker that waits, through the
// compiled server: without a sandbox, and as root in one whose root file system is there.
import { openDatabase } from "../../src/db/open.ts";
import type { JobName, Platform } from "../../src/builds/api.ts";
import { DEFAULT_SETTINGS } from "../../src/builds/schedule/settings.ts";
import { openBuildService } from "../../src/builds/service.ts";
import { BuildServer } from "../builds/build-server.ts";
import { FakeStore } from "../builds/fake-store.ts";
import { makeSmallRoot } from "../builds/small-root.ts";
import { temporaryDirectory, until } from "../robur.ts";

const WAITING = 5000;
const ROUNDS = 100;
const LIMIT_MS = 5;
const FIRST_LINE_MS = 300;
const GROWTH_MB = 20;
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
    ["move one to the front", (i) => service.move(service.findRun(`job-${i * 3 + 2}:1`)!, "front")],
    ["how many are before one", (i) => service.before(service.findRun(`job-${i * 3 + 2}:1`)!)],
    ["the first 50", () => service.queue(PLATFORM, 50)],
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

/** Megabytes of this process when so many builds were made, each with some lines. */
async function measureMemory(): Promise<{ readonly builds: number; readonly megabytes: number }[]> {
  const store = new FakeStore();
  await using service = openBuildService({
    ...{ db: openDatabase(`${temporaryDirectory()}/robur.db`), contents: store.contents },
    // What is built is the store's to keep.
    builds: { add: () => Promise.resolve({ ok: true, build: {} }), build: () => undefined } as never,
    ...{ templates: () => "", report: console.error },
  });
  const settings = {
    ...DEFAULT_SETTINGS,
    work: { kind: "script" as const, script: "true\n" },
    ...{ platforms: [PLATFORM], recurrence: { kind: "never" as const } },
  };
  for (let i = 0; i < WAITING; i++) {
    service.dispatch({ kind: "schedule", name: `job-${i}` as JobName, settings });
  }
  const worker = { name: "w", platforms: [PLATFORM], link: "http" as const, address: "" };
  const { signal } = new AbortController();
  const lines = Array.from({ length: 20 }, (_, i) => ({ delta: BigInt(i), text: new Uint8Array(80) }));
  const found: { builds: number; megabytes: number }[] = [];
  for (let builds = 1; builds <= WAITING; builds++) {
    const { uuid } = (await service.desk.take(worker, { waitMs: 0, signal }))!;
    service.desk.append(uuid, 0, lines);
    await service.desk.finish(uuid, { kind: "exited", code: 0 }, []);
    if (builds % (WAITING / 5) !== 0) continue;
    Bun.gc(true);
    found.push({ builds, megabytes: process.memoryUsage().rss / 1e6 });
  }
  return found;
}

/** Undefined: why there is no sandbox. */
async function measureFirstLine(isSandboxed: boolean): Promise<number | string> {
  await using server = new BuildServer({ isSandboxed });
  const why = isSandboxed ? await makeSmallRoot(server.directory, "here") : undefined;
  if (why !== undefined) return why;
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
const memory = await measureMemory();
const firstLines = [
  ["queued to first line, no sandbox", await measureFirstLine(false)],
  ["queued to first line, in a sandbox", await measureFirstLine(true)],
] as const;
console.log(`${WAITING} jobs waiting, median of ${ROUNDS}`);
for (const [what, ms] of operations) console.log(`${what.padEnd(40)} ${ms.toFixed(2).padStart(8)} ms`);
for (const [what, ms] of firstLines) {
  console.log(`${what.padEnd(40)} ${typeof ms === "string" ? ms : `${ms.toFixed(1).padStart(8)} ms`}`);
}
for (const { builds, megabytes } of memory) {
  console.log(`${`memory after ${builds} builds`.padEnd(40)} ${megabytes.toFixed(0).padStart(8)} MB`);
}
const tooSlow = [...operations].filter(([, ms]) => ms > LIMIT_MS).map(([what]) => what);
for (const [what, ms] of firstLines) if (typeof ms === "number" && ms > FIRST_LINE_MS) tooSlow.push(what);
const growth = memory.at(-1)!.megabytes - memory[0]!.megabytes;
if (growth > GROWTH_MB) tooSlow.push(`memory: ${growth.toFixed(0)} MB more`);
if (tooSlow.length > 0) console.error(`not as wanted: ${tooSlow.join(", ")}`);
process.exit(tooSlow.length === 0 ? 0 : 1);
