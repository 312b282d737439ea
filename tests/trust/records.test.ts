import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openDatabase } from "../../src/db/open.ts";
import { sha256Of } from "../../src/lib/sha256-of.ts";
import { knownKeys, statementsAboutBuild } from "../../src/trust/listing.ts";
import { formatBuildinfo } from "../../src/trust/buildinfo.ts";
import { formatEnvelope, signEnvelope } from "../../src/trust/envelope.ts";
import { newSigningKey } from "../../src/trust/keys.ts";
import {
  attestationsAbout,
  attestationsOfBuild,
  distrust,
  keepAttestation,
  keepForeign,
  ownKey,
  ownPublicKeys,
  trustKey,
  trustedKeys,
} from "../../src/trust/records.ts";
import { formatStatement, rebuildStatement } from "../../src/trust/statement.ts";
import { lacks, needsCommands } from "../needs.ts";
import { temporaryDirectory } from "../robur.ts";

const FILE = sha256Of("the file");
const BUILD = "08455214-8a9b-413a-b116-a65353dc0743";

function rebuild(name = "bin/a") {
  const facts = { build: BUILD, startedAt: 0, finishedAt: 1, version: "0.1.0" };
  return formatStatement(rebuildStatement([{ name, sha256: FILE }], [], facts));
}

describe("the server's own key", () => {
  test("is made once and stays", () => {
    const db = openDatabase(":memory:");
    const key = ownKey(db, 1);
    expect(ownKey(db, 2)).toEqual(key);
    expect(ownPublicKeys(db)).toEqual([key.public]);
    expect([...knownKeys(db)]).toEqual([[key.public.id, { name: "this server", key: key.public }]]);
  });
});

describe("trusted keys", () => {
  test("are added, listed by name and removed", () => {
    const db = openDatabase(":memory:");
    const [a, b] = [newSigningKey().public, newSigningKey().public];
    trustKey(db, "robur", b, 2);
    trustKey(db, "alice", a, 1);
    expect(trustedKeys(db).map(({ name, key }) => [name, key.id])).toEqual([
      ["alice", a.id],
      ["robur", b.id],
    ]);
    expect(knownKeys(db).get(b.id)?.name).toBe("robur");
    expect(distrust(db, "robur")).toBe(true);
    expect(distrust(db, a.id)).toBe(true);
    expect(distrust(db, "robur")).toBe(false);
    expect(trustedKeys(db)).toEqual([]);
  });

  test("have one name each, and each name one key", () => {
    const db = openDatabase(":memory:");
    const [a, b] = [newSigningKey().public, newSigningKey().public];
    trustKey(db, "alice", a, 1);
    expect(() => trustKey(db, "alice", b, 1)).toThrow("alice is trusted already");
    expect(() => trustKey(db, "bob", a, 1)).toThrow("alice is trusted already");
    expect(trustedKeys(db)).toHaveLength(1);
  });
});

describe("statements", () => {
  test("are found by file and by build, and kept once", () => {
    const db = openDatabase(":memory:");
    const envelope = signEnvelope(rebuild(), newSigningKey());
    keepAttestation(db, envelope, { build: BUILD }, 5);
    keepAttestation(db, envelope, { build: BUILD, source: "elsewhere" }, 6);
    const expected = {
      kind: "rebuild" as const,
      build: BUILD,
      source: undefined,
      envelope: formatEnvelope(envelope),
      createdAt: 5,
    };
    expect(attestationsAbout(db, FILE)).toEqual([expected]);
    expect(attestationsOfBuild(db, BUILD)).toEqual([expected]);
    expect(attestationsAbout(db, sha256Of("other"))).toEqual([]);
  });

  test("that speak of no file, or of something else, are not kept", () => {
    const db = openDatabase(":memory:");
    const statement = { _type: "https://in-toto.io/Statement/v1", subject: [{ name: "x" }] };
    const of = (predicateType: string) =>
      signEnvelope(
        new TextEncoder().encode(JSON.stringify({ ...statement, predicateType })),
        newSigningKey(),
      );
    expect(() => keepAttestation(db, of("https://slsa.dev/provenance/v1"), {}, 0)).toThrow("can't be kept");
    expect(() => keepAttestation(db, of("urn:x"), {}, 0)).toThrow("can't be kept");
    expect(db.query("SELECT count(*) AS n FROM attestation").get()).toEqual({ n: 0 });
  });

  test("of another type than in-toto's are not kept, whoever signed them", () => {
    const db = openDatabase(":memory:");
    const envelope = signEnvelope(rebuild(), newSigningKey(), "text/plain");
    expect(() => keepAttestation(db, envelope, {}, 0)).toThrow("can't be kept");
  });

  test("about a build are listed with those who signed them", () => {
    const db = openDatabase(":memory:");
    const [own, alice, stranger] = [ownKey(db, 1), newSigningKey(), newSigningKey()];
    trustKey(db, "alice", alice.public, 2);
    keepAttestation(db, signEnvelope(rebuild("a"), own), { build: BUILD }, 3);
    keepAttestation(db, signEnvelope(rebuild("b"), alice), { source: "https://alice.example" }, 4);
    keepAttestation(db, signEnvelope(rebuild("c"), stranger), { build: BUILD, source: "x" }, 5);
    // About the same file, but of another build of this server.
    keepAttestation(db, signEnvelope(rebuild("d"), own), { build: crypto.randomUUID() }, 6);
    const listed = statementsAboutBuild(db, BUILD, FILE).map(({ signers, source, createdAt }) => [
      signers.map(({ name }) => name),
      source,
      createdAt,
    ]);
    expect(listed).toEqual([
      [[], "x", 5],
      [["alice"], "https://alice.example", 4],
      [["this server"], undefined, 3],
    ]);
    const forStrangers = statementsAboutBuild(db, BUILD, FILE, true).map(({ signers }) => signers[0]?.name);
    expect(forStrangers).toEqual([undefined, `key ${alice.public.id.slice(0, 12)}`, "this server"]);
    expect(statementsAboutBuild(db, BUILD, undefined)).toHaveLength(2);
    expect(statementsAboutBuild(db, crypto.randomUUID(), sha256Of("other"))).toEqual([]);
  });

  test("of other servers come as lines, and bad lines are counted", () => {
    const db = openDatabase(":memory:");
    const lines = [rebuild("a"), rebuild("b")].map((one) =>
      formatEnvelope(signEnvelope(one, newSigningKey())),
    );
    const text = `${lines.join("\n")}\n\nnonsense\n{}\n`;
    expect(keepForeign(db, text, { source: "https://other.example" }, 7)).toEqual({ kept: 2, refused: 2 });
    expect(attestationsAbout(db, FILE).map(({ source }) => source)).toEqual([
      "https://other.example",
      "https://other.example",
    ]);
  });

  test("are found through an index", () => {
    const db = openDatabase(":memory:");
    const plan = (sql: string) =>
      db
        .query<{ detail: string }, []>(`EXPLAIN QUERY PLAN ${sql}`)
        .all()
        .map(({ detail }) => detail);
    const about = plan(
      "SELECT attestation.* FROM attestation_subject JOIN attestation ON attestation.id = attestation_subject.attestation WHERE attestation_subject.sha256 = x'00' ORDER BY attestation.id",
    );
    expect(about.filter((line) => line.startsWith("SCAN"))).toEqual([]);
    expect(plan("SELECT * FROM attestation WHERE build = 'x' ORDER BY id").join()).toContain(
      "attestation_build",
    );
  });
});

/** As deb822(5) has it, and no laxer: one paragraph, each field once, nothing that is neither field nor continuation. */
function readStrictly(text: string): Map<string, string[]> {
  const fields = new Map<string, string[]>();
  expect(text).toEndWith("\n");
  let last: string[] | undefined;
  for (const line of text.slice(0, -1).split("\n")) {
    const [, name, value] = /^([!-9;-~]+):(?: (\S.*))?$/.exec(line) ?? [];
    if (name === undefined) {
      expect(line).toMatch(/^ \S/);
      last!.push(line.slice(1));
    } else {
      expect(name).not.toMatch(/^[#-]/);
      expect(fields.has(name)).toBe(false);
      fields.set(name, (last = value === undefined ? [] : [value]));
    }
  }
  return fields;
}

const STRANGE = {
  source: "_Hello World",
  version: "v1.0\nFormat: 2.0",
  architecture: "amd64",
  builtAt: Date.UTC(2026, 10, 25, 4, 0, 0),
  buildPath: "/tmp/my\nswitch",
  outputs: [
    { path: "bin/a b\n.hvt", size: 4, sha256: FILE, md5: "0".repeat(32), sha1: "1".repeat(40) },
    { path: "bin/c", size: 5, sha256: FILE, md5: "2".repeat(32), sha1: "3".repeat(40) },
  ],
  systemPackages: [{ name: "gcc", version: "4:12.2.0-3" }],
  opamPackages: [{ name: "hello", version: "1.0\n\nx" }],
  environment: [
    ["PATH", '/bin:"x\\"'],
    ["EMPTY", ""],
  ] as const,
};

test("a strict reader of deb822 takes a buildinfo file, whatever the names in it are", () => {
  const fields = readStrictly(formatBuildinfo(STRANGE));
  expect([...fields.keys()]).toEqual([
    ...["Format", "Source", "Binary", "Architecture", "Version", "Checksums-Md5", "Checksums-Sha1"],
    ...["Checksums-Sha256", "Build-Architecture", "Build-Date", "Build-Path", "Installed-Build-Depends"],
    ...["X-Opam-Installed", "Environment"],
  ]);
  expect(fields.get("Source")).toEqual(["hello-world"]);
  expect(fields.get("Version")).toEqual(["0~v1.0+Format++2.0"]);
  for (const line of fields.get("Checksums-Sha256")!) expect(line).toMatch(/^[0-9a-f]{64} \d+ \S+$/);
  for (const line of fields.get("Environment")!) expect(line).toMatch(/^[A-Z]+="([^"\\]|\\.)*"$/);
});

const hasDpkg = Bun.spawnSync(["perl", "-MDpkg::Control", "-e", "1"], { stderr: "ignore" }).exitCode === 0;

test.skipIf(lacks(needsCommands("perl") ?? (hasDpkg ? undefined : "perl has no Dpkg::Control")))(
  "dpkg reads a buildinfo file",
  () => {
    const path = join(temporaryDirectory(), "x.buildinfo");
    writeFileSync(path, formatBuildinfo(STRANGE));
    const program =
      "my $c = Dpkg::Control->new(type => CTRL_FILE_BUILDINFO); $c->load($ARGV[0]); print join '|', map { \"$_=$c->{$_}\" } qw(Source Version Build-Architecture);";
    const { stdout, exitCode } = Bun.spawnSync(["perl", "-MDpkg::Control", "-e", program, path]);
    expect(stdout.toString()).toBe("Source=hello-world|Version=0~v1.0+Format++2.0|Build-Architecture=amd64");
    expect(exitCode).toBe(0);
  },
);

test("a buildinfo file has Debian's fields, and no value breaks its lines", () => {
  const text = formatBuildinfo({
    source: "hello",
    version: "1.0",
    architecture: "amd64",
    builtAt: Date.UTC(2026, 10, 25, 4, 0, 0),
    buildPath: "/tmp/myswitch",
    outputs: [{ path: "bin/hello.hvt", size: 4, sha256: FILE }],
    systemPackages: [
      { name: "gcc", version: "4:12.2.0-3" },
      { name: "zlib1g", version: "1:1.2.13" },
    ],
    opamPackages: [{ name: "hello", version: "1.0" }],
    environment: [["PATH", '/bin:"x"']],
  });
  expect(text).toBe(`Format: 1.0
Source: hello
Binary: hello
Architecture: amd64
Version: 1.0
Checksums-Sha256:
 ${FILE} 4 bin/hello.hvt
Build-Architecture: amd64
Build-Date: Wed, 25 Nov 2026 04:00:00 +0000
Build-Path: /tmp/myswitch
Installed-Build-Depends:
 gcc (= 4:12.2.0-3),
 zlib1g (= 1:1.2.13)
X-Opam-Installed:
 hello (= 1.0)
Environment:
 PATH="/bin:\\"x\\""
`);
});
