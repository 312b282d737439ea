import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "bun:test";
import { ReleaseServer } from "./release-server.ts";
import { fakeRobur, INSTALLER, PATH_SHELLS, Sandbox, SHELLS } from "./sandbox.ts";

describe.each(PATH_SHELLS)("the machine, under %s", (shell) => {
  const uname = (system: string, machine: string) =>
    `case $1 in -m) echo ${machine} ;; *) echo ${system} ;; esac`;

  test.each([
    ["Darwin", "arm64", "robur runs on Linux only, and this is Darwin"],
    ["FreeBSD", "amd64", "robur runs on Linux only, and this is FreeBSD"],
    ["Linux", "riscv64", "robur has no build for riscv64"],
    ["Linux", "i686", "robur has no build for i686"],
  ])("%s on %s is refused before anything is asked for", async (system, machine, message) => {
    using server = new ReleaseServer();
    using box = new Sandbox(shell);
    box.fake("uname", uname(system, machine));
    const { status, stderr } = await box.pipe(server.installer, []);
    expect(stderr).toStartWith(`error: ${message}\n`);
    expect(status).toBe(1);
    expect(server.requests).toEqual([]);
    expect(box.snapshot()).toEqual({});
  });

  test("aarch64 gets the executable for arm64", async () => {
    using server = new ReleaseServer();
    using box = new Sandbox(shell);
    box.fake("uname", uname("Linux", "aarch64"));
    const installer = server.installer.replace("/lib/ld-linux-aarch64.so.1", "/bin/sh");
    expect(await box.pipe(installer, [])).toMatchObject({ status: 0 });
    expect(server.requests).toContain("/releases/robur-linux-arm64.gz");
  });

  test("a system with musl, or without glibc's loader, is told that robur needs glibc", async () => {
    using server = new ReleaseServer();
    using box = new Sandbox(shell);
    const withoutLoader = server.installer.replaceAll(/loader=\S+/g, "loader=/nonexistent");
    const first = await box.pipe(withoutLoader, []);
    // As musl's ldd does it: on standard error, with a failure.
    box.fake("ldd", 'echo "musl libc (x86_64)" >&2; exit 1');
    const second = await box.pipe(server.installer, []);
    for (const { status, stderr } of [first, second]) {
      expect(stderr).toContain("error: robur needs the GNU C library (glibc)");
      expect(status).toBe(1);
    }
  });

  test.each([
    [["openssl"], "openssl is needed to check the signature", "apt install openssl"],
    [["gzip"], "gzip is needed to unpack", "apt install gzip"],
    [["curl", "wget"], "wget is needed to download robur (or curl)", "apt install curl"],
    [["sha256sum"], "sha256sum is needed to check", "apt install coreutils"],
  ])("without %p it says what is missing and how to get it", async (tools, message, hint) => {
    using server = new ReleaseServer();
    using box = new Sandbox(shell);
    box.remove(...tools);
    const { status, stderr } = await box.pipe(server.installer, []);
    expect(stderr).toMatch(/^error: /);
    expect(stderr).toContain(message);
    expect(stderr).toContain(`\n  try: ${hint}\n`);
    expect(status).toBe(1);
    expect(server.requests).toEqual([]);
  });

  test("an openssl that cannot verify Ed25519 is named", async () => {
    using server = new ReleaseServer();
    using box = new Sandbox(shell);
    for (const version of ["OpenSSL 1.1.1w  11 Sep 2023", "LibreSSL 3.8.2"]) {
      box.fake("openssl", `echo "${version}"`);
      const { status, stderr } = await box.pipe(server.installer, []);
      expect(stderr).toContain(
        `openssl 3 or newer is needed to check the signature of the download\n  this is ${version}`,
      );
      expect(status).toBe(1);
    }
  });

  test("root installs in /usr/local/bin", async () => {
    using server = new ReleaseServer();
    using box = new Sandbox(shell);
    box.fake("id", "echo 0");
    // The user is still nobody, who may not write there: that is as far as this test may go.
    const { status, stderr } = await box.pipe(server.installer, ["--dry-run"]);
    expect(stderr).toContain("error: cannot write to /usr/local/bin");
    expect(status).toBe(5);
  });
});

describe.each(SHELLS)("where it goes, under %s", (shell) => {
  test("the line for PATH is printed where it is needed, and only there", async () => {
    using server = new ReleaseServer();
    using box = new Sandbox(shell);
    const line = `  export PATH="${box.binDir}:$PATH"\n`;
    expect((await box.pipe(server.installer, [])).stderr).toContain(line);
    const env = { PATH: `${box.tools}:${box.binDir}` };
    expect((await box.pipe(server.installer, [], { env })).stderr).not.toContain("PATH");
    box.write("tools/robur", fakeRobur("0.0.1"));
    expect((await box.pipe(server.installer, [], { env })).stderr).toContain(
      `note: ${box.tools}/robur comes first on PATH`,
    );
  });

  test("--bin-dir may be relative, have spaces, and not be there yet", async () => {
    using server = new ReleaseServer();
    using box = new Sandbox(shell);
    for (const args of [["--bin-dir", "my programs/bin"], ["--bin-dir=my other programs"]]) {
      expect((await box.pipe(server.installer, [...args, "exit", "3"])).status).toBe(3);
    }
    expect(existsSync(box.path("home", "my programs", "bin", "robur"))).toBe(true);
    expect(existsSync(box.path("home", "my other programs", "robur"))).toBe(true);
  });

  test("a directory that cannot be written to is named before anything is downloaded", async () => {
    using server = new ReleaseServer();
    using box = new Sandbox(shell);
    mkdirSync(box.path("locked"));
    chmodSync(box.path("locked"), 0o555);
    box.write("home/file", "", 0o644);
    for (const directory of [box.path("locked"), box.path("locked", "bin"), box.path("home", "file")]) {
      const { status, stderr } = await box.pipe(server.installer, ["--bin-dir", directory]);
      expect(stderr).toStartWith(`error: cannot write to ${directory}\n  `);
      expect(stderr).toContain("\n  try: install.sh --bin-dir DIR, or run it as root\n");
      expect(status).toBe(5);
    }
    expect(server.requests).toEqual([]);
  });

  test("a directory named robur is not written into", async () => {
    using server = new ReleaseServer();
    using box = new Sandbox(shell);
    mkdirSync(box.target, { recursive: true });
    const { status, stderr } = await box.pipe(server.installer, []);
    expect(stderr).toStartWith(`error: ${box.target} is a directory\n`);
    expect(status).toBe(1);
    expect(box.snapshot("home/.local/bin")).toEqual({ robur: "directory 755" });
  });

  test("without HOME it asks for a directory, and with one it needs no HOME", async () => {
    using server = new ReleaseServer();
    using box = new Sandbox(shell);
    for (const HOME of [undefined, ""]) {
      const { status, stderr } = await box.pipe(server.installer, [], { env: { HOME } });
      expect(stderr).toBe(
        "error: there is no telling where to install robur: HOME is not set\n  try: install.sh --bin-dir DIR\n",
      );
      expect(status).toBe(1);
    }
    const args = ["--bin-dir", box.path("home", "bin"), "exit", "4"];
    expect((await box.pipe(server.installer, args, { env: { HOME: undefined } })).status).toBe(4);
  });
});

describe.each(SHELLS)("--dry-run, under %s", (shell) => {
  test("tells all and changes nothing", async () => {
    using server = new ReleaseServer();
    using box = new Sandbox(shell);
    box.write("home/robur.gz", "");
    const before = box.snapshot(".");
    const download = await box.pipe(server.installer, ["--dry-run", "--version", "1.2", "run", "x.hvt"]);
    expect(download.stderr).toContain(
      `would download robur-linux-x64.gz from ${server.url}/v1.2 and check its signature`,
    );
    expect(download.stderr).toContain(`would write ${box.target}\n`);
    expect(download.stderr).toContain(`would run: ${box.target} run x.hvt\n`);
    const file = await box.pipe(server.installer, ["--dry-run", "--binary", "robur.gz"]);
    expect(file.stderr).toContain("would install robur.gz\n");
    for (const { status, stdout } of [download, file])
      expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
    expect(server.requests).toEqual([]);
    expect(box.snapshot(".")).toEqual(before);
  });

  test("fails where the install would", async () => {
    using server = new ReleaseServer();
    using box = new Sandbox(shell);
    writeFileSync(box.path("home", ".local"), "");
    expect((await box.pipe(server.installer, ["--dry-run"])).status).toBe(5);
  });
});

/** Every long option that the script's own `case` knows. */
const OPTIONS = new Set(INSTALLER.match(/^\t\t--[a-z-]+(?==\*\)|\)| \|)/gm)?.map((option) => option.trim()));

describe.each(SHELLS)("the command line, under %s", (shell) => {
  test.each([
    [["--frobnicate"], "there is no option --frobnicate"],
    [["--version"], "--version needs a value"],
    [["--bin-dir", ""], "--bin-dir needs a value"],
    [["--version", "../../x"], "../../x is not a version"],
    [["--version=1 2"], "1 2 is not a version"],
    [["--purge"], "--purge goes with --uninstall"],
    [["--version", "1", "--binary", "x"], "--version and --binary exclude each other"],
    [["--uninstall", "now"], "--uninstall takes no arguments of robur: now"],
  ])("%p is a usage error", async (args, message) => {
    using server = new ReleaseServer();
    using box = new Sandbox(shell);
    const result = await box.pipe(server.installer, args);
    expect(result).toEqual({
      status: 2,
      stdout: "",
      stderr: `error: ${message}\n  try: install.sh --help\n`,
    });
  });

  test("--help tells of every option and does nothing", async () => {
    using box = new Sandbox(shell);
    const { status, stdout, stderr } = await box.install(["--help"], { env: { HOME: undefined } });
    for (const option of OPTIONS) expect(stderr).toContain(`\n  ${option} `);
    expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
  });

  test("nothing it prints has colours in it", async () => {
    using server = new ReleaseServer();
    using box = new Sandbox(shell);
    const { stdout } = await box.install([], { env: server.env, typed: "" });
    expect(stdout).toContain("installed robur 0.1.0");
    expect(stdout).not.toContain("\u001b");
  });
});
