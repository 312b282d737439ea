import { describe, expect, test } from "bun:test";
import { attestBuild, attestRebuild, readInputs } from "../../../src/builds/attestations/attest.ts";
import { buildinfoOf, oldSums } from "../../../src/builds/attestations/buildinfo-of.ts";
import {
  ingredientsOf,
  readEnvironment,
  readSystemPackages,
} from "../../../src/builds/attestations/ingredients.ts";
import { recordedSettings } from "../../../src/builds/reproduce/recorded-settings.ts";
import { sha256Of } from "../../../src/lib/sha256-of.ts";
import type { Build } from "../../../src/store/api.ts";
import { parseEnvelope, signersOf } from "../../../src/trust/envelope.ts";
import { attestationsAbout, attestationsOfBuild, ownPublicKeys } from "../../../src/trust/records.ts";
import { parseStatement } from "../../../src/trust/statement.ts";
import { openLab, recordBytes, upload } from "../../store/builds/lab.ts";

const SHA256 = "ab".repeat(32);
const SHA512 = "cd".repeat(64);
const COMMIT = "0123456789abcdef0123456789abcdef01234567";

const SWITCH = `opam-version: "2.0"
roots: ["hello.1.0"]
installed: ["dep.0.1" "git-dep.2" "hello.1.0"]
package "dep" {
  opam-version: "2.0"
  version: "0.1"
  url {
    src: "https://example.org/dep-0.1.tar.gz"
    checksum: ["sha256=${SHA256}" "sha512=${SHA512}"]
  }
}
package "git-dep" {
  opam-version: "2.0"
  version: "2"
  url {
    src: "git+https://example.org/git-dep.git#${COMMIT}"
  }
}
package "hello" {
  opam-version: "2.0"
  version: "1.0"
  x-opam-monorepo-duniverse-dirs: [
    ["https://example.org/tls.tbz" "tls" ["sha256=${SHA256}"]]
  ]
}
`;
const ENVIRONMENT =
  "HOME=/root\nPATH=/bin\nSOURCE_DATE_EPOCH=1589138087\nORB_BUILDING_PACKAGE=hello\nPREFIX=/tmp/myswitch\nSWITCH_PATH=myswitch\nORB_DATA=2\nARCH=x86_64\nOS_FAMILY=debian\nOS_DISTRIBUTION=debian\nOS=linux";
const PACKAGES = "gcc=4:12.2.0-3\nlibc6:amd64=2.36-9+deb12u4\n";

const HOW = {
  opamPackage: "hello",
  repositories: ["default:https://opam.ocaml.org"],
  reason: "schedule",
  timeoutMs: 3_600_000,
  limits: { memoryMb: 2048, cpus: undefined, processes: undefined, diskMb: undefined },
  network: { kind: "none" },
  sandbox: { kind: "bwrap", packagesSha256: SHA256, description: "debian-12" },
} as const;

async function withBuild(
  action: (lab: ReturnType<typeof openLab>, build: Build) => Promise<void>,
): Promise<void> {
  await using lab = openLab();
  const outcome = await upload(
    lab.store,
    await recordBytes({
      files: [
        ["bin/hello.hvt", "the binary"],
        ["opam-switch", SWITCH],
        ["build-environment", ENVIRONMENT],
        ["system-packages", PACKAGES],
      ],
    }),
  );
  if (!outcome.ok) throw new Error(outcome.refusal.message);
  await action(lab, outcome.build);
}

describe("what went into a build", () => {
  const inputs = { opamSwitch: SWITCH, environment: ENVIRONMENT, systemPackages: PACKAGES };

  test("is named with hashes, commits, and the packages of the system", () => {
    expect(ingredientsOf(inputs)).toEqual([
      {
        uri: "pkg:opam/dep@0.1",
        downloadLocation: "https://example.org/dep-0.1.tar.gz",
        digest: { sha256: SHA256, sha512: SHA512 },
      },
      {
        uri: "pkg:opam/git-dep@2",
        downloadLocation: `git+https://example.org/git-dep.git#${COMMIT}`,
        digest: { gitCommit: COMMIT },
      },
      { uri: "pkg:opam/hello@1.0" },
      { name: "tls", downloadLocation: "https://example.org/tls.tbz", digest: { sha256: SHA256 } },
      { uri: "pkg:deb/debian/gcc@4%3A12.2.0-3?arch=amd64" },
      { uri: "pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?arch=amd64" },
    ]);
  });

  test("is what there is of it when files are missing or damaged", () => {
    const none = { opamSwitch: undefined, environment: undefined, systemPackages: undefined };
    expect(ingredientsOf(none)).toEqual([]);
    expect(ingredientsOf({ ...none, opamSwitch: "{{{", systemPackages: "zlib-1.3" })).toEqual([
      { uri: "pkg:generic/zlib@1.3" },
    ]);
  });

  test("values keep their equals signs, and FreeBSD's names their dashes", () => {
    expect(readEnvironment("A=b=c\nA2=\nnothing\n=x\nA=d")).toEqual(
      new Map([
        ["A", "d"],
        ["A2", ""],
      ]),
    );
    expect(readSystemPackages("py311-foo-1.2_3,1\n\n")).toEqual([{ name: "py311-foo", version: "1.2_3,1" }]);
  });
});

describe("a build's papers", () => {
  test("are a signed statement of how it came to be, about each of its files", async () => {
    await withBuild(async ({ db, store, contents }, build) => {
      const kept = await attestBuild({ db, builds: store, contents }, build, HOW, 5);
      expect(attestationsOfBuild(db, build.id)).toEqual([kept!]);
      expect(attestationsAbout(db, sha256Of("the binary"))).toEqual([kept!]);
      const envelope = parseEnvelope(kept!.envelope);
      expect(signersOf(envelope, ownPublicKeys(db))).toHaveLength(1);
      const { subject, predicate } = parseStatement(envelope.payload);
      expect(subject.map(({ name }) => name)).toEqual([
        "bin/hello.hvt",
        "build-environment",
        "opam-switch",
        "system-packages",
      ]);
      expect(predicate).toMatchObject({
        buildDefinition: {
          buildType: "urn:robur:build:orb:1",
          externalParameters: {
            job: "hello",
            platform: "debian-12",
            opamPackage: "hello",
            repositories: ["default:https://opam.ocaml.org"],
            scriptSha256: sha256Of("true\n"),
            sourceDateEpoch: "1589138087",
          },
          internalParameters: {
            environment: { HOME: "/root", SWITCH_PATH: "myswitch" },
            switchPath: "myswitch",
            timeoutSeconds: 3600,
          },
          resolvedDependencies: expect.arrayContaining([
            { name: "root file system packages", digest: { sha256: SHA256 } },
          ]),
        },
        runDetails: {
          builder: { id: "urn:robur:builder:bwrap" },
          metadata: { invocationId: build.id, startedOn: "2024-09-04T10:11:12.123Z" },
        },
      });
    });
  });

  test("say of a rebuild which files came out again, and from what", async () => {
    await withBuild(async ({ db }, build) => {
      const files = [{ name: "bin/hello.hvt", sha256: sha256Of("the binary") }];
      const inputs = [{ name: "opam-switch", sha256: sha256Of(SWITCH) }];
      const kept = attestRebuild(db, { build: build.id, files, inputs, startedAt: 0, finishedAt: 1000 }, 5);
      const { predicate } = parseStatement(parseEnvelope(kept.envelope).payload);
      expect(predicate).toMatchObject({
        name: "rebuild bin/hello.hvt",
        materials: [{ name: "opam-switch", digest: { sha256: sha256Of(SWITCH) } }],
      });
    });
  });

  test("are a .buildinfo as well", async () => {
    await withBuild(async ({ store, contents }, build) => {
      const sums = await oldSums(store, contents, build);
      const text = buildinfoOf(build, await readInputs(store, contents, build), sums, "riscv64");
      expect(text).toContain("Source: hello\nBinary: hello\nArchitecture: amd64\nVersion: 1.0\n");
      const old = (kind: "md5" | "sha1") => new Bun.CryptoHasher(kind).update("the binary").digest("hex");
      expect(text).toContain(`Checksums-Md5:\n ${old("md5")} 10 bin/hello.hvt\n`);
      expect(text).toContain(`Checksums-Sha1:\n ${old("sha1")} 10 bin/hello.hvt\n`);
      // What went in is no result.
      expect(text).toContain(
        `Checksums-Sha256:\n ${sha256Of("the binary")} 10 bin/hello.hvt\nBuild-Architecture: amd64\n`,
      );
      // The architecture is the build's, whoever asks.
      expect(text).toContain("Installed-Build-Depends:\n gcc (= 4:12.2.0-3),\n libc6 (= 2.36-9+deb12u4)\n");
      expect(text).toContain("X-Opam-Installed:\n dep (= 0.1),\n");
      expect(text).toContain('\n SOURCE_DATE_EPOCH="1589138087"\n');
    });
  });

  test("of a script have the packages of its root file system, which nothing else tells of", async () => {
    await using lab = openLab();
    const outcome = await upload(lab.store, await recordBytes({ files: [["bin/out", "x"]] }));
    if (!outcome.ok) throw new Error(outcome.refusal.message);
    const packages = "adduser:all=3.134\ngcc:amd64=4:12.2.0-3\nlibc6:i386=2.36-9\n";
    const sandbox = { ...HOW.sandbox, packagesSha256: sha256Of(packages), packages };
    const how = { ...HOW, opamPackage: undefined, sandbox };
    const kept = await attestBuild(
      { db: lab.db, builds: lab.store, contents: lab.contents },
      outcome.build,
      how,
      5,
    );
    const { basePackages } = recordedSettings(kept!.envelope);
    expect(basePackages).toBe(packages);
    const none = { opamSwitch: undefined, environment: undefined, systemPackages: undefined };
    expect(buildinfoOf(outcome.build, none, new Map(), "amd64", basePackages)).toContain(
      "Installed-Build-Depends:\n adduser (= 3.134),\n gcc (= 4:12.2.0-3),\n libc6:i386 (= 2.36-9)\n",
    );
  });

  test("of a script know the machine from whoever asks", async () => {
    await using lab = openLab();
    const outcome = await upload(lab.store, await recordBytes({ files: [["bin/out", "x"]] }));
    if (!outcome.ok) throw new Error(outcome.refusal.message);
    const none = { opamSwitch: undefined, environment: undefined, systemPackages: undefined };
    const text = buildinfoOf(outcome.build, none, new Map(), "riscv64");
    expect(text).toContain("Architecture: riscv64\nVersion: 0\n");
  });

  test("a build without files has none", async () => {
    await using lab = openLab();
    const outcome = await upload(lab.store, await recordBytes({ files: [] }));
    if (!outcome.ok) throw new Error(outcome.refusal.message);
    const made = await attestBuild(
      { db: lab.db, builds: lab.store, contents: lab.contents },
      outcome.build,
      HOW,
      5,
    );
    expect(made).toBeUndefined();
  });
});
