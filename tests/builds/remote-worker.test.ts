/** Workers that come over a network, which is bad; with tokens, which are taken away; and of one name. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run, start, until } from "../robur.ts";
import { BadNetwork } from "./bad-network.ts";
import { BuildServer } from "./build-server.ts";

const server = new BuildServer();
let origin = "";
let token = "";
beforeAll(async () => {
  await server.up("--workers", "0");
  origin = await server.origin();
  await server.addAdministrator();
  token = await server.token("w", "worker");
}, 60_000);
afterAll(() => server[Symbol.asyncDispose]());

const argsOf = (at: string, name: string, ...more: readonly string[]) => [
  ...["worker", "--server", at, "--platform", name, "--name", name, "--unsafe-no-sandbox"],
  ...["--data-dir", join(server.directory, name), ...more],
];

async function worker(at: string, name: string, ...more: readonly string[]) {
  const child = await start(argsOf(at, name, ...more), { env: { ROBUR_TOKEN: token } });
  let said = "";
  const listen = async () => {
    for await (const bytes of child.stderr) said += new TextDecoder().decode(bytes);
  };
  void listen();
  return { child, said: () => said };
}

/** A job of a platform of its own name, which is started. */
async function started(name: string, script: string): Promise<string> {
  await server.job(name, script);
  await server.robur("job", "edit", name, "--platform", name);
  return server.startJob(name);
}

async function views(name: string): Promise<{ name: string; state: string }[]> {
  const { workers } = await server.json<{ workers: { name: string; state: string }[] }>("/api/v1/workers");
  return workers.filter((one) => one.name === name);
}

describe("a worker over HTTP", () => {
  test("needs a token of scope worker, and builds for its own platform", async () => {
    const name = await started("remote", "echo built elsewhere; mkdir bin; echo data > bin/out");
    const reading = await server.token("r", "read");
    const refused = await run(argsOf(origin, "remote", "--once"), { env: { ROBUR_TOKEN: reading } });
    expect([refused.code, refused.stderr]).toEqual([5, expect.stringContaining("doesn't take this worker")]);
    const { code, stderr } = await run(argsOf(origin, "remote", "--once"), { env: { ROBUR_TOKEN: token } });
    expect([code, stderr]).toEqual([0, expect.stringContaining("remote on remote")]);
    expect(await server.untilEnd(name)).toMatchObject({ outcome: "exited 0", worker: "remote" } as never);
  }, 60_000);

  test("goes on when the network was silent for a while, and no line is lost or doubled", async () => {
    using network = await BadNetwork.open(Number(new URL(origin).port));
    const go = join(server.directory, "go");
    const script = `i=1; while [ $i -le 300 ]; do echo line $i; i=$((i+1)); sleep 0.01; done; while [ ! -e ${go} ]; do echo more; sleep 0.2; done; echo end`;
    const { child, said } = await worker(network.origin, "silent", "--once");
    const name = await started("silent", script);
    await server.untilRun(name, "has lines", ({ lines }) => lines > 100);
    network.silence();
    await until("the worker misses its server", () => said().includes("it is tried again"));
    network.mend();
    await until("the worker has it again", () => said().includes("the server is there again"));
    writeFileSync(go, "");
    const end = await server.untilEnd(name);
    expect([end.outcome, end.attempts]).toEqual(["exited 0", 1]);
    const lines = (await server.console(end.uuid, "silent")).filter((line) => line !== "more");
    expect(lines).toEqual([...Array.from({ length: 300 }, (_, i) => `line ${i + 1}`), "end"]);
    expect(await child.exited).toBe(0);
  }, 90_000);

  test("sends a build again whose connection broke in the middle, and it is kept once", async () => {
    using network = await BadNetwork.open(Number(new URL(origin).port));
    network.breakNext("/api/v1/worker/finish", 1_000_000);
    const name = await started(
      "broken",
      "mkdir bin; head -c 5000000 /dev/urandom > bin/out; sha256sum bin/out",
    );
    const { child } = await worker(network.origin, "broken", "--once");
    const end = await server.untilEnd(name);
    expect([end.outcome, end.attempts, network.broken]).toEqual(["exited 0", 1, 1]);
    const { build } = await server.json<{ build: { artifacts: { sha256: string; size: number }[] } }>(
      `/api/v1/builds/${end.uuid}`,
    );
    const [line] = await server.console(end.uuid, "broken");
    expect(build.artifacts.map(({ sha256, size }) => [sha256, size])).toEqual([
      [line!.split(" ")[0]!, 5_000_000],
    ]);
    expect(await child.exited).toBe(0);
  }, 60_000);

  test("whose token is taken away in the middle of a build ends it, and says why", async () => {
    const own = await server.token("short", "worker");
    const name = await started("revoked", "echo begun; sleep 1000");
    const child = await start(argsOf(origin, "revoked"), { env: { ROBUR_TOKEN: own } });
    await server.untilRun(name, "has begun", ({ lines }) => lines > 0);
    const { code } = await server.robur("token", "rm", own.split("_")[1]!, "--data-dir", server.directory);
    expect(code).toBe(0);
    expect(await child.exited).toBe(5);
    expect(await child.stderr.text()).toContain("doesn't take this worker");
    await until("nothing of the job is left", () => server.processes("ROBUR_UNSAFE_JOB").length === 0);
    // It may come back with another token, so the run isn't given to somebody else at once.
    expect(await server.run(name)).toMatchObject({ state: "running" });
    await server.robur("build", "abort", name);
  }, 60_000);

  test("whose job leaves what can't be kept says so, and goes on with the next one", async () => {
    // A path that is longer than any system call takes; the shell itself gives up on the way.
    const deep = `perl -e 'for (1..25) { mkdir "d" x 200; chdir "d" x 200 } open F, ">", "file"; print F "x"'`;
    const first = await started("deep", deep);
    const { child } = await worker(origin, "deep");
    expect(await server.untilEnd(first)).toMatchObject({ outcome: "exited 0", attempts: 1 });
    const { stdout: said } = await server.robur("build", "logs", first);
    expect(said).toContain("1 of its files is left out: no artifact can have such a name");
    const jobs = join(server.directory, "deep/jobs");
    await until("its directory is gone", () => readdirSync(jobs).length === 0);
    const file = join(server.directory, "fine.sh");
    writeFileSync(file, "echo fine\n");
    await server.robur("job", "edit", "deep", "--script", file);
    expect(await server.untilEnd(await server.startJob("deep"))).toMatchObject({ outcome: "exited 0" });
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  }, 60_000);

  test("is what a script is for that names no platform, only where the server has workers of its own", async () => {
    const file = join(server.directory, "nowhere.sh");
    writeFileSync(file, "echo hi\n");
    const { code, stderr } = await server.robur("job", "add", "nowhere", "--script", file);
    expect(stderr).toContain("a script is for a platform, such as debian-12: which one?");
    expect(code).toBe(1);
  });

  test("may have the name of another one: both are listed, and both build", async () => {
    const one = await worker(origin, "twins");
    const two = await worker(origin, "twins");
    await until("both wait", async () => (await views("twins")).length === 2);
    await server.job("twins", "echo begun; sleep 1000");
    await server.robur("job", "edit", "twins", "--platform", "twins", "--copies", "2");
    const { stdout } = await server.robur("build", "start", "twins");
    await until("both build", async () => (await views("twins")).every(({ state }) => state === "building"));
    for (const name of stdout.trim().split("\n")) {
      await server.robur("build", "abort", name);
      expect(await server.untilEnd(name)).toMatchObject({ state: "aborted" });
    }
    for (const { child } of [one, two]) {
      child.kill("SIGTERM");
      expect(await child.exited).toBe(0);
    }
  }, 60_000);

  test("whose clock is years off is no trouble: times are the server's", async () => {
    const directory = join(server.directory, "clock");
    mkdirSync(directory);
    const library = join(directory, "shift.so");
    const source = join(import.meta.dir, "../server/clock-shift.c");
    expect(await Bun.spawn(["cc", "-shared", "-fPIC", "-O1", "-o", library, source]).exited).toBe(0);
    const by = join(directory, "by");
    // Sparse: as many seconds as the file is long.
    await Bun.spawn(["truncate", "-s", String(9 * 365 * 86_400), by]).exited;
    const name = await started("clock", "date +%Y; sleep 0.5; echo done");
    const before = Date.now();
    const { code } = await run(argsOf(origin, "clock", "--once"), {
      env: { ROBUR_TOKEN: token, LD_PRELOAD: library, CLOCK_SHIFT: by },
    });
    expect(code).toBe(0);
    const { uuid } = await server.untilEnd(name);
    const { build } = await server.json<{ build: { startedAt: number; finishedAt: number } }>(
      `/api/v1/builds/${uuid}`,
    );
    expect(build.startedAt).toBeGreaterThanOrEqual(before);
    expect(build.finishedAt).toBeGreaterThanOrEqual(build.startedAt + 500);
    const text = await (await server.ask(`/job/clock/build/${uuid}/console`)).text();
    expect(text).toMatch(/^0\.\d{3}s:\d{4}\n(0|1)\.\d{3}s:done\n$/);
  }, 60_000);
});
