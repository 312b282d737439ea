import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lacks, needsCommands } from "../../needs.ts";
import { run, temporaryDirectory } from "../../robur.ts";
import { type OpamRepository, serveRepository } from "./repository.ts";

const skip = lacks(needsCommands("opam", "gcc", "git", "rsync", "unzip", "python3", "xz", "bzip2"));

describe.skipIf(skip)("orb", () => {
  const home = temporaryDirectory();
  const place = join(temporaryDirectory(), "root/switch");
  let repository: OpamRepository;
  beforeAll(() => void (repository = serveRepository()));
  afterAll(() => repository[Symbol.dispose]());

  const orb = (args: readonly string[], env: Record<string, string> = {}) =>
    run(args, { as: "orb", limit: 120_000, env: { HOME: home, LANG: "C", TZ: "Asia/Tokyo", ...env } });
  const build = (out: string, ...args: string[]) =>
    orb([
      ...["build", "--disable-sandboxing", `--switch-name=${place}`, "--date=1589138087.9", `--out=${out}`],
      ...[`--repos=default:${repository.url}`, ...args],
    ]);
  const read = (...parts: string[]) => readFileSync(join(...parts), "utf8");
  const inputs = ["build-environment", "system-packages", "opam-switch"];

  test("a package built twice has the same files and the same inputs, and leaves no switch", async () => {
    const out = join(temporaryDirectory(), "out");
    const ended = await build(out, "--twice", "hello");
    expect(ended).toMatchObject({ code: 0 });
    expect(ended.stdout).toContain("It is reproducible!!!");
    const files = ["bin/hello.hvt", "share/hello/hello.spt", "hello.build-hashes", "hello.sha256"];
    for (const name of [...files, ...inputs.filter((name) => existsSync(join(out, name)))]) {
      expect(read(`${out}2`, name), name).toBe(read(out, name));
    }
    expect(read(out, "build-environment")).toBe(
      [
        `HOME=${home}`,
        read(out, "build-environment").split("\n")[1]!,
        "SOURCE_DATE_EPOCH=1589138087",
        "OPAMERRLOGLEN=0",
        "ORB_BUILDING_PACKAGE=hello",
        `OPAMROOT=${join(place, "..")}`,
        `PREFIX=${place}`,
        "SWITCH_PATH=switch",
        "ORB_DATA=2",
        ...read(out, "build-environment").split("\n").slice(9),
      ].join("\n"),
    );
    expect(read(out, "build-environment")).toMatch(
      /\nARCH=[^\n]+\nOS_FAMILY=[^\n]+\nOS_VERSION=[^\n]+\nOS_DISTRIBUTION=[^\n]+\nOS=linux$/,
    );
    expect(read(out, "opam-switch")).toStartWith(
      'opam-version: "2.0"\nroots: ["hello.1.1"]\ninstalled: ["conf-cc.1" "greeting.1.0" "hello.1.1"]\npackage "conf-cc" {\n',
    );
    const md5 = new Bun.CryptoHasher("md5").update(readFileSync(join(out, "bin/hello.hvt"))).digest("hex");
    expect(read(out, "hello.build-hashes")).toContain(`  "bin/hello.hvt" {"F:${md5}"}\n`);
    const checked = Bun.spawnSync(["sha256sum", "-c", "hello.sha256"], { cwd: out });
    expect(checked.exitCode).toBe(0);
    expect(existsSync(place)).toBe(false);
  }, 180_000);

  test("a package that embeds the time differs, with status 3, and says where", async () => {
    const ended = await build(join(temporaryDirectory(), "out"), "--twice", "clock=1.0");
    expect(ended.code).toBe(3);
    expect(ended.stdout).toEndWith("\nbin/clock.hvt: differs\n");
    expect(ended.stderr).toContain("error: 1 files are not reproducible");
  }, 180_000);

  test("a build is repeated from its directory, and from a server's URL", async () => {
    const out = join(temporaryDirectory(), "out");
    expect(await build(out, "hello.1.0")).toMatchObject({ code: 0 });
    const again = join(temporaryDirectory(), "again");
    expect(
      await orb(["rebuild", "--skip-system", "--disable-sandboxing", `--out=${again}`, out]),
    ).toMatchObject({ code: 0 });
    expect(read(again, "opam-switch")).toBe(read(out, "opam-switch"));
    for (const name of readdirSync(out, { withFileTypes: true }).filter((entry) => entry.isFile())) {
      repository.serve(`/job/hello/build/1/f/${name.name}`, readFileSync(join(out, name.name)));
    }
    // What somebody else published isn't what comes out here.
    const url = `${repository.url}/job/hello/build/1`;
    const hashes = read(out, "hello.build-hashes").replace(/F:[0-9a-f]{32}/, `F:${"0".repeat(32)}`);
    repository.serve("/job/hello/build/1/f/hello.build-hashes", new TextEncoder().encode(hashes));
    const other = await orb(["rebuild", "--skip-system", "--disable-sandboxing", `--out=${again}`, url]);
    expect(other.code).toBe(3);
    expect(other.stdout).toEndWith("\nbin/hello.hvt: differs\n");
  }, 240_000);

  test("a unikernel's vendored sources are recorded, fetched and checked again", async () => {
    const out = join(temporaryDirectory(), "out");
    const ended = await build(out, "--twice", "vendoring");
    expect(ended).toMatchObject({ code: 0 });
    expect(read(out, "bin/vendoring.hvt")).toBe(
      `configured\nfrom a tbz\nfrom a tar.gz\nfrom a txz\nfrom a zip\n${join(tmpdir(), "orb-build")}\n`,
    );
    expect(read(out, "opam-switch")).toContain('roots: ["vendoring.1.0"]');
    expect(read(out, "opam-switch")).toContain("x-opam-monorepo-duniverse-dirs: [");
    expect(read(`${out}2`, "opam-switch")).toBe(read(out, "opam-switch"));
    // A server that gives other bytes than recorded is found out.
    const changed = new TextEncoder().encode("something else");
    repository.serve("/vendored/gz.tar.gz", changed);
    const refused = await orb(["rebuild", "--skip-system", "--disable-sandboxing", `--out=${out}3`, out]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(
      `its sha256 is ${new Bun.CryptoHasher("sha256").update(changed).digest("hex")}, not `,
    );
    expect(existsSync(place)).toBe(false);
  }, 240_000);

  test("what fails leaves its inputs and no switch, with opam's status", async () => {
    const out = join(temporaryDirectory(), "out");
    const ended = await build(out, "broken");
    expect(ended.code).toBe(31);
    expect(read(out, "opam-switch")).toStartWith(
      'opam-version: "2.0"\ninstalled: ["conf-cc.1" "greeting.1.0"]\n',
    );
    expect(read(out, "build-environment")).toContain("ORB_BUILDING_PACKAGE=broken");
    expect(existsSync(place)).toBe(false);
  }, 120_000);

  const mistakes: readonly (readonly [string, readonly string[], number, string])[] = [
    ["a package that nobody has", ["nonesuch"], 1, "there is no package nonesuch"],
    ["a version that nobody has", ["hello.7"], 1, "there is no hello.7"],
    ["half a unikernel", ["half"], 1, "has only one of x-mirage-configure and x-mirage-pre-build"],
    ["a relation", ["hello>=1.0"], 1, "is no package"],
    ["the latest of one version", ["--latest", "hello.1.0"], 1, "so it can't be the latest"],
    ["an odd date", ["--date=tomorrow", "hello"], 2, "is no number of seconds"],
    ["an odd switch", ["--switch-name=a/b", "hello"], 1, "a relative name is a single word"],
    ["an odd repository", ["--repos=nothing", "hello"], 1, "is not NAME:URL"],
    [
      "a repository that isn't there",
      ["--repos=gone:http://127.0.0.1:1/", "hello"],
      40,
      "opam ended with status 40",
    ],
  ];
  test.each(mistakes)(
    "%s is refused",
    async (_, args, code, text) => {
      const ended = await build(join(temporaryDirectory(), "out"), ...args);
      expect(ended.stderr).toContain(text);
      expect(ended.code).toBe(code);
      expect(existsSync(place)).toBe(false);
    },
    60_000,
  );

  test("a record of another system is refused, unless told otherwise", async () => {
    const out = temporaryDirectory();
    writeFileSync(
      join(out, "build-environment"),
      `PATH=/usr/bin:/bin\nOPAMROOT=${home}/r\nSWITCH_PATH=sw\nOS=freebsd`,
    );
    writeFileSync(
      join(out, "opam-switch"),
      'opam-version: "2.0"\nroots: ["hello.1.1"]\ninstalled: ["hello.1.1"]\n',
    );
    writeFileSync(join(out, "hello.build-hashes"), 'opam-version: "2.0"\n');
    const ended = await orb(["rebuild", `--out=${out}/again`, out]);
    expect(ended).toMatchObject({ code: 125 });
    expect(ended.stderr).toContain("OS was freebsd, is linux");
    rmSync(join(out, "hello.build-hashes"));
    expect((await orb(["rebuild", `--out=${out}/again`, out])).code).toBe(1);
  });
});
