import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeRecord } from "../../../src/protocols/builder/record-writer.ts";
import { lacks, needsCommands } from "../../needs.ts";
import { run, start, temporaryDirectory } from "../../robur.ts";
import { GREETING, type OpamRepository, REPOSITORY_NEEDS, serveRepository } from "./repository.ts";

/** An exec document with these files. */
async function record(files: ReadonlyMap<string, Uint8Array>): Promise<Uint8Array> {
  const result = { kind: "exited", code: 0 } as const;
  const uuid = "00112233-4455-6677-8899-aabbccddeeff";
  const { stream } = writeRecord(
    {
      name: "hello",
      script: new Uint8Array(),
      platform: "debian-12",
      uuid,
      startedAt: 0,
      finishedAt: 0,
      result,
    },
    [],
    [...files].map(([path, content]) => ({
      ...{ path, size: content.length },
      async *bytes() {
        yield content;
      },
    })),
  );
  const parts: Uint8Array[] = [];
  for await (const part of stream()) parts.push(part);
  return new Uint8Array(Buffer.concat(parts));
}

const skip = lacks(needsCommands(...REPOSITORY_NEEDS, "xz", "bzip2"));

describe.skipIf(skip)("orb", () => {
  const home = temporaryDirectory();
  const place = join(temporaryDirectory(), "root/switch");
  let repository: OpamRepository;
  beforeAll(() => void (repository = serveRepository()));
  afterAll(() => repository[Symbol.dispose]());

  // The build directory's path is fixed, and below it: builds elsewhere on this machine stay out of each other's way.
  const temporary = temporaryDirectory();
  const env = { HOME: home, LANG: "C", TZ: "Asia/Tokyo", TMPDIR: temporary };
  const orb = (args: readonly string[]) => run(args, { as: "orb", limit: 120_000, env });
  const buildArguments = (out: string, ...args: string[]) => [
    ...["build", "--disable-sandboxing", `--switch-name=${place}`, "--date=1589138087.9", `--out=${out}`],
    ...[`--repos=default:${repository.url}`, ...args],
  ];
  const build = (out: string, ...args: string[]) => orb(buildArguments(out, ...args));
  const read = (...parts: string[]) => readFileSync(join(...parts), "utf8");
  const compiler = Bun.spawnSync(["ocamlopt", "-version"]).stdout.toString().trim();
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
      `opam-version: "2.0"\nroots: ["hello.1.1"]\ninstalled: ["greeting.1.0" "hello.1.1" "ocaml-system.${compiler}"]\npackage "greeting" {\n`,
    );
    expect(read(out, "bin/hello.hvt")).toContain(GREETING);
    expect(read(out, "hello.build-hashes")).not.toEndWith("\n");
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
    expect(ended.stderr).toContain("error: 1 file is not reproducible");
  }, 180_000);

  test("a build is repeated from its directory, and from a server's URL", async () => {
    const out = join(temporaryDirectory(), "out");
    expect(await build(out, "hello.1.0")).toMatchObject({ code: 0 });
    const again = join(temporaryDirectory(), "again");
    expect(
      await orb(["rebuild", "--skip-system", "--disable-sandboxing", `--out=${again}`, out]),
    ).toMatchObject({ code: 0 });
    expect(read(again, "opam-switch")).toBe(read(out, "opam-switch"));
    // As builder-web has it: hashes are not kept, and a README of the job's is there beside.
    const names = [...inputs, "bin/hello.hvt", "share/hello/hello.spt"].filter((name) =>
      existsSync(join(out, name)),
    );
    const files = new Map(names.map((name) => [name, new Uint8Array(readFileSync(join(out, name)))]));
    files.set("README.md", new TextEncoder().encode("# hello\n"));
    const rebuild = (path: string) =>
      orb(["rebuild", "--skip-system", "--disable-sandboxing", `--out=${again}`, `${repository.url}${path}`]);
    repository.serve("/job/hello/build/1/exec", await record(files));
    const same = await rebuild("/job/hello/build/1/");
    expect(same.stdout).toEndWith("It is reproducible!!!\n");
    expect(same.code).toBe(0);
    // What somebody else published isn't what comes out here.
    files.set("bin/hello.hvt", new Uint8Array([1]));
    files.delete("share/hello/hello.spt");
    files.set("bin/other", new Uint8Array([2]));
    repository.serve("/job/hello/build/2/exec", await record(files));
    const other = await rebuild("/job/hello/build/2");
    expect(other.code).toBe(3);
    expect(other.stdout).toEndWith(
      "\nbin/hello.hvt: differs\nbin/other: only in the first\nshare/hello/hello.spt: only in the second\n",
    );
    repository.serve("/job/hello/build/3/exec", new TextEncoder().encode("<html>"));
    for (const [path, why] of [
      ["/job/hello/build/3", "build/3/exec could not be fetched"],
      ["/job/hello/build/4", "the server answers 404"],
    ] as const) {
      const refused = await rebuild(path);
      expect(refused.stderr).toContain(why);
      expect(refused.code).toBe(1);
    }
  }, 240_000);

  test("a unikernel's vendored sources are recorded, fetched and checked again", async () => {
    const out = join(temporaryDirectory(), "out");
    const ended = await build(out, "--twice", "vendoring");
    expect(ended).toMatchObject({ code: 0 });
    expect(read(out, "bin/vendoring.hvt")).toBe(
      `configured\nfrom a tbz\nfrom a tar.gz\nfrom a txz\nfrom a zip\n${join(temporary, "orb-build")}\n`,
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

  test("a unikernel whose sources are in git, and whose lock file names others there, comes out the same", async () => {
    const out = join(temporaryDirectory(), "out");
    const ended = await build(out, "--twice", "net-hvt");
    expect(ended.stderr).not.toContain("error:");
    expect(ended.stdout).toContain("It is reproducible!!!");
    // The library is the one at the recorded commit, though there is a newer one.
    expect(read(out, "bin/net.hvt")).toBe(
      `hvt of ${place}\nduniverse/duration/part.txt: in git\nduniverse/tcpip/part.txt: in an archive\n${join(temporary, "orb-build")}\n`,
    );
    const exported = read(out, "opam-switch");
    expect(read(`${out}2`, "opam-switch")).toBe(exported);
    expect(exported).toMatch(new RegExp(`src:\\s+"git\\+[^"#]+/git/net.git#${repository.git.head("net")}"`));
    expect(exported).toContain(
      'roots: ["net-hvt.1.0"]\ninstalled: ["mirage.4.5.0" "net-hvt.1.0" "opam-monorepo.0.3.5"]\n',
    );
    expect(exported).toContain(`  x-orb-dependencies: [
    ["tcpip" ["cstruct" "dune" "duration"]]
    ["ocaml-solo5" []]
    ["ocaml" []]
    ["net-hvt" ["duration" "mirage-solo5" "ocaml-solo5" "tcpip"]]
    ["mirage-solo5" ["duration" "tcpip"]]
    ["duration" ["dune" "ocaml"]]
    ["dune" ["ocaml"]]
    ["cstruct" ["ocaml"]]
  ]
`);
    expect(existsSync(place)).toBe(false);
  }, 240_000);

  test("a library in git is recorded with its whole commit, and built from it again", async () => {
    const out = join(temporaryDirectory(), "out");
    expect(await build(out, "tree")).toMatchObject({ code: 0 });
    repository.git.commit("leaf", { "leaf.txt": "changed since\n" });
    expect(read(out, "opam-switch")).toMatch(/leaf\.git#[0-9a-f]{40}"/);
    const again = await orb(["rebuild", "--skip-system", "--disable-sandboxing", `--out=${out}2`, out]);
    expect(again.stdout).toEndWith("It is reproducible!!!\n");
    expect(read(`${out}2`, "bin/tree")).toBe("from git\n");
  }, 240_000);

  test("a unikernel that can't be built leaves its inputs as well", async () => {
    const out = join(temporaryDirectory(), "out");
    const ended = await build(out, "net-broken");
    expect(ended.code).toBe(31);
    expect(read(out, "opam-switch")).toStartWith(
      'opam-version: "2.0"\ninstalled: ["mirage.4.5.0" "opam-monorepo.0.3.5"]\n',
    );
    expect(existsSync(place)).toBe(false);
  }, 120_000);

  test.each([["SIGINT", 130] as const, ["SIGTERM", 143] as const])(
    "who is interrupted by %s leaves no switch",
    async (signal, status) => {
      const out = join(temporaryDirectory(), "out");
      const child = await start(buildArguments(out, "endless"), { as: "orb", env });
      const output = child.stdout.getReader();
      const decoder = new TextDecoder();
      for (let text = ""; !text.includes("Processing actions");) {
        const { value, done } = await output.read();
        if (done) throw new Error(`it ended: ${text}`);
        text += decoder.decode(value, { stream: true });
      }
      child.kill(signal);
      expect(await child.exited).toBe(status);
      expect(await child.stderr.text()).toEndWith("error: interrupted\n");
      expect(existsSync(join(out, "build-environment"))).toBe(true);
      expect(existsSync(place)).toBe(false);
    },
    60_000,
  );

  test("what fails leaves its inputs and no switch, with opam's status", async () => {
    const out = join(temporaryDirectory(), "out");
    const ended = await build(out, "broken");
    expect(ended.code).toBe(31);
    expect(read(out, "opam-switch")).toStartWith(
      `opam-version: "2.0"\ninstalled: ["greeting.1.0" "ocaml-system.${compiler}"]\n`,
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
    ["an odd time for the solver", ["--solver-timeout=soon", "hello"], 2, "is no number of seconds"],
    ["a number of jobs that is none", ["--jobs=0", "hello"], 2, "a whole number above 0"],
    [
      "a place that can't be written to",
      ["--out=/proc/none", "hello"],
      1,
      "nothing can be written to /proc/none",
    ],
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
