/** Builds are uploaded as builder-server would upload them, and made again without a sandbox. */
import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { sha256Of } from "../../src/lib/sha256-of.ts";
import { formatPublicKey, newSigningKey, signWith } from "../../src/trust/keys.ts";
import { writeRecord } from "../../src/protocols/builder/record-writer.ts";
import { type RunOptions, run, start, temporaryDirectory } from "../robur.ts";
import { TestServer } from "./client-server.ts";

/** An exec document of a job whose script gave these files. */
async function record(
  script: string,
  files: Readonly<Record<string, string>>,
  job = "hello",
  platform = "debian-12",
  code = 0,
): Promise<Uint8Array> {
  const written = writeRecord(
    {
      ...{ name: job, script: new TextEncoder().encode(script), platform },
      ...{ uuid: crypto.randomUUID(), startedAt: 1_700_000_000_000, finishedAt: 1_700_000_001_000 },
      result: { kind: "exited", code },
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
    expect(stdout).toContain("GOOD: bin/out is the same, bit for bit");
    expect(code).toBe(0);
  });

  test("says BAD, and names the date that differs", async () => {
    const path = await fileOf(await record(DATED, { "bin/out": "built on 2023-11-14\n" }));
    const { code, stdout } = await reproduce([path, ...alone, "--no-diffoscope"]);
    expect(stdout).toContain("DIFFERS  bin/out");
    expect(stdout).toMatch(/line 1: "built on 2023-11-14" is "built on 20\d\d-\d\d-\d\d" now/);
    expect(stdout).toContain("BAD: bin/out differs\n");
    expect(code).toBe(10);
  });

  test("asks diffoscope, where it is installed, and prints nothing that moves the cursor", async () => {
    const path = await fileOf(await record(DATED, { "bin/out": "built on 2023-11-14\n" }));
    const bin = temporaryDirectory();
    const program = join(bin, "diffoscope");
    const fake = (end: string) => {
      writeFileSync(
        program,
        `#!/bin/sh\nfor file; do :; done\nprintf 'it differs\\033[2J\\t'; cat "$file"; ${end}\n`,
      );
      chmodSync(program, 0o755);
    };
    const env = { PATH: `${bin}:${process.env["PATH"]}` };
    fake("exit 1");
    const found = await reproduce([path, ...alone], { env });
    expect(found.stdout).toMatch(
      /^\ndiffoscope on bin\/out:\nit differs\\x1b\[2J {4}built on 20\d\d-\d\d-\d\d\n/,
    );
    expect(found.stdout).toEndWith("\nBAD: bin/out differs\n");
    expect(found.code).toBe(10);
    fake("exit 2");
    expect((await reproduce([path, ...alone], { env })).stdout).toContain("it ended with 2\n");
    expect((await reproduce([path, ...alone, "--no-diffoscope"], { env })).stdout).not.toContain(
      "diffoscope",
    );
    expect(JSON.parse((await reproduce([path, ...alone, "--json"], { env })).stdout)).toMatchObject({
      verdict: "BAD",
      files: [{ path: "bin/out", state: "differs" }],
    });
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

  test("that ended with another status than 0 is to end with that again", async () => {
    const odd = `${SAME}exit 3\n`;
    const as = async (code: number) =>
      reproduce([
        await fileOf(await record(odd, { "bin/out": "always the same" }, "hello", "x", code)),
        ...alone,
      ]);
    expect((await as(3)).stdout).toContain("GOOD: bin/out is the same");
    expect((await as(4)).stdout).toContain("FAIL: it could not be built again: exited 3");
  });

  test("with more files than a process may have open is compared as a whole", async () => {
    const script = "#!/bin/sh\nmkdir bin; i=0; while [ $i -lt 1500 ]; do i=$((i+1)); echo $i >bin/$i; done\n";
    const files = Array.from({ length: 1500 }, (_, i) => [`bin/${i + 1}`, `${i + 1}\n`] as const);
    const path = await fileOf(await record(script, Object.fromEntries(files)));
    const { stdout } = await reproduce([path, ...alone], {
      under: ["sh", "-c", 'ulimit -n 256; exec "$@"', "sh"],
    });
    expect(stdout).toContain("GOOD: all 1500 files are the same");
  });

  test("shows a console without what could harm a terminal", async () => {
    const script = `#!/bin/sh
printf '\\033]0;owned\\007\\033[2J\\033[31mred\\033[0m \\033[?25lnone \\001\\n'
exit 3
`;
    const path = await fileOf(await record(script, { "bin/out": "usual\n" }));
    const { stderr } = await reproduce([path, ...alone]);
    expect(stderr).toContain("\nred none \\x01\n");
    const quiet = await reproduce([path, ...alone, "--quiet"]);
    expect(quiet.stdout).toContain("  | red none \\x01\n");
    expect(`${stderr}${quiet.stderr}${quiet.stdout}`).not.toContain("\x1b");
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
    expect(good.stdout).toContain("GOOD: bin/out is the same, bit for bit, also in other surroundings");
    expect(good.code).toBe(0);
  });

  test("tells what can't be built in other surroundings from what differs in them", async () => {
    const strict = "#!/bin/sh\n[ $(umask) = 0022 ] || exit 9\nmkdir bin\necho $TZ >bin/out\n";
    const path = await fileOf(await record(strict, { "bin/out": "\n" }));
    const fails = await reproduce([path, ...alone, "--variations", "umask,environment"]);
    expect(fails.stdout).toContain("FAILS    umask: umask 0002");
    expect(fails.stdout).toContain("varied   environment");
    expect(fails.stdout).toContain(
      "FAIL: the same in the same surroundings, but it can't be built in others: umask",
    );
    expect(fails.code).toBe(11);
    const both = await reproduce([path, ...alone, "--variations", "umask,timezone"]);
    expect(both.stdout).toContain("MATTERS  timezone");
    expect(both.stdout).toContain(
      "BAD: the result depends on its surroundings, on: timezone; and it can't be",
    );
    expect(both.code).toBe(10);
  });

  test("changes nothing of the machine, whatever is varied without a sandbox", async () => {
    const before = [hostname(), existsSync("/etc/ld.so.preload")];
    const path = await fileOf(await record(SAME, { "bin/out": "always the same" }));
    const data = temporaryDirectory();
    const args = ["reproduce", path, "--variations", ...alone, "--unsafe-no-sandbox", "--data-dir", data];
    const { stdout } = await run(args, { limit: 120_000 });
    expect(stdout).toContain("GOOD: bin/out is the same, bit for bit, also in other surroundings");
    expect(stdout).toContain("not so   hostname");
    expect([hostname(), existsSync("/etc/ld.so.preload")]).toEqual(before);
    expect(existsSync("/tmp/robur-varied")).toBe(false);
    expect(readdirSync(join(data, "jobs"))).toEqual([]);
  });

  test("runs the script as it is, by its own name, with nothing beside it", async () => {
    const script = '#!/bin/sh\nmkdir bin\n{ ls -A; basename "$0"; sha256sum <"$0"; } >bin/out\n';
    const sum = new Bun.CryptoHasher("sha256").update(script).digest("hex");
    const path = await fileOf(await record(script, { "bin/out": `bin\nscript.sh\nscript.sh\n${sum}  -\n` }));
    expect((await reproduce([path, ...alone])).stdout).toContain("GOOD: ");
  });

  test("that fails shows the end of what it wrote where nobody has seen it", async () => {
    const path = await fileOf(await record("#!/bin/sh\necho the reason; exit 3\n", { "bin/out": "x" }));
    const { stdout, stderr } = await reproduce([path, ...alone, "--quiet"]);
    expect(stdout).toContain("  | the reason\n");
    expect(stderr).not.toContain("the reason");
    expect(stderr).toContain("it could reach nothing; if it needs to: --network all");
  });

  test("where no sandbox can be made is an error, and no verdict", async () => {
    const path = await fileOf(await record(SAME, { "bin/out": "always the same" }, "hello", "plan9-4"));
    const args = ["reproduce", path, ...alone, "--data-dir", temporaryDirectory()];
    const { code, stdout, stderr } = await run(args);
    expect(stderr).toMatch(/^error: /m);
    expect(stdout).toBe("");
    expect(code).not.toBe(11);
  });

  test("that is interrupted concludes nothing and leaves nothing", async () => {
    const scratch = temporaryDirectory();
    const path = await fileOf(await record("#!/bin/sh\necho begun; sleep 1000\n", { "bin/out": "x" }));
    const args = ["reproduce", path, ...alone, "--unsafe-no-sandbox", "--data-dir", join(scratch, "data")];
    const child = await start(args, { env: { TMPDIR: scratch } });
    let said = "";
    for await (const piece of child.stderr) {
      said += new TextDecoder().decode(piece);
      if (said.includes("begun")) break;
    }
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
    expect(await child.stdout.text()).toBe("");
    // The runtime keeps what it unpacked of itself.
    expect(readdirSync(scratch).filter((name) => !name.startsWith(".bun-"))).toEqual(["data"]);
    expect(readdirSync(join(scratch, "data/jobs"))).toEqual([]);
  });

  test("that is no record, or isn't there, is an error that says so", async () => {
    const path = join(temporaryDirectory(), "full");
    writeFileSync(path, "not DER");
    const { code, stderr } = await reproduce([path, ...alone]);
    expect(stderr).toStartWith(`error: ${path} is no record of a build\n`);
    expect(code).toBe(1);
    const cut = (await record(SAME, { "bin/out": "always the same" })).subarray(0, 60);
    expect((await reproduce([await fileOf(cut), ...alone])).stderr).toContain("is no record of a build");
    const offline = { env: { ROBUR_HOST: "unix:///nonexistent/robur.sock" } };
    expect((await reproduce([temporaryDirectory(), ...alone], offline)).stderr).not.toContain(
      "fault in robur",
    );
    expect((await reproduce([])).code).toBe(2);
    expect((await reproduce([path, "--variations", "weather"])).stderr).toContain(
      "there is no such variation",
    );
    expect((await reproduce([path, "--timeout", "soon"])).code).toBe(2);
    expect((await reproduce([path, "--timeout", "8d"])).code).toBe(2);
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

    // The build's page says so, complete without JavaScript, and so does the command.
    const page = await ask(`/job/hello/build/${build.id}`);
    for (const text of ["Reproduced by 1 rebuild", "Signed statements", "Built again, the same,"]) {
      expect(page).toContain(text);
    }
    expect(page).toContain(`robur reproduce ${server.address}/job/hello/build/${build.id}`);
    const shown = (await run(["build", "show", "hello"], { env })).stdout;
    expect(shown).toMatch(/^GOOD {5}.*bin\/out is the same/m);
    expect(shown).toMatch(/^rebuilt .*signed by this server$/m);

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
    const bad = await ask(`/job/dated/build/${dated.build.id}`);
    for (const text of ["not reproducible", "What differs when it is built again", "DIFFERS  bin/out"]) {
      expect(bad).toContain(text);
    }
    expect(await ask("/job/dated")).toContain("not reproducible");
    expect((await run(["events"], { env })).stdout).toContain(
      "build-differs  dated on debian-12: built again, it was not the same, bin/out differs",
    );
    expect(await ask("/all-builds")).toContain("not reproducible");

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
    const job = await reproduce([`${server.address}/job/hello?platform=debian-12`], offline);
    expect(job.code).toBe(0);
    const missing = await reproduce([`${server.address}/job/nothing/build/latest`], offline);
    expect(missing.stderr).toContain("doesn't have this build");
  });
});

describe("statements of another server", () => {
  test("come with a build that is pulled, and count once its key is trusted", async () => {
    await using other = await TestServer.start();
    await using own = await TestServer.start();
    const [there, here] = [other, own].map(({ socket }) => ({ env: { ROBUR_HOST: `unix://${socket}` } }));
    await fetch("http://localhost/upload", {
      method: "POST",
      body: (await record(SAME, { "bin/out": "always the same" })) as Uint8Array<ArrayBuffer>,
      unix: other.socket,
    });
    expect((await reproduce(["hello"], there)).code).toBe(0);
    expect((await run(["pull", "hello", "--from", other.address, "--store"], here)).code).toBe(0);
    expect((await run(["build", "show", "hello"], here)).stdout).toContain("signed by somebody unknown");
    const { sha256 } = (
      JSON.parse((await run(["build", "show", "hello", "--json"], here)).stdout) as {
        build: { main: { sha256: string } };
      }
    ).build.main;
    const stranger = await run(["verify", sha256], here);
    expect(stranger.stdout).toContain("none of the trusted keys signed it");
    expect(stranger.code).toBe(1);
    expect((await run(["trust", "add", "--yes", "alice", other.address], here)).code).toBe(0);
    expect((await run(["build", "show", "hello"], here)).stdout).toContain("signed by alice");
    expect((await run(["verify", sha256], here)).code).toBe(0);
    // The own server's word makes two; a key that is trusted under a name as well is still one.
    const two = ["verify", sha256, "--require", "2"];
    expect((await run(two, here)).code).toBe(1);
    expect((await reproduce(["hello"], here)).code).toBe(0);
    expect((await run(two, here)).code).toBe(0);
    // Another server is asked beside the own one, not instead of it; what both have is one statement.
    const both = await run([...two, "--from", other.address], here);
    expect(both.stdout.match(/built again by/g)).toHaveLength(2);
    expect(both.code).toBe(0);
    const key = (await run(["trust", "key"], here)).stdout.trim();
    expect((await run(["trust", "add", "myself", key], here)).code).toBe(0);
    const three = await run(["verify", sha256, "--require", "3"], here);
    expect(three.stdout).toContain("not verified: 2 of the 3");
    // Asked directly, without a server of one's own.
    const offline = { env: { ROBUR_HOST: "unix:///nonexistent/robur.sock" } };
    const asked = await run(["verify", sha256, "--by", key, "--from", other.address], offline);
    expect(asked.code).toBe(1);
    const nobody = await run(["verify", sha256, "--from", other.address], offline);
    expect(nobody.stderr).toContain("--by KEY, and --statements FILE");
    expect((await run(["verify", temporaryDirectory(), "--by", key], offline)).code).toBe(3);
  });

  test("are asked of a rebuilderd by the file's name", async () => {
    const key = newSigningKey();
    const file = join(temporaryDirectory(), "hello_1.0_amd64.deb");
    writeFileSync(file, "a package");
    const signed = {
      ...{ _type: "link", name: "rebuild hello_1.0_amd64.deb", materials: {}, environment: null },
      products: { "hello_1.0_amd64.deb": { sha256: sha256Of("a package") } },
      ...{ byproducts: {}, command: [] },
    };
    const canonical = `{"_type":"link","byproducts":{},"command":[],"environment":null,"materials":{},"name":"${signed.name}","products":${JSON.stringify(signed.products)}}`;
    const sig = Buffer.from(signWith(key, new TextEncoder().encode(canonical))).toString("hex");
    const url = "https://deb.example/pool/hello_1.0_amd64.deb";
    const found = { records: [{ url, build_id: 1, artifact_id: 2, attestation_log_id: 3 }] };
    using rebuilderd = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: ({ url }) =>
        Response.json(url.includes("/attestation") ? { signed, signatures: [{ keyid: "", sig }] } : found),
    });
    const from = ["--rebuilderd", `http://127.0.0.1:${rebuilderd.port}`];
    const args = ["verify", file, "--by", formatPublicKey(key.public), ...from];
    const offline = { env: { ROBUR_HOST: "unix:///nonexistent/robur.sock" } };
    const { code, stdout } = await run(args, offline);
    expect(stdout).toContain("built again by");
    expect(code).toBe(0);
    const byHash = ["verify", sha256Of("a package"), "--by", formatPublicKey(key.public), ...from];
    expect((await run(byHash, offline)).code).toBe(2);
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
