/** Jobs from the command line to the stored build, by the compiled executable and its workers. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeState } from "../../src/protocols/builder/state-file.ts";
import { NEVER } from "../../src/protocols/builder/times.ts";
import { start, until } from "../robur.ts";
import { BuildServer } from "./build-server.ts";

const server = new BuildServer();
beforeAll(() => server.up(), 60_000);
afterAll(() => server[Symbol.asyncDispose]());

async function build(name: string, script: string, ...more: string[]) {
  await server.job(name, script, ...more);
  const end = await server.untilEnd(await server.startJob(name));
  const { build } = await server.json<{
    build: { artifacts: { path: string; size: number }[]; worker: string };
  }>(`/api/v1/builds/${end.uuid}`);
  return { end, build, console: await server.console(end.uuid, name) };
}

describe("a job", () => {
  test("runs on a terminal in a directory of its own, and its files become the build's", async () => {
    const script = [
      "test -t 1 && echo terminal; pwd; cat; echo to stderr >&2",
      "mkdir -p bin deep/er .git; echo data > bin/a.hvt; echo x > deep/er/b; echo no > .hidden; echo no > .git/c",
      "ln -s /etc/passwd link; ln -s / root; ln -s . loop; mkfifo pipe; printf 'no end'",
    ].join("\n");
    const { end, build: stored, console } = await build("files", script);
    expect(end.outcome).toBe("exited 0");
    expect(stored.artifacts.map(({ path, size }) => [path, size])).toEqual([
      ["bin/a.hvt", 5],
      ["deep/er/b", 2],
    ]);
    expect(console).toEqual(["terminal", expect.stringContaining(server.directory), "to stderr", "no end"]);
    expect(stored.worker).toStartWith("local-1-");
  }, 60_000);

  test("ends as the original's shell says it: by its status, by a signal, or by its time-out", async () => {
    expect((await build("three", "exit 3")).end.outcome).toBe("exited 3");
    expect((await build("killed", "kill -9 $$")).end.outcome).toBe("exited 137");
    const late = await build(
      "late",
      "trap '' TERM HUP; echo begun; sleep 1000 & sleep 1000; sleep 1000",
      "--timeout",
      "1s",
    );
    expect(late.end.outcome).toBe("exited 124");
    expect(late.console).toEqual(["begun", "[robur: ended after 1 s, its time-out]"]);
    await until("nothing of it is left", () => server.processes("ROBUR_UNSAFE_JOB").length === 0);
  }, 60_000);

  test("that leaves something running in the background ends when its script ends", async () => {
    const { console } = await build("background", "sleep 1000 & setsid sleep 1000 & echo done");
    expect(console).toEqual(["done"]);
    await until("nothing of it is left", () => server.processes("ROBUR_UNSAFE_JOB").length === 0);
  }, 60_000);

  test("that leaves too much is a build without files that says so", async () => {
    const { end, console } = await build("much", "seq 1 10001 | while read i; do : > f$i; done");
    expect(end.outcome).toBe("execution aborted: the job left too much: more than 10000 files");
    expect(console.at(-1)).toContain("more than 10000 files");
  }, 60_000);

  test("keeps its bytes, whatever they are", async () => {
    const { end } = await build(
      "bytes",
      String.raw`printf '\033[31mred\033[0m\r\n\377\376\n\n'; printf 'a\tb\n'`,
    );
    const response = await server.ask(`/job/bytes/build/${end.uuid}/console`);
    const bytes = Buffer.from(await response.arrayBuffer()).toString("latin1");
    expect(bytes.replaceAll(/^[\d.]+s:/gm, "")).toBe("\x1b[31mred\x1b[0m\r\n\xff\xfe\n\na\tb\n");
  }, 60_000);
});

describe("a job with copies", () => {
  test("that isn't reproducible is shown as such: as a build, a job, an event, and among all", async () => {
    const copies = async (name: string, script: string): Promise<string[]> => {
      await server.job(name, script, "--copies", "2");
      await server.startJob(name);
      const ends = [await server.untilEnd(`${name}:1`), await server.untilEnd(`${name}:2`)];
      return ends.map(({ uuid }) => uuid);
    };
    const page = async (path: string) => (await server.ask(path)).text();
    const same = await copies("steady", "mkdir bin; echo same > bin/out");
    expect((await server.robur("build", "show", "steady")).stdout).toContain("Reproduced:  by 1 other build");
    expect(await page("/job/steady")).toContain("reproduced ×1");
    expect((await server.robur("build", "verify-inputs")).code).toBe(0);

    const [first = "", second = ""] = await copies("chance", "mkdir bin; head -c 20 /dev/urandom > bin/out");
    const shown = await server.robur("build", "show", second);
    expect(shown.stdout).toContain(`Not reproducible: the same inputs gave something else in\n  ${first}\n`);
    for (const path of [`/job/chance/build/${first}`, `/job/chance/build/${second}`, "/job/chance"]) {
      expect(await page(path)).toContain("not reproducible");
    }
    const { code, stdout } = await server.robur("build", "verify-inputs");
    expect(code).toBe(1);
    for (const id of [first, second]) expect(stdout).toContain(id);
    for (const id of same) expect(stdout).not.toContain(id);
    const events = (await server.robur("events", "--format", "jsonl")).stdout;
    expect(events).toContain('"build-differs"');
    expect(events.match(/the same inputs gave something else before/g)).toHaveLength(1);

    // Another day's builds may have fetched something else: they are compared with each other only.
    await server.robur("build", "start", "chance");
    const third = await server.untilEnd("chance:3");
    const fourth = await server.untilEnd("chance:4");
    const later = await server.robur("build", "show", fourth.uuid);
    expect(later.stdout).toContain(third.uuid);
    expect(later.stdout).not.toContain(`  ${first}\n`);
  }, 60_000);
});

describe("commands", () => {
  test("logs come to terminals as they look and can do no harm; --raw gives the job's bytes", async () => {
    const script = String.raw`printf '\377\n1%%\r2%%\r\033[K3%%\n\033[31mred\033[0m\033]0;title\007\033[2J!\007\n'`;
    await server.job("harm", script);
    await server.untilEnd(await server.startJob("harm"));
    const logs = (...args: string[]) => server.robur("build", "logs", "harm", ...args);
    expect((await logs()).stdout).toBe("\ufffd\n3%\nred!\\x07\n");
    expect((await logs("-t")).stdout).toMatch(/^ +\d+\.\d{3}s 3%$/m);
    const child = await start(["build", "logs", "harm", "--raw"], { env: { ROBUR_HOST: server.host } });
    const bytes = Buffer.from(await new Response(child.stdout).arrayBuffer()).toString("latin1");
    expect(bytes).toBe("\xff\n1%\r2%\r\x1b[K3%\n\x1b[31mred\x1b[0m\x1b]0;title\x07\x1b[2J!\x07\n");
  }, 60_000);

  test("who watches what waits is told why, and a run's name is its build's, too", async () => {
    await server.job("stuck", "echo hi");
    await server.robur("job", "edit", "stuck", "--platform", "nowhere");
    const name = await server.startJob("stuck");
    const why = `${name} waits: nobody builds for nowhere (robur worker --platform nowhere)\n`;
    expect(await server.robur("build", "logs", name)).toMatchObject({ code: 0, stdout: "", stderr: why });
    const watch = await start(["build", "watch", name], { env: { ROBUR_HOST: server.host } });
    const told = watch.stderr.getReader();
    expect(new TextDecoder().decode((await told.read()).value)).toBe(why);
    expect((await server.robur("queue")).stdout).toMatch(/^stuck:1 +nowhere +no worker /m);
    expect(await server.robur("build", "show", name)).toMatchObject({ code: 3 });
    await server.robur("build", "abort", name);
    expect(await watch.exited).toBe(1);
    await server.robur("job", "edit", "stuck", "--platform", "here");
    const again = await server.startJob("stuck");
    const { uuid } = await server.untilEnd(again);
    expect((await server.robur("build", "show", again)).stdout).toContain(uuid);
  }, 60_000);

  test("--wait shows the console from the first line and ends as the build ends", async () => {
    await server.job("waits", "echo one; sleep 0.3; echo two; exit 7");
    const { code, stdout, stderr } = await server.robur("build", "start", "waits", "--wait");
    expect([code, stdout]).toEqual([1, "one\ntwo\n"]);
    expect(stderr).toContain("waits:1: exited 7");
    const logs = await server.robur("build", "logs", "waits:1");
    expect(logs.stdout).toBe("one\ntwo\n");
    const again = await server.robur("build", "watch", "waits");
    expect(again.stdout).toBe("one\ntwo\n");
  }, 60_000);

  test("abort ends what runs, and takes what waits from the queue", async () => {
    await server.job("long", "echo begun; sleep 1000");
    await server.job("behind", "echo never");
    const name = await server.startJob("long");
    const waiting = await server.startJob("behind");
    await server.untilRun(name, "has begun", ({ lines }) => lines > 0);
    const queue = await server.robur("queue", "--json");
    expect(JSON.parse(queue.stdout)).toMatchObject([
      { name, state: "running" },
      { name: waiting, state: "queued" },
    ]);
    expect((await server.robur("build", "abort", waiting, name)).stdout).toBe(`${waiting}\n${name}\n`);
    const end = await server.untilEnd(name);
    expect(end).toMatchObject({ state: "aborted", outcome: "execution aborted: aborted by socket" });
    expect(await server.console(end.uuid, "long")).toEqual(["begun", "[robur: aborted]"]);
    const { code, stderr } = await server.robur("build", "abort", name);
    expect([code, stderr]).toEqual([4, expect.stringContaining("has ended")]);
  }, 60_000);

  test("a script that names no platform is for the one that this machine builds for", async () => {
    const file = join(server.directory, "anywhere.sh");
    writeFileSync(file, "echo hi\n");
    expect((await server.robur("job", "add", "anywhere", "--script", file, "--never")).code).toBe(0);
    expect((await server.robur("job", "inspect", "anywhere")).stdout).toMatch(/Platforms?: +here\n/);
    expect((await server.robur("job", "rm", "anywhere", "--yes")).code).toBe(0);
  });

  test("jobs are changed, switched off and forgotten, and what can't be is refused", async () => {
    await server.job("changing", "echo hi");
    const robur = (...args: readonly string[]) => server.robur(...args);
    expect((await robur("job", "edit", "changing", "--cron", "30 3 * * 1", "--memory", "2G")).code).toBe(0);
    const { stdout } = await robur("job", "inspect", "changing");
    expect(stdout).toContain("cron 30 3 * * 1");
    expect(stdout).toContain("2 GiB memory");
    expect(stdout).toContain("echo hi");
    await robur("job", "disable", "changing");
    expect((await robur("schedule")).stdout).toMatch(/changing +by hand .* off/);
    const file = join(server.directory, "changing.sh");
    const bad = [
      [
        ["job", "add", "changing", "--script", file, "--platform", "here"],
        4,
        "there is a job changing already",
      ],
      [["job", "add", "no/name", "--script", file, "--platform", "here"], 2, "can't be a job's name"],
      [
        ["job", "add", "other", "--script", file, "--platform", "here", "--cron", "61 * * * *"],
        2,
        "no line of cron",
      ],
      [["job", "add", "other", "--script", "/none", "--platform", "here"], 2, "can't be read"],
      [["job", "edit", "other", "--never"], 3, "there is no job other"],
      [["job", "orb", "o", "p; rm -rf /"], 2, "is no opam package"],
      [["build", "start", "other"], 3, "there is no job other"],
      [["build", "start", "changing", "--platform", "elsewhere"], 1, "is for here"],
      [["build", "abort", "other:3"], 3, "there is no run other:3"],
      [["queue", "undrop", "nowhere"], 4, "unknown platform nowhere"],
      [["worker", "--platform", "a/b"], 2, "can't be a platform's name"],
      [["worker", "--server", "tcp://x:y:z"], 2, "not tcp://HOST:PORT"],
      [["worker", "--server", "https://a", "--host", "https://b"], 2, "--server and --host: one of them"],
      [["job", "edit", "changing", "--cpus", "many"], 2, "--cpus NaN: not a number above 0"],
      [["job", "edit", "changing", "--timeout", "0s"], 2, "--timeout 0s: between 1s and 7d"],
      [["job", "edit", "changing", "--copies", "1.5"], 2, "--copies 1.5: between 1 and 16 builds"],
      [["job", "inspect", "?x"], 3, "there is no job ?x"],
      [["job", "rm", "", "--yes"], 3, "there is no job "],
      [["queue", "drop", "a/b"], 2, "can't be a platform's name"],
      [["build", "logs", "changing:9"], 3, "there is no run changing:9"],
    ] as const;
    for (const [args, status, text] of bad) {
      const { code, stderr } = await robur(...args);
      expect([args.join(" "), code, stderr.split("\n")[0]]).toEqual([
        args.join(" "),
        status,
        expect.stringContaining(text),
      ] as never);
    }
    expect((await robur("job", "forget", "changing")).stdout).toBe("changing\n");
    await server.job("unbuilt", "echo hi");
    expect((await robur("job", "ls")).stdout).toMatch(/^unbuilt +here +none +by hand/m);
    expect((await robur("job", "rm", "unbuilt", "--yes")).stdout).toBe("unbuilt\n");
    expect((await robur("job", "rm", "unbuilt", "--yes")).code).toBe(3);
    expect((await robur("job", "inspect", "changing")).code).toBe(3);
  }, 120_000);
});

describe("builder's own", () => {
  test("state file becomes jobs, a queue, and a dropped platform; a second time nothing is changed", async () => {
    const job = { name: "from-state", script: "#!/bin/sh\necho hi\n", platform: "debian-77" };
    const next = Date.UTC(2099, 0, 2, 3, 4, 5);
    const state = encodeState({
      schedule: [
        { next, period: "daily", job: { type: "script", ...job } },
        { next: NEVER, period: "never", job: { type: "orb", name: "orb-state", opamPackage: "p.1" } },
      ],
      queues: [{ platform: "debian-77", jobs: [{ type: "script", ...job }] }],
      dropped: ["old"],
    });
    const file = join(server.directory, "state");
    writeFileSync(file, state);
    expect((await server.robur("job", "import", file)).stdout).toBe("from-state\norb-state\n");
    const again = await server.robur("job", "import", file);
    expect([again.stdout, again.stderr]).toEqual([
      "",
      expect.stringContaining("from-state: left out"),
    ] as never);
    expect(await server.json("/api/v1/schedule/from-state")).toMatchObject({
      nextAt: next,
      platforms: ["debian-77"],
    });
    expect(await server.json("/api/v1/queue")).toMatchObject({ dropped: ["old"] });
    const { code, stderr } = await server.robur("job", "import", join(server.directory, "robur.db"));
    expect([code, stderr]).toEqual([2, expect.stringContaining("is no state of a builder-server")]);
    expect((await server.robur("job", "ls")).stdout).toContain("from-state");
  }, 60_000);
});

describe("further workers", () => {
  test("a watcher that comes back goes on where it was", async () => {
    await server.job("many", "i=1; while [ $i -le 50 ]; do echo line $i; i=$((i+1)); sleep 0.01; done");
    const name = await server.startJob("many");
    await server.untilEnd(name);
    const response = await fetch(`http://localhost/api/v1/runs/${encodeURIComponent(name)}/console/stream`, {
      headers: { "last-event-id": "46" },
      unix: server.host.slice("unix://".length),
    } as RequestInit);
    const text = await response.text();
    expect(text.match(/"text":"line \d+"/g)).toEqual([
      '"text":"line 48"',
      '"text":"line 49"',
      '"text":"line 50"',
    ]);
    expect(text).toContain("event: end");
  }, 60_000);

  test("a server that stops lets a build go on, and the next one has it", async () => {
    await server.job("over", "echo a; sleep 1.5; echo b");
    const name = await server.startJob("over");
    await server.untilRun(name, "has begun", ({ lines }) => lines > 0);
    await server.stop();
    await server.up();
    const end = await server.untilEnd(name);
    expect([end.outcome, end.attempts]).toEqual(["exited 0", 1]);
    expect(await server.console(end.uuid, "over")).toEqual(["a", "b"]);
  }, 60_000);

  test("one that is told to end while it waits does so at once", async () => {
    const child = await start(
      ["worker", "--host", server.host, "--platform", "idle", "--unsafe-no-sandbox"],
      {
        env: { ROBUR_DATA_DIR: join(server.directory, "idle") },
      },
    );
    await until("it waits", async () => {
      const { workers } = await server.json<{ workers: { platforms: string[] }[] }>("/api/v1/workers");
      return workers.some(({ platforms }) => platforms.includes("idle"));
    });
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  }, 60_000);
});
