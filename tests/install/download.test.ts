import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "bun:test";
import { ReleaseServer } from "./release-server.ts";
import { fakeRobur, INSTALLER, Sandbox, SHELLS } from "./sandbox.ts";

const sha256 = (bytes: string | Uint8Array) => new Bun.CryptoHasher("sha256").update(bytes).digest("hex");

describe.each(SHELLS)("downloading, under %s", (shell) => {
  test("a piped copy of the published installer installs the newest release", async () => {
    using server = new ReleaseServer(["0.1.0", "0.2.0"]);
    using box = new Sandbox(shell);
    const { status, stdout, stderr } = await box.pipe(server.installer, []);
    expect(stderr).toContain(`installed robur 0.2.0 (commit 0123abcd): ${box.target}`);
    expect(stderr).toContain(`SHA-256 ${sha256(fakeRobur("0.2.0"))}`);
    expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
    expect(readFileSync(box.target, "utf8")).toBe(fakeRobur("0.2.0"));
  });

  test("it adds the executable and where it came from to the home directory, and nothing else", async () => {
    using server = new ReleaseServer();
    using box = new Sandbox(shell);
    for (const name of [".profile", ".bashrc", ".zshrc", ".config/fish/config.fish"]) {
      box.write(`home/${name}`, `# ${name}\n`, 0o644);
    }
    const before = box.snapshot();
    await box.pipe(server.installer, []);
    const { ".local": local, ".local/bin": bin, ".local/bin/robur": robur, ...rest } = box.snapshot();
    const { ".config/robur": config, ".config/robur/origin": origin, ...after } = rest;
    expect(after).toEqual(before);
    expect([config, origin?.slice(0, 8)]).toEqual(["directory 755", "file 644"]);
    expect([local, bin]).toEqual(["directory 755", "directory 755"]);
    expect(robur).toStartWith("file 755");
    expect(box.snapshot("tmp")).toEqual({});
  });

  test("what robur upgrade needs is written down, and goes with robur", async () => {
    using server = new ReleaseServer();
    using box = new Sandbox(shell);
    const origin = box.path("home/.config/robur/origin");
    await box.pipe(server.installer, []);
    expect(readFileSync(origin, "utf8")).toBe(`base-url ${server.url}\npublic-key ${server.publicKey}\n`);
    box.write("home/.local/bin/robur.prev", "the one before");
    const { stderr } = await box.pipe(server.installer, ["--uninstall"]);
    expect(stderr).toContain(`removed ${box.target}.prev\nremoved ${box.home}/.config/robur/origin\n`);
    expect(existsSync(box.path("home/.config/robur"))).toBe(false);
    expect(existsSync(`${box.target}.prev`)).toBe(false);
  });

  test("a home directory that can't be written to costs no more than a note", async () => {
    using server = new ReleaseServer();
    using box = new Sandbox(shell);
    box.write("home/.config", "a file");
    const { status, stderr } = await box.pipe(server.installer, []);
    expect(status).toBe(0);
    expect(stderr).toContain(`note: cannot write ${box.home}/.config/robur/origin; robur upgrade will need`);
  });

  test("a copy saved to a file takes address and key from the environment", async () => {
    using server = new ReleaseServer();
    using box = new Sandbox(shell);
    const pem = createPublicKey(server.key).export({ type: "spki", format: "pem" }).toString();
    for (const ROBUR_PUBLIC_KEY of [server.publicKey, pem]) {
      const { status } = await box.install(["--bin-dir", "here"], {
        env: { ...server.env, ROBUR_PUBLIC_KEY },
      });
      expect(status).toBe(0);
      expect(existsSync(box.path("home", "here", "robur"))).toBe(true);
      const origin = readFileSync(box.path("home/.config/robur/origin"), "utf8");
      expect(origin).toEndWith(`public-key ${server.publicKey}\n`);
    }
  });

  test.each(["0.1.0", "v0.1.0"])("--version %s installs that version", async (version) => {
    using server = new ReleaseServer(["0.1.0", "0.2.0"]);
    using box = new Sandbox(shell);
    const { status } = await box.pipe(server.installer, ["--version", version]);
    expect(status).toBe(0);
    expect(readFileSync(box.target, "utf8")).toBe(fakeRobur("0.1.0"));
  });

  test("the arguments that remain are run by what was installed, and only they write to stdout", async () => {
    using server = new ReleaseServer();
    using box = new Sandbox(shell);
    const run = await box.pipe(server.installer, ["run", "--memory", "32M", "a b.hvt"]);
    expect(run).toMatchObject({
      status: 0,
      stdout: "argument: run\nargument: --memory\nargument: 32M\nargument: a b.hvt\n",
    });
    expect((await box.pipe(server.installer, ["--", "--version"])).stdout).toBe(
      "robur 0.1.0 (commit 0123abcd)\n",
    );
    expect((await box.pipe(server.installer, ["exit", "83"])).status).toBe(83);
    expect(box.snapshot("tmp")).toEqual({});
  });

  test("what is installed already is not downloaded again, and what differs is replaced", async () => {
    using server = new ReleaseServer();
    using box = new Sandbox(shell);
    await box.pipe(server.installer, []);
    server.requests.length = 0;
    const again = await box.pipe(server.installer, []);
    expect(again.status).toBe(0);
    expect(again.stderr).toContain(`already installed: ${box.target}`);
    expect(server.requests).not.toContain("/releases/robur-linux-x64.gz");
    writeFileSync(box.target, fakeRobur("0.1.0").replace("argument", "argumend"));
    expect((await box.pipe(server.installer, [])).stderr).toContain("installed robur 0.1.0");
    expect(readFileSync(box.target, "utf8")).toBe(fakeRobur("0.1.0"));
  });

  test("wget serves where there is no curl", async () => {
    using server = new ReleaseServer();
    using box = new Sandbox(shell);
    box.remove("curl");
    expect(await box.pipe(server.installer, [])).toMatchObject({ status: 0 });
    server.files.delete("robur-linux-x64.gz");
    const { status, stderr } = await box.pipe(server.installer, ["--bin-dir", "other"]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/error: cannot download .*\/robur-linux-x64.gz\n {2}.*404/);
  });

  describe("refuses, and installs nothing, when", () => {
    const cases: [string, (server: ReleaseServer) => void, RegExp][] = [
      [
        "the executable was changed",
        (s) => s.spoil("robur-linux-x64.gz"),
        /SHA-256 of robur-linux-x64.gz is not/,
      ],
      ["RELEASE was changed", (s) => s.spoil("RELEASE"), /SHA-256 of RELEASE is not/],
      ["SHA256SUMS was changed", (s) => s.spoil("SHA256SUMS"), /SHA256SUMS is not signed/],
      ["the signature was changed", (s) => s.spoil("SHA256SUMS.sig"), /SHA256SUMS is not signed/],
      [
        "the signature is empty",
        (s) => s.files.set("SHA256SUMS.sig", Buffer.of()),
        /SHA256SUMS is not signed/,
      ],
      ["there is no signature", (s) => s.files.delete("SHA256SUMS.sig"), /cannot download .*SHA256SUMS.sig/],
      ["there are no checksums", (s) => s.files.delete("SHA256SUMS"), /cannot download .*SHA256SUMS/],
      [
        "there is no executable",
        (s) => s.files.delete("robur-linux-x64.gz"),
        /cannot download .*x64.gz\n.*404/,
      ],
      [
        "another key signed",
        (s) => resign(s, generateKeyPairSync("ed25519").privateKey),
        /SHA256SUMS is not signed/,
      ],
      [
        "the executable is signed but does not run",
        (s) => s.release("0.3.0", { x64: "#!/bin/sh\nexit 132\n" }),
        /does not run here as robur\n {2}its answer to --version is: exit status 132/,
      ],
      [
        "the executable is signed but is no robur",
        (s) => s.release("0.3.0", { x64: "#!/bin/sh\necho ls 9.1\n" }),
        /does not run here as robur\n {2}its answer to --version is: ls 9.1/,
      ],
      [
        "the release has nothing for this machine",
        (s) => s.release("0.3.0", { arm64: fakeRobur("0.3.0") }),
        /this release has no robur-linux-x64.gz/,
      ],
    ];
    test.each(cases)("%s", async (_, spoil, message) => {
      using server = new ReleaseServer();
      using box = new Sandbox(shell);
      spoil(server);
      const { status, stdout, stderr } = await box.pipe(server.installer, ["run", "hello.hvt"]);
      expect(stderr).toMatch(message);
      expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
      expect(Object.keys(box.snapshot()).filter((name) => name.includes("robur"))).toEqual([]);
      expect(box.snapshot("tmp")).toEqual({});
    });

    test("an old release is served in the place of another version", async () => {
      using server = new ReleaseServer(["0.1.0", "0.2.0"]);
      using box = new Sandbox(shell);
      for (const name of ["RELEASE", "SHA256SUMS", "SHA256SUMS.sig", "robur-linux-x64.gz"]) {
        server.files.set(`v0.2.0/${name}`, server.file(`v0.1.0/${name}`));
      }
      const { status, stderr } = await box.pipe(server.installer, ["--version", "0.2.0"]);
      expect(stderr).toContain("/v0.2.0 holds version 0.1.0, not 0.2.0");
      expect(status).toBe(1);
      expect(existsSync(box.target)).toBe(false);
    });

    test("there is no such version", async () => {
      using server = new ReleaseServer();
      using box = new Sandbox(shell);
      const { status, stderr } = await box.pipe(server.installer, ["--version", "9.9.9"]);
      expect(stderr).toMatch(
        /cannot download .*\/v9.9.9\/SHA256SUMS\n {2}.*404.*\n {2}is there a version 9.9.9\?/,
      );
      expect(status).toBe(1);
    });

    test("no one answers at the address", async () => {
      using server = new ReleaseServer();
      using box = new Sandbox(shell);
      const env = { ...server.env, ROBUR_BASE_URL: "http://127.0.0.1:1/x" };
      const { status, stderr } = await box.install([], { env });
      expect(stderr).toMatch(/cannot download http:\/\/127.0.0.1:1\/x\/SHA256SUMS\n {2}\S/);
      expect(status).toBe(1);
    });

    test("it has no key, no address, or one that is none", async () => {
      using server = new ReleaseServer();
      using box = new Sandbox(shell);
      const wrong: [Record<string, string>, string][] = [
        [{}, "has no public key"],
        [{ ROBUR_BASE_URL: server.url }, "has no public key"],
        [{ ROBUR_PUBLIC_KEY: server.publicKey }, "no http or https address"],
        [{ ...server.env, ROBUR_BASE_URL: "file:///tmp" }, "no http or https address"],
        [{ ...server.env, ROBUR_PUBLIC_KEY: "AAAA" }, "no Ed25519 public key: AAAA"],
        [{ ...server.env, ROBUR_PUBLIC_KEY: "no key" }, "no Ed25519 public key: no key"],
      ];
      for (const [env, message] of wrong) {
        const { status, stderr } = await box.pipe(INSTALLER, [], { env });
        expect(stderr).toContain(message);
        expect(stderr).toContain("\n  try: ");
        expect(status).toBe(1);
      }
      expect(server.requests).toEqual([]);
      expect(box.snapshot()).toEqual({});
    });
  });

  test("nothing runs of a download of the installer that broke off, wherever it did", async () => {
    using server = new ReleaseServer();
    using box = new Sandbox(shell);
    const whole = server.installer.trimEnd();
    const tail = Array.from({ length: 80 }, (_, i) => whole.length - 1 - i);
    const spread = Array.from({ length: 60 }, (_, i) => Math.floor((whole.length * i) / 60));
    const runs = [...tail, ...spread].map((length) => box.pipe(whole.slice(0, length), ["run", "hello.hvt"]));
    for (const { stdout, stderr } of await Promise.all(runs)) {
      expect(stdout).toBe("");
      expect(stderr).not.toContain("downloading");
    }
    expect(box.snapshot()).toEqual({});
    expect(server.requests).toEqual([]);
    expect((await box.pipe(whole, [])).status).toBe(0);
  });

  test("several at once leave one whole executable", async () => {
    using server = new ReleaseServer(["0.1.0", "0.2.0"]);
    using box = new Sandbox(shell);
    await box.pipe(server.installer, []);
    const versions = Array.from({ length: 8 }, (_, i) => (i % 2 ? "0.1.0" : "0.2.0"));
    const state = { running: true };
    const installs = versions.map((version) => box.pipe(server.installer, ["--version", version]));
    const done = Promise.all(installs).finally(() => (state.running = false));
    const statuses = new Set<number>();
    // The path is a whole robur at every moment.
    while (state.running) statuses.add(await Bun.spawn([box.target, "exit", "7"]).exited);
    for (const { status } of await done) expect(status).toBe(0);
    expect([...statuses]).toEqual([7]);
    expect(Object.keys(box.snapshot("home/.local/bin"))).toEqual(["robur"]);
    expect([fakeRobur("0.1.0"), fakeRobur("0.2.0")]).toContain(readFileSync(box.target, "utf8"));
  });
});

describe.each(SHELLS)("--binary, under %s", (shell) => {
  test.each([
    ["an executable", "robur-here", fakeRobur("0.4.0")],
    ["a .gz of one", "robur-here.gz", gzipSync(fakeRobur("0.4.0"))],
  ])("installs %s without a download", async (_, name, content) => {
    using box = new Sandbox(shell);
    box.remove("curl", "wget", "openssl");
    box.write(`home/${name}`, content, 0o644);
    const { status, stdout, stderr } = await box.install(["--binary", name, "run", "x.hvt"]);
    expect(stderr).toContain("installed robur 0.4.0");
    expect(stderr).toContain(`SHA-256 ${sha256(fakeRobur("0.4.0"))}`);
    expect({ status, stdout }).toEqual({ status: 0, stdout: "argument: run\nargument: x.hvt\n" });
    expect(readFileSync(box.target, "utf8")).toBe(fakeRobur("0.4.0"));
  });

  test("refuses what is not there, not gzip, or no robur", async () => {
    using box = new Sandbox(shell);
    box.write("home/broken.gz", gzipSync(fakeRobur("0.4.0")).subarray(0, 60));
    box.write("home/other", "#!/bin/sh\necho other 1.0\n");
    const wrong: [string, string][] = [
      ["missing", "there is no file missing"],
      ["broken.gz", "cannot unpack broken.gz"],
      ["other", "other does not run here as robur"],
    ];
    for (const [name, message] of wrong) {
      const { status, stderr } = await box.install(["--binary", name]);
      expect(stderr).toContain(`error: ${message}`);
      expect(status).toBe(1);
    }
    expect(Object.keys(box.snapshot("home")).filter((name) => name.includes("robur"))).toEqual([]);
  });
});

/** Signs the checksums anew, as someone with another key would. */
function resign(server: ReleaseServer, key: KeyObject): void {
  server.files.set("SHA256SUMS.sig", sign(null, server.file("SHA256SUMS"), key));
}
