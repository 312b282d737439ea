import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compilerVersion, buildGuest } from "../guests/build.ts";
import { NOBODY, lacks, needsCommands, needsRoot } from "../needs.ts";
import { start, temporaryDirectory, until } from "../robur.ts";
import { TestServer } from "./client-server.ts";

const hasCompiler = !lacks(
  (await compilerVersion()) === undefined ? "there is no C compiler for the test guests" : undefined,
);

let server: TestServer;
beforeAll(async () => void (server = await TestServer.start()));
afterAll(async () => server[Symbol.asyncDispose]());

interface Unit {
  readonly name: string;
  readonly state: string;
  readonly config: { readonly memoryMb: number; readonly args: string[]; readonly restart: object };
  readonly image: { readonly sha256: string };
}

const inspect = async (name: string) => (JSON.parse(await server.ok("inspect", name)) as [Unit])[0];

describe("create", () => {
  test("answers when the guest has run, with its name and its first words", async () => {
    const { code, stdout, stderr } = await server.robur([
      "create",
      "first",
      "hello.spt",
      "-m",
      "8M",
      "--",
      "--hello=Hi",
    ]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "first\n" });
    expect(stderr).toContain("  | Hi\n");
    expect((await inspect("first")).config).toMatchObject({ memoryMb: 8, args: ["--hello=Hi"] });
  });

  test("is what run -d does, with the flags of run", async () => {
    const { code, stdout } = await server.robur([
      "run",
      "-d",
      "--name",
      "detached",
      "-m",
      "8M",
      "hello.spt",
      "--hello=Hi",
    ]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "detached\n" });
    expect((await inspect("detached")).config).toMatchObject({ memoryMb: 8, args: ["--hello=Hi"] });
    const refused = await server.robur(["run", "-d", "--dumpcore", "/tmp", "hello.spt"]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("--dumpcore is for a run in the foreground");
  });

  test("takes images that the server has, by the beginning of their hash, and addresses", async () => {
    const sha256 = (await server.ok("images", "-q")).trim();
    expect(sha256).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(await server.ok("create", "-q", "stored", sha256.slice(0, 20))).toBe("stored\n");
    const file = Bun.serve({ port: 0, fetch: () => new Response(Bun.file("assets/hello/hello.spt")) });
    expect(await server.ok("create", "fetched", `http://127.0.0.1:${file.port}/hello.spt`)).toBe("fetched\n");
    await file.stop(true);
    const { code, stderr } = await server.robur(["create", "x", "sha256:000000"]);
    expect({ code, stderr }).toEqual({
      code: 3,
      stderr: "error: the server has no image sha256:000000\n  try: robur images\n",
    });
    expect(await server.robur(["create", "x", "job:web"])).toMatchObject({ code: 3 });
  });

  test("says what the server refuses, with the exit status of its kind", async () => {
    expect(await server.robur(["create", "first", "hello.spt"])).toMatchObject({ code: 4 });
    expect((await server.robur(["create", "Not A Name", "hello.spt"])).stderr).toContain(
      "can't be a unikernel's name",
    );
    expect((await server.robur(["create", "x", "no-such.hvt"])).stderr).toContain("no-such.hvt");
    const text = join(temporaryDirectory(), "text.hvt");
    writeFileSync(text, "hello");
    expect(await server.robur(["create", "x", text])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("error: ") as string,
    });
    expect(await server.robur(["create", "x", "hello.spt", "-m", "lots"])).toMatchObject({ code: 2 });
    expect(await server.robur(["create", "x", "hello.spt", "--restart", "never"])).toMatchObject({ code: 2 });
    expect(await server.robur(["create", "x", "hello.spt", "--what"])).toMatchObject({ code: 2 });
  });

  test("with --no-start makes it only, and writes the id where it is told to", async () => {
    const idfile = join(temporaryDirectory(), "id");
    await server.ok("create", "idle", "hello.spt", "--no-start", "--idfile", idfile);
    expect(await inspect("idle")).toMatchObject({ state: "created" });
    const id = readFileSync(idfile, "utf8").trim();
    expect(JSON.parse(await server.ok("inspect", id.slice(0, 8)))).toMatchObject([{ name: "idle" }]);
  });

  test("--replace gives another the name", async () => {
    await server.ok("create", "idle", "hello.spt", "--replace", "-m", "16M", "--no-start");
    expect((await inspect("idle")).config.memoryMb).toBe(16);
  });
});

describe("lists", () => {
  test("have formats, columns and names only", async () => {
    const rows = JSON.parse(await server.ok("ps", "-a", "--json")) as Unit[];
    expect(rows.map(({ name }) => name)).toContain("first");
    expect(await server.ok("ps", "-aq", "--filter", "name=fir")).toBe("first\n");
    const lines = (await server.ok("ps", "-a", "--format", "jsonl", "--columns", "name,state"))
      .trim()
      .split("\n");
    expect(JSON.parse(lines.find((line) => line.includes("first"))!)).toEqual({
      name: "first",
      state: "stopped",
    });
    expect(await server.ok("ps", "-a", "--columns", "name,exit", "--filter", "name=first")).toBe(
      "NAME   EXIT\nfirst  0\n",
    );
    expect(await server.robur(["ps", "--columns", "nmae"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--columns id,name,state") as string,
    });
  });

  test("cut long texts unless they are told not to", async () => {
    expect(await server.ok("images")).toContain("…");
    expect(await server.ok("images", "--no-trunc")).toMatch(/[0-9a-f]{64} /);
  });

  test("of nothing are empty, not an error", async () => {
    expect(await server.ok("ps", "--filter", "state=running", "-q")).toBe("");
    expect(JSON.parse(await server.ok("ps", "--filter", "state=running", "--json"))).toEqual([]);
    expect(await server.ok("policy", "ls", "-q")).toBe("");
  });
});

describe("names", () => {
  test("may be cut as long as they are clear", async () => {
    expect((await inspect("firs")).name).toBe("first");
    const { code, stderr } = await server.robur(["inspect", "f"]);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: "error: f may mean fetched, first\n  try: write more of it\n",
    });
  });

  test("that are slips get what was meant", async () => {
    const { code, stderr } = await server.robur(["inspect", "frist"]);
    expect({ code, stderr }).toEqual({
      code: 3,
      stderr: "error: there is no unikernel frist\n  there is first\n  try: robur ps -a\n",
    });
  });

  test("with paths in them work everywhere", async () => {
    await server.ok("create", "family:web", "hello.spt");
    expect(await server.ok("logs", "family:web")).toContain("name: web\n");
    expect(await server.ok("rename", "family:web", "family:www")).toBe("family:www\n");
    expect(await server.ok("ps", "-aq", "--path", "family")).toBe("family:www\n");
    expect(await server.ok("rm", "--yes", "family:www")).toBe("family:www\n");
  });

  test("come to shell completion within its time, and never with an error", async () => {
    const { stdout, stderr } = await server.robur(["__names", "unikernels"]);
    expect(stdout).toContain("first\n");
    expect(stderr).toBe("");
    expect((await server.robur(["__names", "images"])).stdout).toMatch(/^sha256:[0-9a-f]{12}\n$/m);
    const nowhere = { ROBUR_SOCKET: "/nowhere/robur.sock" };
    expect(await server.robur(["__names", "unikernels"], { env: nowhere })).toMatchObject({
      code: 0,
      stdout: "",
      stderr: "",
    });
  });
});

describe("removing", () => {
  test("isn't done unasked where nobody can be asked", async () => {
    const { code, stderr } = await server.robur(["rm", "stored"]);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: "error: nobody can be asked here: remove stored for good?\n  try: robur rm --yes stored\n",
    });
    expect((await inspect("stored")).name).toBe("stored");
  });

  test("finds out who isn't there before the first is gone", async () => {
    expect(await server.robur(["rm", "--yes", "stored", "nobody"])).toMatchObject({ code: 3 });
    expect(await server.ok("rm", "--yes", "stored")).toBe("stored\n");
    expect(await server.robur(["inspect", "stored"])).toMatchObject({ code: 3 });
  });
});

describe("logs", () => {
  test("are all of it, the last lines, or with times", async () => {
    const all = await server.ok("logs", "first");
    expect(all).toStartWith("robur hello on spt");
    expect(await server.ok("logs", "--tail", "1", "first")).toBe(`${all.trim().split("\n").at(-1)}\n`);
    expect(await server.ok("logs", "-t", "-n", "1", "first")).toMatch(
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /,
    );
    expect(await server.ok("logs", "--since", "2100-01-01", "first")).toBe("");
    expect(await server.ok("logs", "--raw", "first")).toBe(all);
    expect(await server.ok("logs", "-f", "first")).toBe(all);
    expect(await server.robur(["logs", "--since", "soon", "first"])).toMatchObject({ code: 2 });
  });

  test("of ten thousand lines are all there", async () => {
    if (!hasCompiler) return;
    const tick = await buildGuest("tick", "spt");
    await server.ok(
      "create",
      "many",
      tick,
      "--no-name",
      "--restart",
      "no",
      "--no-wait",
      "--",
      "every=0",
      "count=10500",
    );
    // Ends by itself when the guest does.
    expect(await server.ok("logs", "-f", "many")).toContain("tick 10500\n");
    const all = (await server.ok("logs", "many")).split("\n").filter((line) => line.startsWith("tick "));
    expect(all).toEqual(Array.from({ length: 10_500 }, (_, i) => `tick ${i + 1}`));
  });

  test("are followed through a restart of the server, and end with the guest", async () => {
    if (!hasCompiler) return;
    const tick = await buildGuest("tick", "spt");
    await server.ok("create", "ticking", tick, "--no-name", "--restart", "no", "--", "every=20", "count=200");
    const child = await start(["logs", "-f", "ticking"], { env: server.env });
    let seen = "";
    const reading = (async () => {
      for await (const chunk of child.stdout) seen += new TextDecoder().decode(chunk);
    })();
    await until("a line", () => seen.includes("tick 5\n"));
    await server.kill();
    await server.up();
    await child.exited;
    await reading;
    expect(seen.split("\n").filter((line) => line.startsWith("tick "))).toEqual(
      Array.from({ length: 200 }, (_, i) => `tick ${i + 1}`),
    );
    expect(child.exitCode).toBe(0);
  });
});

describe("the life of one that stays", () => {
  test("is started, looked at, changed, restarted and stopped", async () => {
    if (!hasCompiler) return;
    const sleep = await buildGuest("sleep", "spt");
    await server.ok("create", "sleeper", sleep, "-m", "8M", "--label", "a=b", "--no-name");
    expect(await server.ok("ps", "-q")).toBe("sleeper\n");
    expect(await server.ok("ps", "-q", "--filter", "label=a=b")).toBe("sleeper\n");
    expect(await server.robur(["rm", "--yes", "sleeper"])).toMatchObject({ code: 4 });
    const changed = await server.robur(["update-config", "sleeper", "-m", "16M", "--", "--more"]);
    expect(changed).toMatchObject({ code: 0, stdout: "sleeper\n" });
    expect(changed.stderr).toContain("robur restart sleeper");
    expect((await inspect("sleeper")).config).toMatchObject({ memoryMb: 16, args: ["--more"] });
    expect(await server.ok("restart", "-q", "sleeper")).toBe("sleeper\n");
    const stats = await until("figures", async () => {
      const rows = JSON.parse(await server.ok("stats", "--json")) as { name: string; resident: number }[];
      return rows.length > 0 ? rows : undefined;
    });
    expect(stats).toMatchObject([{ name: "sleeper" }]);
    expect(await server.ok("stop", "sleeper", "--time", "1")).toBe("sleeper\n");
    expect(await server.ok("start", "sleeper")).toBe("sleeper\n");
    const events = JSON.parse(await server.ok("events", "--json", "sleeper")) as { kind: string }[];
    const kinds = events.map(({ kind }) => kind);
    for (const kind of ["created", "updated", "stopped", "running"]) expect(kinds).toContain(kind);
    expect(await server.ok("rm", "--yes", "--force", "sleeper")).toBe("sleeper\n");
  });

  test("that fails is an error that says why, and what it said", async () => {
    if (!hasCompiler) return;
    const crash = await buildGuest("crash", "spt");
    const { code, stdout, stderr } = await server.robur([
      "create",
      "crasher",
      crash,
      "--no-name",
      "--restart",
      "no",
    ]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "crasher\n" });
    expect(stderr).toMatch(/error: crasher has failed\n {2}.+\n {2}try: robur logs crasher\n/);
  });

  test("events are followed as they come", async () => {
    const child = await start(["events", "-f", "--tail", "0", "--json"], { env: server.env });
    const reader = child.stdout.getReader();
    const lines: string[] = [];
    const read = (async () => {
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        const parts = (rest + new TextDecoder().decode(value)).split("\n");
        rest = parts.pop()!;
        lines.push(...parts);
      }
    })();
    await until("an event", async () => {
      await server.ok("start", "first");
      return lines.length > 0;
    });
    child.kill("SIGINT");
    await read;
    expect(JSON.parse(lines[0]!)).toMatchObject({ kind: "starting", unikernel: { name: "first" } });
  });
});

describe("policies", () => {
  test("are set, listed and removed", async () => {
    const set = ["policy", "set", "family", "--unikernels", "1", "--memory", "64M", "--cpus", "0"];
    expect(await server.ok(...set, "--network", "service")).toBe("family\n");
    expect(JSON.parse(await server.ok("policy", "ls", "--json"))).toMatchObject([
      {
        path: "family",
        policy: { unikernels: 1, memoryMb: 64, cpus: [0], blockMb: null, bridges: ["service"] },
      },
    ]);
    expect(await server.robur(["create", "family:big", "hello.spt", "-m", "1G"])).toMatchObject({ code: 5 });
    expect(await server.robur(["policy", "rm", "family"])).toMatchObject({ code: 2 });
    expect(await server.ok("policy", "rm", "--yes", "family")).toBe("family\n");
    expect(await server.robur(["policy", "rm", "--yes", "family"])).toMatchObject({ code: 3 });
  });
});

describe("a server elsewhere", () => {
  test("is reached with a token, which says what may be done", async () => {
    await server.robur(["user", "add", "alice", "--path", "alice"], {});
    const token = (await server.ok("token", "create", "alice", "test", "--scope", "read"))
      .trim()
      .split("\n")
      .at(-1)!;
    const env = { ROBUR_HOST: server.address, ROBUR_TOKEN: token, ROBUR_SOCKET: "/nowhere" };
    expect(await server.robur(["ps", "-aq"], { env })).toMatchObject({ code: 0, stdout: "" });
    expect(await server.robur(["create", "alice:web", "hello.spt"], { env })).toMatchObject({ code: 5 });
    const wrong = await server.robur(["ps"], { env: { ...env, ROBUR_TOKEN: "robur_x" } });
    expect(wrong).toMatchObject({
      code: 5,
      stderr: expect.stringContaining("ROBUR_TOKEN=robur_…") as string,
    });
    const none = await server.robur(["--host", server.address, "ps"], {});
    expect(none.code).toBe(2);
    expect(await server.robur(["ps", "--host", server.address])).toMatchObject({ code: 5 });
  });

  test("that isn't there, or isn't robur, is told from one that refuses", async () => {
    const gone = await server.robur(["ps", "--host", "http://127.0.0.1:1"]);
    expect(gone).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("error: can't reach http://127.0.0.1:1\n") as string,
    });
    const other = Bun.serve({ port: 0, fetch: () => new Response("hello", { status: 500 }) });
    const answer = await server.robur(["ps", "--host", `http://127.0.0.1:${other.port}`]);
    expect(answer.stderr).toContain("is another program there");
    await other.stop(true);
    expect(await server.robur(["ps", "--host", "ftp://x"])).toMatchObject({ code: 2 });
  });
});

describe("without a server", () => {
  test("it is said how to start one", async () => {
    const env = { ROBUR_SOCKET: join(temporaryDirectory(), "none.sock") };
    const { code, stderr } = await server.robur(["ps"], { env });
    expect(code).toBe(1);
    expect(stderr).toStartWith("error: no server runs here\n  there is no ");
    expect(stderr).toContain("try: robur serve");
  });

  test.skipIf(lacks(needsRoot(), needsCommands("setpriv")))(
    "or who may use it, where one may not",
    async () => {
      const env = { ROBUR_SOCKET: server.socket };
      const under = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
      const { code, stderr } = await server.robur(["ps"], { env, under });
      expect(code).toBe(5);
      expect(stderr).toStartWith(`error: ${server.socket}: permission denied\n`);
      expect(stderr).toContain("the server's socket is for root");
    },
  );

  test("--help needs none", async () => {
    const env = { ROBUR_SOCKET: "/nowhere" };
    for (const command of ["create", "ps", "logs", "apply", "update-config", "policy"]) {
      expect(await server.robur([command, "--help"], { env })).toMatchObject({ code: 0, stderr: "" });
    }
  });
});
