import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Database } from "bun:sqlite";
import { sha256Of } from "../../src/lib/sha256-of.ts";
import { temporaryDirectory, until } from "../robur.ts";
import { BINARY, UUID, hostileServer } from "../store/remotes/hostile.ts";
import { TestServer } from "./client-server.ts";

const SHA = sha256Of(BINARY);
let server: TestServer;
let hostile: ReturnType<typeof hostileServer>;
beforeAll(async () => {
  server = await TestServer.start();
  hostile = hostileServer();
});
afterAll(async () => {
  await hostile[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

describe("pull from a server that lies", () => {
  const pull = async (job: string, ...more: string[]) => {
    const cwd = temporaryDirectory();
    const ended = await server.robur(["pull", job, "--from", hostile.origin, ...more], { cwd });
    return { ...ended, cwd, files: readdirSync(cwd) };
  };

  test("brings what it tells the truth about", async () => {
    const { code, stdout, cwd, files } = await pull("good");
    expect({ code, stdout, files }).toEqual({ code: 0, stdout: `${SHA}  good.hvt\n`, files: ["good.hvt"] });
    expect(sha256Of(readFileSync(join(cwd, "good.hvt")))).toBe(SHA);
  });

  test.each([
    ["liar", "not the one that was announced"],
    ["huge", "sends more than was announced"],
    ["loops", "without end"],
    ["away", "leads to file:"],
    ["escape", "none for here"],
  ])("leaves nothing of job %s", async (job, message) => {
    const { code, stderr, files } = await pull(job);
    expect(code).not.toBe(0);
    expect(stderr).toContain(message);
    expect(files).toEqual([]);
  });

  test("goes on where it was cut off, and leaves a file alone until the new one is whole", async () => {
    const cwd = temporaryDirectory();
    writeFileSync(join(cwd, "out"), "the old one");
    const args = ["pull", "cut", "--from", hostile.origin, "--output", "out"];
    const first = await server.robur(args, { cwd });
    expect(first).toMatchObject({ code: 1 });
    expect(first.stderr).toContain("only 100000 of 300000 bytes came");
    expect(readFileSync(join(cwd, "out"), "utf8")).toBe("the old one");
    const second = await server.robur(args, { cwd });
    expect(second).toMatchObject({ code: 0 });
    expect(sha256Of(readFileSync(join(cwd, "out")))).toBe(SHA);
    expect(readdirSync(cwd)).toEqual(["out"]);
    expect(hostile.asked.at(-1)).toMatchObject({ range: "bytes=100000-" });
  });

  test("starts again where what came before was something else", async () => {
    const cwd = temporaryDirectory();
    writeFileSync(join(cwd, `.good.hvt.${SHA.slice(0, 16)}.part`), "x".repeat(5000));
    const args = ["pull", "good", "--from", hostile.origin];
    expect((await server.robur(args, { cwd })).code).toBe(1);
    expect(readdirSync(cwd)).toEqual([]);
    expect((await server.robur(args, { cwd })).code).toBe(0);
  });

  test("takes no record that is none, or has no end", async () => {
    for (const job of ["good", "endless"]) {
      const { code, stderr } = await server.robur(["pull", job, "--from", hostile.origin, "--store"]);
      expect(code).toBe(1);
      expect(stderr).toContain(`damaged: build ${UUID} of ${job}`);
    }
    expect(JSON.parse(await server.ok("job", "ls", "--json"))).toEqual([]);
  });

  test("takes no record of another build, nor one without the announced main binary", async () => {
    for (const [job, why] of [
      ["swapped", "the announced main binary"],
      ["renamed", `not ${UUID}`],
    ] as const) {
      for (const args of [
        ["pull", job, "--store", "--from", hostile.origin],
        ["import", hostile.origin, "--job", job],
      ]) {
        const { code, stderr } = await server.robur(args);
        expect(code).toBe(1);
        expect(stderr).toContain(why);
      }
    }
    const { stderr } = await server.robur(["import", hostile.origin]);
    expect(stderr).toContain('note: job "../x" is left out');
    expect(JSON.parse(await server.ok("job", "ls", "--json"))).toEqual([]);
  });

  test("says where a file can't be written", async () => {
    const output = join(temporaryDirectory(), "no", "where");
    const { code, stderr } = await server.robur([
      "pull",
      "good",
      "--from",
      hostile.origin,
      "--output",
      output,
    ]);
    expect(code).toBe(1);
    expect(stderr).toContain("there is no directory");
  });

  test("doesn't give its password away", async () => {
    await server.robur(["pull", "loops", "--from", hostile.origin.replace("//", "//me:secret@")]);
    expect(hostile.asked.at(-1)!.authorization).toBe(`Basic ${btoa("me:secret")}`);
    const { stderr } = await server.robur([
      "pull",
      "x",
      "--from",
      "https://me:secret@builds.example/with/a/path",
    ]);
    expect(stderr).not.toContain("secret");
  });

  test("names what can't be reached, isn't there or can't be a job", async () => {
    expect((await server.robur(["pull", "hello", "--from", "http://127.0.0.1:1"])).stderr).toContain(
      "can't reach",
    );
    expect((await server.robur(["pull", "hello", "--from", "nowhere"])).code).toBe(2);
    expect((await server.robur(["pull", "../x", "--from", hostile.origin])).code).toBe(2);
    expect((await server.robur(["pull", "hello", "--from", "ftp://x"])).code).toBe(2);
  });
});

describe("between two servers", () => {
  let other: TestServer;
  let directory: string;
  beforeAll(async () => {
    other = await TestServer.start();
    directory = temporaryDirectory();
    writeFileSync(join(directory, "hello.hvt"), BINARY);
    writeFileSync(join(directory, "opam-switch"), 'opam-version: "2.0"\n');
  });
  afterAll(async () => other[Symbol.asyncDispose]());

  test("a build is pushed, pulled as a file and into the store, with the same hashes", async () => {
    const files = ["hello.hvt", "opam-switch"].map((name) => join(directory, name));
    const id = (
      await other.ok("push", "hello", ...files, "--main", "hello.hvt", "--platform", "debian-12")
    ).trim();
    await server.ok("remote", "add", "other", other.address);
    const cwd = temporaryDirectory();
    const pulled = await server.robur(["pull", "hello", "--from", "other", "--platform", "debian-12"], {
      cwd,
    });
    expect(pulled).toMatchObject({ code: 0, stdout: `${SHA}  hello.hvt\n` });
    expect(
      (await server.robur(["pull", `hello@${id.slice(0, 8)}`, "--from", "other", "--store"])).stdout,
    ).toBe(`${id}\n`);
    const show = async (one: TestServer) =>
      JSON.parse(await one.ok("build", "show", "hello", "--json")).build;
    const [here, there] = [await show(server), await show(other)];
    expect(here.artifacts).toEqual(there.artifacts);
    expect(here.startedAt).toBe(there.startedAt);
    // Once more, and it is there already.
    const again = await server.robur(["pull", "hello", "--from", "other", "--store"]);
    expect(again).toMatchObject({ code: 0, stdout: `${id}\n` });
    expect(again.stderr).toContain("here already");
    expect(
      (await server.robur(["pull", "hello", "--from", "other", "--platform", "freebsd-14"])).code,
    ).not.toBe(0);
  });

  test("all builds are imported, once", async () => {
    for (const n of [1, 2, 3]) {
      writeFileSync(join(directory, `many-${n}`), `binary ${n}`);
      await other.ok("push", "many", join(directory, `many-${n}`), "--platform", "debian-12");
    }
    expect(await server.ok("import", other.address, "--job", "many", "--limit", "2")).toContain(
      "imported 2 builds",
    );
    expect(await server.ok("import", other.address)).toContain("imported 1 build, ");
    expect(await server.ok("import", other.address)).toContain("imported 0 builds");
    expect(JSON.parse(await server.ok("build", "ls", "many", "--json"))).toHaveLength(3);
  });

  test("a record goes out and comes in, by file and by push", async () => {
    const full = join(directory, "full");
    await other.ok("build", "export", "hello", "--format", "exec", "--output", full);
    const third = await TestServer.start();
    try {
      const id = (await third.ok("push", "--record", full)).trim();
      expect(JSON.parse(await third.ok("build", "show", id, "--json")).build.main.sha256).toBe(SHA);
      const again = await third.robur(["push", "--record", full]);
      expect(again).toMatchObject({ code: 0, stdout: `${id}\n` });
      expect(again.stderr).toContain("there already");
      await third.ok("build", "rm", "--yes", id);
      expect(await third.ok("import", "builder", full)).toContain("imported 1 build");
      // To another server it needs somebody who may.
      const refused = await other.robur(["push", "--record", full, "--to", third.address]);
      expect(refused.code).not.toBe(0);
      expect(refused.stderr).toContain("doesn't permit");
    } finally {
      await third[Symbol.asyncDispose]();
    }
  });

  test("who may not push is told so, by the own server too", async () => {
    await server.ok("user", "add", "ci");
    const token = (await server.ok("token", "create", "ci", "push", "--scope", "write")).trim();
    const file = join(directory, "hello.hvt");
    const push = (secret: string) =>
      server.robur(["push", "nothing", file, "--platform", "debian-12", "--host", server.address], {
        env: { ROBUR_TOKEN: secret },
      });
    expect(await push(token)).toMatchObject({
      code: 5,
      stderr: "error: ci may not upload builds of nothing\n",
    });
    const wrong = await push("robur_000000000000_wrong");
    expect(wrong.code).toBe(5);
    expect(wrong.stderr).toContain("robur token create");
    await server.ok("user", "uploads", "ci", "any");
    expect(await push(token)).toMatchObject({ code: 0 });
  });

  test("a large build goes on where it was, though the server is killed meanwhile", async () => {
    await using third = await TestServer.start();
    const big = join(directory, "big.hvt");
    const bytes = Buffer.alloc(48 * 1024 * 1024);
    for (let at = 0; at < bytes.length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
    writeFileSync(big, bytes);
    const ended = third.robur(["push", "big", big, "--platform", "debian-12"]);
    const received = () => {
      try {
        using db = new Database(join(third.data, "robur.db"), { readonly: true });
        return db.query<{ n: number }, []>("SELECT count(*) AS n FROM content_chunk").get()!.n > 20;
      } catch {
        return false;
      }
    };
    await until("a part of it is there", received);
    await third.kill();
    {
      using db = new Database(join(third.data, "robur.db"));
      expect(db.query("SELECT count(*) AS n FROM build").get()).toEqual({ n: 0 });
    }
    await third.up();
    expect(await ended).toMatchObject({ code: 0, stderr: "" });
    const { build } = JSON.parse(await third.ok("build", "show", "big", "--json"));
    expect(build.main).toMatchObject({ sha256: sha256Of(bytes), isKept: true });
  }, 120_000);

  test("files of builds are downloaded, and whole builds exported", async () => {
    const cwd = temporaryDirectory();
    const download = await other.robur(["build", "download", "hello"], { cwd });
    expect(download.stdout).toBe(`${SHA}  hello.hvt\n`);
    const piped = await other.robur(["build", "download", "hello", "opam-switch", "--output", "-"]);
    expect(piped.stdout).toBe('opam-version: "2.0"\n');
    expect((await other.robur(["build", "download", "hello", "nothing"])).code).toBe(3);
    await other.robur(["build", "export", "hello", "--output", "hello.tar"], { cwd });
    const { stdout } = Bun.spawnSync(["tar", "-tf", join(cwd, "hello.tar")]);
    expect(stdout.toString().split("\n")).toContain("bin/hello.hvt");
  });

  test("remotes are added, chosen and forgotten; the public one is there without that", async () => {
    const names = async () =>
      (JSON.parse(await other.ok("remote", "ls", "--json")) as { name: string; isDefault: boolean }[]).map(
        ({ name, isDefault }) => (isDefault ? `${name}*` : name),
      );
    expect(await names()).toEqual(["robur*"]);
    await other.ok("remote", "add", "home", "https://builds.example.org");
    expect(await names()).toEqual(["home", "robur*"]);
    await other.ok("remote", "default", "home");
    expect(await names()).toEqual(["home*", "robur"]);
    await other.ok("remote", "rm", "home");
    expect(await names()).toEqual(["robur*"]);
    expect((await other.robur(["remote", "rm", "home"])).code).toBe(3);
    expect((await other.robur(["remote", "add", "x", "https://me:pass@example.org"])).code).not.toBe(0);
    expect((await other.robur(["remote", "add", "x", "gopher://example.org"])).code).not.toBe(0);
  });
});
