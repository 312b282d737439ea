/** The repository of packages, read by apt itself. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sha256Of } from "../../../src/lib/sha256-of.ts";
import { TestServer } from "../../commands/client-server.ts";
import { lacks, needsCommands } from "../../needs.ts";
import { temporaryDirectory } from "../../robur.ts";
import { makePackage } from "./packages.ts";

const PLATFORM = "debian-12";
const isLacking = lacks(needsCommands("apt-get", "dpkg-deb", "gpgv", "xz"));

/** apt with a configuration, lists and a cache of its own: nothing of the machine's is read or written. */
function privateApt(address: string) {
  const root = temporaryDirectory();
  for (const folder of [
    "state/lists/partial",
    "cache/archives/partial",
    "etc/preferences.d",
    "etc/apt.conf.d",
    "download",
  ]) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  writeFileSync(join(root, "status"), "");
  const options = {
    "Dir::Etc": join(root, "etc"),
    "Dir::Etc::sourcelist": join(root, "sources.list"),
    "Dir::Etc::sourceparts": "/dev/null",
    "Dir::State": join(root, "state"),
    "Dir::State::status": join(root, "status"),
    "Dir::Cache": join(root, "cache"),
    "Dir::Log": root,
    "APT::Sandbox::User": "root",
    "Acquire::http::Proxy": "DIRECT",
    "Debug::NoLocking": "true",
  };
  const lines = Object.entries(options).map(([name, value]) => `${name} "${value}";\n`);
  writeFileSync(
    join(root, "apt.conf"),
    `#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n${lines.join("")}`,
  );
  const run = (...args: string[]) => {
    const { exitCode, stdout, stderr } = Bun.spawnSync(args, {
      cwd: join(root, "download"),
      env: { ...process.env, APT_CONFIG: join(root, "apt.conf"), LC_ALL: "C", http_proxy: "" },
      stdin: "ignore",
      timeout: 60_000,
    });
    return { code: exitCode, text: `${stdout.toString()}${stderr.toString()}` };
  };
  const useKey = (key: string) => {
    writeFileSync(join(root, "robur.asc"), key);
    writeFileSync(
      join(root, "sources.list"),
      `deb [signed-by=${join(root, "robur.asc")}] ${address}/deb ${PLATFORM} main\n`,
    );
  };
  return {
    run,
    useKey,
    downloaded: () => readdirSync(join(root, "download")),
    at: (name: string) => join(root, "download", name),
  };
}

describe.skipIf(isLacking)("the packages among the builds", () => {
  let server: TestServer;
  let directory: string;
  beforeAll(async () => {
    server = await TestServer.start();
    directory = temporaryDirectory();
  });
  afterAll(async () => server[Symbol.asyncDispose]());
  const push = (job: string, deb: string) =>
    server.ok("push", job, `bin/${job}.deb=${deb}`, "--platform", PLATFORM);
  const get = async (path: string) => (await fetch(`${server.address}/deb/${path}`)).text();

  test("can be updated from and downloaded by apt, with their signature", async () => {
    const deb = makePackage(directory, { name: "hello", version: "1.2.3" });
    const sha256 = sha256Of(readFileSync(deb));
    await push("hello", deb);
    const apt = privateApt(server.address);
    apt.useKey(await get("robur.asc"));
    const update = apt.run("apt-get", "update");
    expect(update).toMatchObject({ code: 0 });
    expect(update.text).not.toMatch(/^(W|E|N):/m);
    const policy = apt.run("apt-cache", "policy", "hello").text;
    expect(policy).toMatch(new RegExp(`Candidate: 1\\.2\\.3-0-g0000000-\\d{14}-${sha256}`));
    expect(apt.run("apt-get", "download", "hello")).toMatchObject({ code: 0 });
    const [file = ""] = apt.downloaded();
    // The control member says the new version, and the rest is what it was.
    const show = Bun.spawnSync(["dpkg-deb", "--show", "--showformat", "${Package} ${Version}", apt.at(file)]);
    expect(show.stdout.toString()).toMatch(new RegExp(`^hello 1\\.2\\.3-0-g0000000-\\d{14}-${sha256}$`));
    const contents = (path: string) =>
      Bun.spawnSync(["dpkg-deb", "--fsys-tarfile", path]).stdout.toString("hex");
    expect(contents(apt.at(file))).toBe(contents(deb));
  });

  test("with the wrong key are refused by apt", async () => {
    const other = await TestServer.start();
    const key = await (await fetch(`${other.address}/deb/robur.asc`)).text();
    await other[Symbol.asyncDispose]();
    const apt = privateApt(server.address);
    apt.useKey(key);
    expect(apt.run("apt-get", "update").text).toMatch(/NO_PUBKEY|not signed|Missing key/i);
    expect(apt.run("apt-get", "download", "hello").code).not.toBe(0);
  });

  test("are those of the newest builds, and the same output again is no new package", async () => {
    const first = await get(`dists/${PLATFORM}/main/binary-amd64/Packages`);
    const id = JSON.parse(await server.ok("build", "show", "hello", "--json")).build.id as string;
    await push("hello", makePackage(directory, { name: "hello", version: "1.2.3" }));
    expect(await get(`dists/${PLATFORM}/main/binary-amd64/Packages`)).toBe(first);
    // Nor when the build that had it first is gone, as retention will have it, and the server was started anew.
    await server.ok("build", "rm", "--yes", id);
    await server.down();
    await server.up();
    expect(await get(`dists/${PLATFORM}/main/binary-amd64/Packages`)).toBe(first);
    await push(
      "hello",
      makePackage(directory, { name: "hello", version: "1.2.3-4-gabcdef", content: "newer\n" }),
    );
    const second = await get(`dists/${PLATFORM}/main/binary-amd64/Packages`);
    expect(second.match(/^Package: hello$/gm)).toHaveLength(1);
    expect(second).toMatch(/^Version: 1\.2\.3-4-gabcdef-\d{14}-[0-9a-f]{64}$/m);
  });

  test("can still be fetched by who has read the list before", async () => {
    const inRelease = async () => (await get(`dists/${PLATFORM}/InRelease`)).split("\n");
    const lines = await inRelease();
    expect(lines).toContain("Acquire-By-Hash: yes");
    const listed = lines.filter((line) => line.endsWith("main/binary-amd64/Packages"));
    const [, sha256 = ""] = / ([0-9a-f]{64}) /.exec(listed[0]!)!;
    const byHash = `dists/${PLATFORM}/main/binary-amd64/by-hash/SHA256/${sha256}`;
    const list = await get(byHash);
    expect(`${sha256Of(Buffer.from(list))}`).toBe(sha256);
    await push("hello", makePackage(directory, { name: "hello", version: "1.2.4", content: "newest\n" }));
    expect(await inRelease()).not.toEqual(lines);
    expect(await get(byHash)).toBe(list);
    const old = /^Filename: (.*)$/m.exec(list)![1]!;
    const fetched = await (await fetch(`${server.address}/deb/${old}`)).bytes();
    expect(list).toContain(`SHA256: ${sha256Of(fetched)}\n`);
    expect(
      (await fetch(`${server.address}/deb/dists/${PLATFORM}/main/binary-amd64/by-hash/SHA256/00`)).status,
    ).toBe(404);
  });

  test("go back to the ones before where the newest build is removed, and apt follows", async () => {
    const apt = privateApt(server.address);
    apt.useKey(await get("robur.asc"));
    const candidate = () => {
      expect(apt.run("apt-get", "update").text).not.toMatch(/^(W|E|N):/m);
      return /Candidate: (\S+)/.exec(apt.run("apt-cache", "policy", "hello").text)![1]!;
    };
    expect(candidate()).toStartWith("1.2.4-0-");
    const id = JSON.parse(await server.ok("build", "show", "hello", "--json")).build.id as string;
    await server.ok("build", "rm", "--yes", id);
    expect(candidate()).toStartWith("1.2.3-4-gabcdef-");
  });

  test("may be packed with xz and zstd; what isn't a package or can't be versioned is left out", async () => {
    await push("with-xz", makePackage(directory, { name: "with-xz", version: "0.1.0", compression: "xz" }));
    await push(
      "with-zstd",
      makePackage(directory, { name: "with-zstd", version: "0.1.0", compression: "zstd" }),
    );
    await push("odd", makePackage(directory, { name: "odd", version: "2024~rc1" }));
    const broken = join(directory, "broken.deb");
    writeFileSync(broken, "!<arch>\nbroken");
    await push("broken", broken);
    const list = await get(`dists/${PLATFORM}/main/binary-amd64/Packages`);
    expect([...list.matchAll(/^Package: (.*)$/gm)].map(([, name]) => name)).toEqual([
      "hello",
      "with-xz",
      "with-zstd",
    ]);
    const apt = privateApt(server.address);
    apt.useKey(await get("robur.asc"));
    expect(apt.run("apt-get", "update")).toMatchObject({ code: 0 });
    expect(apt.run("apt-get", "download", "with-xz", "with-zstd")).toMatchObject({ code: 0 });
    for (const file of apt.downloaded()) {
      expect(Bun.spawnSync(["dpkg-deb", "--info", apt.at(file)]).exitCode).toBe(0);
    }
    expect(server.said).toContain("package left out");
  });

  test("have a repository for each platform that has packages, and none for others", async () => {
    expect((await fetch(`${server.address}/deb/dists/freebsd-14/InRelease`)).status).toBe(404);
    expect((await fetch(`${server.address}/deb/dists/${PLATFORM}/nothing`)).status).toBe(404);
    expect((await fetch(`${server.address}/deb/pool/${PLATFORM}/..%2f..%2fetc%2fpasswd`)).status).toBe(404);
  });

  test("say how they are used, and by which key they are signed", async () => {
    const text = await (await fetch(`${server.address}/deb`)).text();
    expect(text).toContain(
      `deb [signed-by=/etc/apt/keyrings/robur.asc] ${server.address}/deb ${PLATFORM} main`,
    );
    // gpgv reads keys without their armour only.
    const [, armored = ""] = /\n\n(.*)\n=/s.exec(await get("robur.asc"))!;
    const [key, signed] = [join(directory, "robur.gpg"), join(directory, "InRelease")];
    writeFileSync(key, Buffer.from(armored, "base64"));
    writeFileSync(signed, await get(`dists/${PLATFORM}/InRelease`));
    const gpgv = Bun.spawnSync(["gpgv", "--status-fd", "1", "--keyring", key, signed]);
    const [, print = ""] = /^\[GNUPG:\] VALIDSIG ([0-9A-F]{40}) /m.exec(gpgv.stdout.toString())!;
    expect(text.replaceAll(" ", "")).toContain(print);
  });
});
