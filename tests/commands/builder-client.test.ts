/** The executable under the names of builder's programs, against its own server. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { printInfo } from "../../src/commands/client/builder-text.ts";
import { FrameReader } from "../../src/protocols/builder/framing.ts";
import { decodeMessage } from "../../src/protocols/builder/messages.ts";
import { BuildServer } from "../builds/build-server.ts";
import { run, start, until } from "../robur.ts";

const VECTORS = join(import.meta.dir, "../vectors/builder/client");

test("info is printed as the original printed it", () => {
  for (const name of ["c01-info-empty", "c05-info", "c06-info-after-one", "c11-info-orb"]) {
    const bytes = new Uint8Array(readFileSync(join(VECTORS, `${name}.s2c.bin`)));
    const [, reply] = new FrameReader().push(bytes).map(decodeMessage);
    if (reply?.type !== "info-reply") throw new Error(`${name} has no reply`);
    expect(printInfo(reply)).toBe(readFileSync(join(VECTORS, `${name}.out.txt`), "utf8"));
  }
});

describe("recorded conversations", () => {
  /** Answers each connection as the original's server did, and keeps what was said. */
  async function replay(names: readonly string[], args: readonly string[]) {
    const said: Buffer[] = [];
    const answers = names.map((name) => readFileSync(join(VECTORS, `${name}.s2c.bin`)));
    const server = createServer((socket) => {
      const answer = answers[said.length] ?? Buffer.alloc(0);
      const pieces: Buffer[] = [];
      said.push(Buffer.alloc(0));
      const place = said.length - 1;
      socket.on("error", () => undefined);
      socket.on("data", (bytes: Buffer) => {
        pieces.push(bytes);
        said[place] = Buffer.concat(pieces);
      });
      // The hello first, the rest when the command is there.
      const hello = 8 + Number(answer.readBigUInt64BE(0));
      socket.write(answer.subarray(0, hello));
      const wanted = readFileSync(join(VECTORS, `${names[place]}.c2s.bin`)).length;
      socket.on("data", () => {
        if (said[place]!.length >= wanted) socket.end(answer.subarray(hello));
      });
    });
    const { promise, resolve } = Promise.withResolvers<number>();
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
    const ended = await run(args, {
      as: "builder-client",
      env: { BUILDER_REMOTE: `127.0.0.1:${await promise}` },
    });
    server.close();
    return { ...ended, said };
  }

  const file = (name: string) => join(VECTORS, "../files", name);
  const cases: [string[], string[], number][] = [
    [["c01-info-empty"], ["info"], 0],
    [["c02-schedule-hello"], ["schedule", "hello", "debian-12", file("hello-1.sh"), "--period", "never"], 0],
    [["c03-schedule-weekly"], ["schedule", "net", "debian-12", file("net.sh"), "--period=weekly"], 0],
    [["c04-schedule-dup"], ["schedule", "hello", "debian-12", file("hello-1.sh")], 124],
    [["c05-info"], ["info"], 0],
    [["c10-orb-build"], ["orb-build", "myunikernel", "my-opam-package", "--period", "never"], 0],
    [["c11-info-orb"], ["info"], 0],
    [["c13-observe-latest", "c13-observe-latest.second"], ["observe-latest"], 0],
    [["c14-execute"], ["execute", "slow"], 0],
    [["c15-observe-id"], ["observe", "a3aef779-5967-4727-b27a-73f363b9c96f"], 0],
  ];
  for (const [names, args, status] of cases) {
    test(`${args[0]} says the original's bytes, and prints what it printed (${names[0]})`, async () => {
      const { code, stdout, stderr, said } = await replay(names, args);
      expect(code).toBe(status);
      for (const [i, name] of names.entries()) {
        expect(said[i]!.toString("hex")).toBe(readFileSync(join(VECTORS, `${name}.c2s.bin`)).toString("hex"));
      }
      const printed = join(VECTORS, `${names[0]}.out.txt`);
      expect(stdout + stderr).toBe(existsSync(printed) ? readFileSync(printed, "utf8") : "");
    }, 20_000);
  }
});

describe("builder's programs", () => {
  const server = new BuildServer();
  let remote = "";
  const client = (...args: readonly string[]) =>
    run(args, { as: "builder-client", env: { BUILDER_REMOTE: remote } });

  beforeAll(async () => {
    const port = await freePort();
    remote = `127.0.0.1:${port}`;
    await server.up("--workers", "0", "--builder-listen", remote);
    await until("the port answers", async () => (await client("info")).code === 0);
  }, 60_000);
  afterAll(() => server[Symbol.asyncDispose]());

  test("client and worker make a build, and an observer sees it from the first line to the end", async () => {
    const script = join(server.directory, "hello.sh");
    writeFileSync(script, "#!/bin/sh\necho one; sleep 1; echo two; mkdir bin; echo data > bin/x; exit 3\n");
    expect((await client("schedule", "hello", "debian-12", script, "--period", "never")).code).toBe(0);
    const twice = await client("schedule", "hello", "debian-12", script);
    expect([twice.code, twice.stderr]).toEqual([124, "builder-client: job name already used\n"]);
    const worker = await start(["debian-12", "-r", remote], { as: "builder-worker" });
    await until("it runs", async () => (await client("info")).stdout.includes("uuid"));
    const seen = await client("observe-latest");
    expect(seen.stdout).toMatch(/^Observing hello on debian-12 \([0-9a-f-]{36}\)\n/);
    const texts = seen.stdout
      .split("\n")
      .slice(1, -1)
      .map((line) => line.replace(/^\d+\.\d{3}(ms|s|μs) /, ""));
    expect(texts).toEqual(["one", "two", "exited 3"]);
    expect(await worker.exited).toBe(0);
    expect(await worker.stdout.text()).toMatch(
      /^\d+ received job uuid [0-9a-f-]{36}: name hello on debian-12\n$/,
    );
    const { stdout } = await server.robur("build", "ls", "hello", "--json");
    expect(JSON.parse(stdout)).toMatchObject([{ job: "hello", result: { kind: "exited", code: 3 } }]);
  }, 60_000);

  test("what goes wrong has the original's words and statuses", async () => {
    const cases: [string[], number, string][] = [
      [["unschedule", "none"], 124, "unknown job none"],
      [["execute", "none"], 124, "execute failed: job not found"],
      [["drop-platform", "none"], 124, "unknown platform none"],
      [["reschedule", "none", "2026-01-02T03:04:05Z"], 124, "couldn't find job none"],
      [["reschedule", "none", "2026-01-02T03:04:05+02:00"], 124, "is no time in UTC"],
      [["observe", "none"], 124, "is no UUID"],
      [["info", "-r", "localhost:1"], 124, "is not IP:PORT"],
      [["info", "-r", "127.0.0.1:1"], 123, "no builder-server answers"],
      [["nothing"], 124, "nothing"],
    ];
    for (const [args, status, text] of cases) {
      const { code, stderr } = await client(...args);
      expect([args, code, stderr]).toEqual([args, status, expect.stringContaining(text)] as never);
    }
    const gone = await client("observe", "00112233-4455-6677-8899-aabbccddeeff");
    expect([gone.code, gone.stderr]).toEqual([0, expect.stringContaining("uuid not found")] as never);
    expect((await client("--version")).stdout).toMatch(/^version \S+ protocol: client 13 worker 5\n$/);
  }, 60_000);
});

async function freePort(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const probe = createServer().listen(0, "127.0.0.1", () => {
    const address = probe.address();
    probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
  });
  return promise;
}
