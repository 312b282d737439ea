/**
 * kill -9 of server and workers in the middle of builds: each run ends once, with a whole console or with the reason,
 * and no process is left. ROBUR_CRASHES says how often (default 5).
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { until } from "../robur.ts";
import { BuildServer } from "./build-server.ts";

const CRASHES = Number(process.env["ROBUR_CRASHES"] ?? 5);
const LINES = 20;
const SCRIPT = `i=1; while [ $i -le ${LINES} ]; do echo line $i; sleep 0.05; i=$((i+1)); done; mkdir bin; echo data > bin/out`;
const EXPECTED = Array.from({ length: LINES }, (_, i) => `line ${i + 1}`);

const server = new BuildServer();
beforeAll(async () => {
  await server.up();
  await server.job("steps", SCRIPT);
}, 60_000);
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

for (let i = 0; i < CRASHES; i++) {
  const victim = i % 2 === 0 ? "server" : "worker";
  test(`a run outlives its ${victim} (${i + 1})`, async () => {
    const name = await server.startJob("steps");
    await server.untilRun(name, "runs", ({ state }) => state === "running");
    await Bun.sleep(Math.random() * 1200);
    const before = await server.run(name);
    if (victim === "worker") {
      for (const pid of server.workers) process.kill(pid, "SIGKILL");
    } else {
      await server.killServer();
      await server.up();
    }
    const end = await server.untilEnd(name);
    expect(end).toMatchObject({ state: "finished", outcome: "exited 0" });
    // The server's end costs no attempt: the worker finds the next server.
    if (victim === "server") expect([end.attempts, end.uuid]).toEqual([before.attempts, before.uuid]);
    expect(await server.console(end.uuid, "steps")).toEqual(EXPECTED);
    const { build } = await server.json<{ build: { artifacts: { path: string }[] } }>(
      `/api/v1/builds/${end.uuid}`,
    );
    expect(build.artifacts.map(({ path }) => path)).toEqual(["bin/out"]);
  }, 120_000);
}

test("all attempts are builds, each once, and nothing is left of them", async () => {
  const { runs } = await server.json<{ runs: { attempts: number }[] }>("/api/v1/runs?job=steps");
  const { builds } = await server.json<{ builds: { id: string }[] }>("/api/v1/jobs/steps/builds?limit=1000");
  expect(runs).toHaveLength(CRASHES);
  expect(builds).toHaveLength(runs.reduce((sum, { attempts }) => sum + attempts, 0));
  expect(new Set(builds.map(({ id }) => id)).size).toBe(builds.length);
  await server.stop();
  await until(
    "workers and jobs have ended",
    () => server.workers.length + server.processes("ROBUR_UNSAFE_JOB").length === 0,
  );
}, 60_000);
