import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import { compareVersions } from "../../src/release/fetch-release.ts";
import { chooseOrigin, originPath, readPublicKey } from "../../src/release/origin.ts";
import { ReleaseError } from "../../src/release/release-error.ts";
import { VERSION } from "../../src/lib/version.ts";
import { ReleaseServer } from "../install/release-server.ts";
import { fakeRobur } from "../install/sandbox.ts";
import { IS_ROOT, NOBODY } from "../needs.ts";
import { type Ended, environment, roburExecutable, temporaryDirectory } from "../robur.ts";

const NEWER = "99.0.0";
const ORIGIN = ".config/robur/origin";

/** Root's robur keeps what it knows in /etc, where no test has any business. */
const UNDER = IS_ROOT ? ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"] : [];

/** A home directory with the real robur installed in it. It runs as somebody who isn't root. */
class Home {
  readonly path = temporaryDirectory();
  readonly robur = join(this.path, "robur");
  readonly previous = `${this.robur}.prev`;

  static async make(): Promise<Home> {
    const home = new Home();
    copyFileSync(await roburExecutable(), home.robur);
    chmodSync(home.robur, 0o755);
    return home;
  }

  async run(args: readonly string[], env: Record<string, string | undefined> = {}): Promise<Ended> {
    const nothing = {
      ROBUR_BASE_URL: undefined,
      ROBUR_PUBLIC_KEY: undefined,
      ROBUR_DATA_DIR: join(this.path, "data"),
    };
    if (IS_ROOT) Bun.spawnSync(["chown", "-R", `${NOBODY}:${NOBODY}`, this.path]);
    const child = Bun.spawn([...UNDER, this.robur, ...args], {
      env: environment({ HOME: this.path, XDG_CONFIG_HOME: join(this.path, ".config"), ...nothing, ...env }),
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [stdout, stderr] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code: child.exitCode, signal: child.signalCode, stdout, stderr };
  }

  /** As `robur upgrade` from a server. */
  upgrade(server: ReleaseServer, ...args: string[]): Promise<Ended> {
    return this.run(["upgrade", ...args], server.env);
  }

  version(): string {
    return Bun.spawnSync([this.robur, "--version"]).stdout.toString();
  }
}

describe("where upgrades come from", () => {
  const key = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

  test("is a flag, the environment, or what install.sh wrote down", () => {
    const text = `base-url https://written.example/\npublic-key ${key}\n`;
    const choose = (asked: { from?: string; key?: string }, environment: Record<string, string>) =>
      chooseOrigin({ from: asked.from, key: asked.key }, environment, text).baseUrl;
    expect(choose({}, {})).toBe("https://written.example");
    expect(choose({}, { ROBUR_BASE_URL: "https://set.example" })).toBe("https://set.example");
    expect(choose({ from: "http://asked.example/x/" }, { ROBUR_BASE_URL: "https://set.example" })).toBe(
      "http://asked.example/x",
    );
    expect(() => chooseOrigin({ from: undefined, key: undefined }, {}, undefined)).toThrow(
      /isn't known where/,
    );
    expect(() => chooseOrigin({ from: "https://a.example", key: undefined }, {}, undefined)).toThrow(
      /whose releases/,
    );
    expect(() => choose({ from: "file:///tmp" }, {})).toThrow(/not an http/);
    expect(originPath({ HOME: "/home/a" }, false)).toBe(`/home/a/${ORIGIN}`);
    expect(originPath({ HOME: "/root" }, true)).toBe("/etc/robur/origin");
  });

  test("has a key in base64 or PEM, and no other", () => {
    const { publicKey } = generateKeyPairSync("ed25519");
    const der = publicKey.export({ type: "spki", format: "der" });
    const pem = publicKey.export({ type: "spki", format: "pem" }).toString();
    expect(readPublicKey(pem).equals(publicKey)).toBe(true);
    expect(readPublicKey(der.subarray(-32).toString("base64")).equals(publicKey)).toBe(true);
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey;
    for (const bad of ["", "x", "AAAA", rsa.export({ type: "spki", format: "pem" }).toString()])
      expect(() => readPublicKey(bad)).toThrow(ReleaseError);
  });

  test("versions have an order", () => {
    const ordered = [
      "0.1.0-alpha",
      "0.1.0-alpha.2",
      "0.1.0-alpha.10",
      "0.1.0-rc.1",
      "0.1.0",
      "0.1.1",
      "0.2",
      "0.10.0",
      "1.0.0",
    ];
    for (const [i, a] of ordered.entries()) {
      for (const [j, b] of ordered.entries())
        expect([a, b, compareVersions(a, b)]).toEqual([a, b, Math.sign(i - j) as 0]);
    }
    expect(compareVersions("1.0.0+build", "1.0.0")).toBe(0);
  });
});

describe("robur upgrade", () => {
  test("puts a newer release in place, and keeps what was there, which --rollback brings back and away again", async () => {
    using server = new ReleaseServer([NEWER]);
    const home = await Home.make();
    const before = readFileSync(home.robur);
    const { code, stderr } = await home.upgrade(server);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stderr).toContain(
      `${home.robur} is robur ${NEWER} now; robur ${VERSION} is kept as ${home.previous}\n`,
    );
    expect(readFileSync(home.robur, "utf8")).toBe(fakeRobur(NEWER));
    expect(statSync(home.robur).mode & 0o777).toBe(0o755);
    expect(readFileSync(home.previous).equals(before)).toBe(true);
    expect(readdirSync(home.path).filter((name) => name.startsWith("."))).toEqual([]);
    // The old one is a real robur, so it can go back.
    const back = Bun.spawnSync([home.previous, "--version"]);
    expect(back.stdout.toString()).toStartWith(`robur ${VERSION} `);
  });

  test("goes back to the one before, and forth again", async () => {
    const home = await Home.make();
    writeFileSync(home.previous, fakeRobur("0.0.9"), { mode: 0o755 });
    const { code, stderr } = await home.run(["upgrade", "--rollback"]);
    expect(code).toBe(0);
    expect(stderr).toContain(`${home.robur} is robur 0.0.9`);
    expect(readFileSync(home.robur, "utf8")).toBe(fakeRobur("0.0.9"));
    const forth = Bun.spawnSync([home.previous, "upgrade", "--rollback"]);
    // It was started by its other name, so that is what it exchanges: there is nothing before it.
    expect(forth.exitCode).toBe(3);
  });

  test("without one before says so, and one that doesn't run isn't brought back", async () => {
    const home = await Home.make();
    expect(await home.run(["upgrade", "--rollback"])).toMatchObject({ code: 3 });
    writeFileSync(home.previous, "#!/bin/sh\nexit 3\n", { mode: 0o755 });
    const { code, stderr } = await home.run(["upgrade", "--rollback"]);
    expect({ code, said: stderr.includes("nothing was changed") }).toEqual({ code: 1, said: true });
    expect(home.version()).toStartWith(`robur ${VERSION} `);
  });

  test("--check only says what there is", async () => {
    using server = new ReleaseServer([NEWER]);
    const home = await Home.make();
    expect(await home.upgrade(server, "--check")).toMatchObject({
      code: 0,
      stdout: `robur ${NEWER} is there, and this is ${VERSION}\n  try: robur upgrade\n`,
    });
    const json = JSON.parse((await home.upgrade(server, "--check", "--json")).stdout) as object;
    expect(json).toEqual({
      installed: VERSION,
      available: NEWER,
      commit: "0123abcd",
      address: server.url,
      isNewer: true,
    });
    expect(existsSync(home.previous)).toBe(false);
    expect(server.requests.some((path) => path.endsWith(".gz"))).toBe(false);
  });

  test("takes address and key from where install.sh wrote them down", async () => {
    using server = new ReleaseServer([NEWER]);
    const home = await Home.make();
    await Bun.write(join(home.path, ORIGIN), `base-url ${server.url}\npublic-key ${server.publicKey}\n`);
    expect(await home.run(["upgrade"])).toMatchObject({ code: 0 });
    expect(home.version()).toContain(NEWER);
  });

  test("of a version that is asked for may be an older one; the newest that is older is refused", async () => {
    using server = new ReleaseServer(["0.0.1"]);
    const home = await Home.make();
    const { code, stderr } = await home.upgrade(server);
    expect(code).toBe(1);
    expect(stderr).toContain("robur 0.0.1, which is older");
    expect(stderr).toContain("try: robur upgrade --version 0.0.1");
    expect(await home.upgrade(server, "--version", "v0.0.1")).toMatchObject({ code: 0 });
    expect(readFileSync(home.robur, "utf8")).toBe(fakeRobur("0.0.1"));
  });

  test("through a link changes what the link leads to", async () => {
    using server = new ReleaseServer([NEWER]);
    const home = await Home.make();
    const link = join(temporaryDirectory(), "robur");
    symlinkSync(home.robur, link);
    const child = Bun.spawn([link, "upgrade"], { env: environment({ ...server.env, HOME: home.path }) });
    expect(await child.exited).toBe(0);
    expect(readFileSync(home.robur, "utf8")).toBe(fakeRobur(NEWER));
  });
});

describe("a release that isn't genuine", () => {
  /** Upgrades from a server that `spoil` has been at; what it fails with. */
  async function refused(spoil: (server: ReleaseServer) => void, ...args: string[]): Promise<Ended> {
    using server = new ReleaseServer(["98.0.0", NEWER]);
    spoil(server);
    const home = await Home.make();
    const ended = await home.upgrade(server, ...args);
    expect(readdirSync(home.path)).toEqual(["robur"]);
    expect(home.version()).toStartWith(`robur ${VERSION} `);
    return ended;
  }

  const arch = process.arch === "arm64" ? "arm64" : "x64";

  test.each(["SHA256SUMS", "SHA256SUMS.sig", "RELEASE", `robur-linux-${arch}.gz`])(
    "with a changed %s is refused",
    async (file) => {
      const { code, stderr } = await refused((server) => server.spoil(file));
      expect(code).toBe(1);
      expect(stderr).toContain("not a genuine release; nothing was changed");
    },
  );

  test("signed by another key is refused", async () => {
    using other = new ReleaseServer([NEWER]);
    const { stderr } = await refused((server) => {
      for (const file of ["SHA256SUMS", "SHA256SUMS.sig", "RELEASE"])
        server.files.set(file, other.file(file));
    });
    expect(stderr).toContain("not signed by the key");
  });

  test("that is another version than it says is refused", async () => {
    const { stderr } = await refused(
      (server) => {
        for (const file of ["SHA256SUMS", "SHA256SUMS.sig", "RELEASE"])
          server.files.set(`v99.0.0/${file}`, server.file(`v98.0.0/${file}`));
      },
      "--version",
      NEWER,
    );
    expect(stderr).toContain("it holds version 98.0.0, not 99.0.0");
  });

  test("that isn't there, or lacks a file, is no news", async () => {
    expect(await refused(() => undefined, "--version", "5.5.5")).toMatchObject({ code: 3 });
    expect(await refused((server) => server.files.delete("RELEASE"))).toMatchObject({ code: 3 });
    expect(await refused((server) => server.files.delete(`robur-linux-${arch}.gz`))).toMatchObject({
      code: 3,
    });
  });

  test("that doesn't run here is not put in place", async () => {
    using server = new ReleaseServer([]);
    server.release(NEWER, { x64: "#!/bin/sh\nexit 1\n", arm64: "#!/bin/sh\nexit 1\n" });
    const home = await Home.make();
    const { code, stderr } = await home.upgrade(server);
    expect({ code, said: stderr.includes("does not run on this machine; nothing was changed") }).toEqual({
      code: 1,
      said: true,
    });
    expect(readdirSync(home.path)).toEqual(["robur"]);
  });
});

describe("robur uninstall", () => {
  test("removes itself and what it wrote, as install.sh does, and says what stays", async () => {
    const home = await Home.make();
    await Bun.write(join(home.path, "data/robur.db"), "x");
    writeFileSync(home.previous, "before");
    const rehearsal = await home.run(["uninstall", "--dry-run"]);
    expect(rehearsal).toMatchObject({ code: 0, stdout: "" });
    expect(rehearsal.stderr).toContain(`would remove ${home.robur}\n`);
    expect(existsSync(home.robur)).toBe(true);
    const { code, stderr } = await home.run(["uninstall"]);
    expect(code).toBe(0);
    expect(stderr).toContain(`removed ${home.robur}\nremoved ${home.previous}\n`);
    expect(stderr).toContain(`stays: ${join(home.path, "data")}\n`);
    expect([existsSync(home.robur), existsSync(home.previous)]).toEqual([false, false]);
  });

  test("--purge takes the data, but not unasked", async () => {
    const home = await Home.make();
    await Bun.write(join(home.path, "data/robur.db"), "x");
    expect(await home.run(["uninstall", "--purge"])).toMatchObject({ code: 2 });
    expect(existsSync(home.robur)).toBe(true);
    expect(await home.run(["uninstall", "--purge", "--yes"])).toMatchObject({ code: 0 });
    expect(existsSync(join(home.path, "data"))).toBe(false);
  });
});
