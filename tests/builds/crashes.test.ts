/**
 * kill -9 of server and workers at random moments from before a run is queued until after it has ended, with real
 * sandboxes: each run that was accepted succeeds once, its console is whole, and in the end no sandbox, mount, loop
 * device, control group or process is left. ROBUR_CRASHES says how often (default 6), ROBUR_CRASH_SEED which moments.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { groupFamily, groupNamed } from "../../src/linux/control-groups.ts";
import { readSmallFile } from "../../src/linux/libc.ts";
import { GROUP_FAMILY } from "../../src/builds/sandbox/layout.ts";
import { sha256Of } from "../../src/lib/sha256-of.ts";
import { lacks } from "../needs.ts";
import { until } from "../robur.ts";
import { BuildServer } from "./build-server.ts";
import { makeSmallRoot } from "./small-root.ts";

const CRASHES = Number(process.env["ROBUR_CRASHES"] ?? 6);
const SEED = Number(process.env["ROBUR_CRASH_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const VICTIMS = ["server", "worker", "server and worker"] as const;
const LINES = 20;
/** All that a job starts has it in its environment. */
const TOKEN = `crash-${SEED}-${process.pid}`;
const SCRIPT = `export TOKEN=${TOKEN}; sleep 1000 & i=1; while [ $i -le ${LINES} ]; do echo line $i; sleep 0.02; i=$((i+1)); done; mkdir bin; seq 200000 > bin/out`;
const EXPECTED = Array.from({ length: LINES }, (_, i) => `line ${i + 1}`);
const OUTPUT = sha256Of(
  new TextEncoder().encode(Array.from({ length: 200_000 }, (_, i) => `${i + 1}\n`).join("")),
);
const LIMITS = ["--disk", "64M", "--memory", "256M", "--processes", "50", "--timeout", "1m"];

const server = new BuildServer({ isSandboxed: true });
const random = randomNumbers(SEED);
const skip = lacks(await makeSmallRoot(server.directory, "here"));
/** Sandboxes that were ever seen. */
const known = new Set<string>();

/** mulberry32: the same numbers for the same seed, in [0, 1). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function lookForSandboxes(): string[] {
  const path = join(server.directory, "sandboxes");
  const found = existsSync(path) ? readdirSync(path).filter((name) => !name.startsWith("tools-")) : [];
  for (const name of found) known.add(name);
  return found;
}

/** Everything that may be left of a sandbox. */
function remains(): string[] {
  const family = groupFamily(GROUP_FAMILY);
  const groups = [...known].filter(
    (id) =>
      family !== undefined &&
      Object.values(groupNamed(family, id).directories).some(
        (path) => path !== undefined && existsSync(path),
      ),
  );
  const processes = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      const text = `${readSmallFile(`/proc/${pid}/environ`) ?? ""} ${readSmallFile(`/proc/${pid}/cmdline`) ?? ""}`;
      return text.includes(`TOKEN=${TOKEN}`) || text.includes(join(server.directory, "sandboxes"));
    });
  const mounts = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(server.directory));
  const loops = readdirSync("/sys/block")
    .map((name) => readSmallFile(`/sys/block/${name}/loop/backing_file`) ?? "")
    .filter((file) => file.includes(server.directory));
  return [
    ...lookForSandboxes().map((id) => `sandbox ${id}`),
    ...groups.map((id) => `control group ${id}`),
    ...processes.map((pid) => `process ${pid}`),
    ...mounts.map((line) => `mount ${line}`),
    ...loops.map((file) => `loop device ${file}`),
  ];
}

interface BuildJson {
  readonly id: string;
  readonly result: { readonly kind: string; readonly code?: number };
  readonly artifacts?: readonly { readonly path: string; readonly sha256: string }[];
}

describe.skipIf(skip)(`kill -9, seed ${SEED}`, () => {
  /** From the moment when a run is asked for to its end, undisturbed. */
  let duration = 0;
  beforeAll(async () => {
    await server.up();
    await server.job("steps", SCRIPT, ...LIMITS);
    for (let i = 0; i < 2; i++) {
      const began = performance.now();
      await server.untilEnd(await server.startJob("steps"));
      duration = performance.now() - began;
    }
  }, 120_000);
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  for (let i = 0; i < CRASHES; i++) {
    const victim = VICTIMS[Math.floor(random() * VICTIMS.length)]!;
    const moment = random() * 1.1;
    test(`a run outlives its ${victim} (${i + 1}, at ${(100 * moment).toFixed(0)} %)`, async () => {
      const asked = server.startJob("steps").catch(() => undefined);
      await Bun.sleep(moment * duration);
      lookForSandboxes();
      if (victim !== "server") {
        for (const pid of server.workers) kill(pid);
      }
      if (victim !== "worker") {
        await server.killServer();
        await server.up();
      }
      // Whoever was told of a run may rely on it; a request that came to nothing may have made one or not.
      const name = (await asked) ?? (await newestRun());
      if (name === undefined) return;
      const end = await server.untilEnd(name);
      lookForSandboxes();
      expect(end).toMatchObject({ state: "finished", outcome: "exited 0" });
      expect(await server.console(end.uuid, "steps")).toEqual(EXPECTED);
      const { build } = await server.json<{ build: BuildJson }>(`/api/v1/builds/${end.uuid}`);
      expect(build.artifacts?.map(({ path, sha256 }) => [path, sha256])).toEqual([["bin/out", OUTPUT]]);
    }, 180_000);
  }

  test("each run succeeded once, all attempts are builds, and nothing is left of them", async () => {
    const { runs } = await server.json<{ runs: { attempts: number; state: string }[] }>(
      "/api/v1/runs?job=steps&limit=10000",
    );
    expect(runs.every(({ state }) => state === "finished")).toBe(true);
    const attempts = runs.reduce((sum, run) => sum + run.attempts, 0);
    const builds = await until("all attempts are builds", async () => {
      const answer = await server.json<{ builds: BuildJson[] }>("/api/v1/jobs/steps/builds?limit=1000");
      return answer.builds.length >= attempts && answer.builds;
    });
    expect(builds).toHaveLength(attempts);
    const good = builds.filter(({ result }) => result.kind === "exited");
    expect(good.map(({ result }) => result.code)).toEqual(runs.map(() => 0));
    // The next worker takes away what its predecessors left.
    await server.killServer();
    for (const pid of server.workers) kill(pid);
    await server.up();
    await server.untilEnd(await server.startJob("steps"));
    await server.stop();
    await until("workers have ended", () => server.workers.length === 0);
    expect(remains()).toEqual([]);
    expect(known.size).toBeGreaterThan(0);
  }, 120_000);
});

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as { code?: string }).code !== "ESRCH") throw error;
  }
}

/** Of the job, if it isn't over. */
async function newestRun(): Promise<string | undefined> {
  const { runs } = await server.json<{ runs: { name: string; state: string }[] }>(
    "/api/v1/runs?job=steps&limit=1",
  );
  return runs.find(({ state }) => state === "queued" || state === "running")?.name;
}
