/** Builds are uploaded as builder-server would upload them, and made again without a sandbox. */
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeRecord } from "../../src/protocols/builder/record-writer.ts";
import { type RunOptions, run, temporaryDirectory } from "../robur.ts";
import { TestServer } from "./client-server.ts";

/** An exec document of a job whose script gave these files. */
async function record(
  script: string,
  files: Readonly<Record<string, string>>,
  job = "hello",
): Promise<Uint8Array> {
  const written = writeRecord(
    {
      ...{ name: job, script: new TextEncoder().encode(script), platform: "debian-12" },
      ...{ uuid: crypto.randomUUID(), startedAt: 1_700_000_000_000, finishedAt: 1_700_000_001_000 },
      result: { kind: "exited", code: 0 },
    },
    [],
    Object.entries(files).map(([path, content]) => {
      const bytes = new TextEncoder().encode(content);
      return {
        ...{ path, size: bytes.length },
        bytes: async function* () {
          yield bytes;
        },
      };
    }),
  );
  const parts: Uint8Array[] = [];
  for await (const part of written.stream()) parts.push(part);
  return Buffer.concat(parts);
}

const SAME = "#!/bin/sh\nmkdir bin\nprintf 'always the same' >bin/out\n";
const DATED = "#!/bin/sh\nmkdir bin\ndate +'built on %Y-%m-%d' >bin/out\n";
const PLACED =
  "#!/bin/sh\nmkdir bin\ncase $PWD in *another/place) echo other;; *) echo usual;; esac >bin/out\n";

async function fileOf(bytes: Uint8Array): Promise<string> {
  const path = join(temporaryDirectory(), "full");
  await Bun.write(path, bytes);
  return path;
}

function reproduce(args: readonly string[], options: RunOptions = {}) {
  const data = temporaryDirectory();
  return run(["reproduce", ...args, "--unsafe-no-sandbox", "--data-dir", data], {
    limit: 120_000,
    ...options,
  });
}

describe("robur reproduce of a file", () => {
  const alone = ["--no-report"];

  test("says GOOD when the same comes out", async () => {
    const path = await fileOf(await record(SAME, { "bin/out": "always the same" }));
    const { code, stdout } = await reproduce([path, ...alone]);
    expect(stdout).toContain("same     bin/out");
    expect(stdout).toContain("GOOD: all 1 files are the same, bit for bit");
    expect(code).toBe(0);
  });

  test("says BAD, and names the date that differs", async () => {
    const path = await fileOf(await record(DATED, { "bin/out": "built on 2023-11-14\n" }));
    const { code, stdout } = await reproduce([path, ...alone, "--no-diffoscope"]);
    expect(stdout).toContain("DIFFERS  bin/out");
    expect(stdout).toMatch(/line 1: "built on 2023-11-14" is "built on 20\d\d-\d\d-\d\d" now/);
    expect(stdout).toContain("BAD: 1 of 1 files are not the same: bin/out differs");
    expect(code).toBe(10);
  });

  test("says FAIL when the job fails, and UNKNOWN when there was nothing", async () => {
    const failing = await fileOf(await record("#!/bin/sh\necho oh; exit 3\n", { "bin/out": "x" }));
    const failed = await reproduce([failing, ...alone]);
    expect(failed.stdout).toContain("FAIL: it could not be built again: exited 3");
    expect(failed.stderr).toContain("oh");
    expect(failed.code).toBe(11);
    const empty = await reproduce([
      await fileOf(await record(SAME, { "system-packages": "a=1\n" })),
      ...alone,
    ]);
    expect(empty.stdout).toContain("UNKNOWN");
    expect(empty.code).toBe(12);
  });

  test("finds the variation that the result depends on", async () => {
    const path = await fileOf(await record(PLACED, { "bin/out": "usual\n" }));
    const plain = await reproduce([path, ...alone]);
    expect(plain.code).toBe(0);
    const varied = await reproduce([path, ...alone, "--variations", "build-path,umask,timezone"]);
    expect(varied.stdout).toContain("MATTERS  build-path: another directory");
    expect(varied.stdout).toContain("varied   umask");
    expect(varied.stdout).toContain("BAD: the result depends on its surroundings, on: build-path");
    expect(varied.code).toBe(10);
    const steady = await fileOf(await record(SAME, { "bin/out": "always the same" }));
    const good = await reproduce([steady, ...alone, "--variations", "build-path,umask,timezone"]);
    expect(good.stdout).toContain("GOOD: all 1 files are the same, bit for bit, also in other surroundings");
    expect(good.code).toBe(0);
  });

  test("that is no record, or isn't there, is an error that says so", async () => {
    const path = join(temporaryDirectory(), "full");
    writeFileSync(path, "not DER");
    const { code, stderr } = await reproduce([path, ...alone]);
    expect(stderr).toStartWith("error: ");
    expect(code).toBe(1);
    expect((await reproduce([])).code).toBe(2);
    expect((await reproduce([path, "--variations", "weather"])).stderr).toContain(
      "there is no such variation",
    );
    const page = await reproduce(["http://127.0.0.1:9/nothing", ...alone]);
    expect(page.stderr).toContain("is no build's page");
  });
});

describe("robur reproduce of a server's build", () => {
  test("is reported, signed, and verified by others", async () => {
    await using server = await TestServer.start();
    const env = { ROBUR_HOST: `unix://${server.socket}` };
    const upload = async (bytes: Uint8Array) =>
      (
        await fetch("http://localhost/upload", {
          method: "POST",
          body: bytes as Uint8Array<ArrayBuffer>,
          unix: server.socket,
        })
      ).status;
    expect(await upload(await record(SAME, { "bin/out": "always the same" }))).toBe(201);
    expect(await upload(await record(DATED, { "bin/out": "built on 2023-11-14\n" }, "dated"))).toBe(201);

    const good = await reproduce(["hello"], { env });
    expect(good.stderr).not.toContain("error");
    expect(good.code).toBe(0);
    const { build } = JSON.parse((await run(["build", "show", "hello", "--json"], { env })).stdout) as {
      build: { id: string; main: { sha256: string } };
    };
    const ask = async (path: string) => (await fetch(`${server.address}${path}`)).text();
    expect(JSON.parse(await ask(`/api/v1/reproductions?build=${build.id}`))).toMatchObject({
      reproductions: [
        { build: build.id, verdict: "GOOD", report: { summary: expect.stringContaining("same") } },
      ],
    });

    // The statement, as anybody may fetch it, with the key that anybody may fetch.
    const statements = join(server.directory, "statements.jsonl");
    await Bun.write(statements, await ask(`/job/hello/build/${build.id}/attestations`));
    const key = (await run(["trust", "key"], { env })).stdout.trim();
    const file = join(server.directory, "out");
    await Bun.write(file, "always the same");
    const offline = { env: { ROBUR_HOST: "unix:///nonexistent/robur.sock" } };
    const verified = await run(["verify", file, "--by", key, "--statements", statements], offline);
    expect(verified.stdout).toContain(`sha256 ${build.main.sha256}`);
    expect(verified.stdout).toContain("built again by");
    expect(verified.stdout).toContain("verified: 1 of 1 trusted keys vouch for it");
    expect(verified.code).toBe(0);

    // Online: the server's own key counts.
    expect((await run(["verify", build.main.sha256], { env })).code).toBe(0);
    const two = await run(["verify", build.main.sha256, "--require", "2"], { env });
    expect(two.stdout).toContain("not verified: 1 of the 2 that are needed vouch for it");
    expect(two.code).toBe(1);

    // Another file has no voucher, and neither has one that could not be built again.
    await Bun.write(file, "something else");
    const other = await run(["verify", file, "--by", key, "--statements", statements], offline);
    expect(other.stdout).toContain("it speaks of another file");
    expect(other.code).toBe(1);
    expect((await reproduce(["dated", "--no-diffoscope"], { env })).code).toBe(10);
    const dated = JSON.parse(
      (await run(["build", "show", "dated", "--json"], { env })).stdout,
    ) as typeof build & {
      build: { id: string };
    };
    expect(await ask(`/job/dated/build/${dated.build.id}/attestations`)).toBe("");

    // The other forms of a build's papers.
    expect(await ask(`/job/hello/build/${build.id}/buildinfo`)).toContain("Format: 1.0\nSource: hello\n");
    // Whoever isn't an administrator can't have the server sign.
    const forged = await fetch(`${server.address}/api/v1/reproductions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        build: build.id,
        verdict: "GOOD",
        startedAt: 0,
        finishedAt: 0,
        files: [],
        inputs: [],
        report: {},
      }),
    });
    expect(forged.status).toBe(401);
  });

  test("of another server is found by its page", async () => {
    await using server = await TestServer.start();
    const bytes = await record(SAME, { "bin/out": "always the same" });
    await fetch("http://localhost/upload", {
      method: "POST",
      body: bytes as Uint8Array<ArrayBuffer>,
      unix: server.socket,
    });
    const page = `${server.address}/job/hello/build/latest`;
    const offline = { env: { ROBUR_HOST: "unix:///nonexistent/robur.sock" } };
    const found = await reproduce([page], offline);
    expect(found.stderr).toContain("no server keeps this verdict");
    expect(found.code).toBe(0);
    const missing = await reproduce([`${server.address}/job/nothing/build/latest`], offline);
    expect(missing.stderr).toContain("doesn't have this build");
  });
});

describe("robur trust", () => {
  test("adds, lists and removes keys, and refuses what is none", async () => {
    await using server = await TestServer.start();
    const env = { ROBUR_HOST: `unix://${server.socket}` };
    const key = "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    expect((await run(["trust", "add", "alice", key], { env })).code).toBe(0);
    expect((await run(["trust", "ls"], { env })).stdout).toContain(key);
    const again = await run(["trust", "add", "bob", key], { env });
    expect(again.stderr).toContain("alice is trusted already");
    expect(again.code).toBe(4);
    expect((await run(["trust", "add", "bob", "nonsense"], { env })).code).toBe(2);
    expect((await run(["trust", "rm", "alice"], { env })).code).toBe(0);
    expect((await run(["trust", "rm", "alice"], { env })).code).toBe(3);
    // Another server's, by its address: asked for first.
    const asked = await run(["trust", "add", "self", server.address], { env });
    expect(asked.code).not.toBe(0);
    expect((await run(["trust", "add", "--yes", "self", server.address], { env })).code).toBe(0);
    const own = (await run(["trust", "key"], { env })).stdout.trim();
    expect((await run(["trust", "ls", "--json"], { env })).stdout).toContain(own);
    expect((await run(["trust", "key", "--pem"], { env })).stdout).toStartWith(
      "-----BEGIN PUBLIC KEY-----\n",
    );
  });
});
