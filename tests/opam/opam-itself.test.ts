/** Exports that the real opam makes of a repository of our own: they must come back byte for byte. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { readChangeRecord } from "../../src/opam/change-record.ts";
import { parseOpam } from "../../src/opam/parse-opam.ts";
import { printOpam } from "../../src/opam/print-opam.ts";
import { readSwitchExport } from "../../src/opam/switch-export.ts";
import { compareVersions } from "../../src/opam/version.ts";
import { lacks, needsCommands } from "../needs.ts";
import { environment, temporaryDirectory } from "../robur.ts";

const HEAD = 'opam-version: "2.0"\nmaintainer: "somebody@example.org"\n';
const REPOSITORY: Readonly<Record<string, string>> = {
  repo: 'opam-version: "2.0"\n',
  "packages/first/first.1.0/opam": `${HEAD}synopsis: "Says \\"hi\\" \\\\ and ends"
description: """
Lines
  with "quotes", three of them: \\"\\"\\", and Ünïcödé.
"""
tags: ["one" "two"]
build: [
  ["true" "-x" {os = "linux" & (arch = "x86_64" | arch != "arm64")} "%{name}%"] {!(?something & os-family = "debian") | with-test}
  ["true" "a rather long argument" "another rather long argument" "and one more of these" jobs]
]
available: os != "win32" & arch != "ppc64" & (os-distribution = "debian" | os-distribution != "alpine" | os-version >= "3.10")
setenv: [[PATH += "%{bin}%"] [FIRST = "%{lib}%/first"]]
x-numbers: [1 -2 true first:bin a+b]
x-opam-monorepo-duniverse-dirs: [["git+https://example.org/dir#0123456789012345678901234567890123456789" "dir"] ["https://example.org/other.tbz" "other" ["md5=00112233445566778899aabbccddeeff"]]]
`,
  "packages/second/second.2.0~beta/opam": `${HEAD}synopsis: "s"
depends: ["first" {>= "1.0" & < "2.0~" & (with-test | build | = "1.0")} ("third" | "fourth" {= version & != "0"})]
conflicts: ["fifth" {< "1"}]
install: ["touch" "%{prefix}%/made"]
messages: ["a message" {os != "linux"}]
`,
  "packages/third/third.3/opam": `${HEAD}synopsis: "t"
depopts: ["a-package-with-a-long-name" "another-package-with-a-long-name" "and-another-one"]
`,
};

/** Runs opam in a root of its own and gives back what it wrote. */
function opam(directory: string, ...args: readonly string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["opam", ...args], {
    cwd: directory,
    env: environment({
      HOME: directory,
      OPAMROOT: join(directory, "root"),
      OPAMROOTISOK: "1",
      OPAMYES: "1",
      OPAMPRECISETRACKING: "1",
      OPAMSWITCH: undefined,
    }),
  });
  if (exitCode !== 0) throw new Error(`opam ${args.join(" ")}: ${exitCode}\n${stdout}${stderr}`);
  return stdout.toString();
}

describe.skipIf(lacks(needsCommands("opam")))("opam itself", () => {
  test("what it exports, and the changes it records, come back byte for byte", () => {
    const directory = temporaryDirectory();
    for (const [path, text] of Object.entries(REPOSITORY)) {
      const full = join(directory, "repository", path);
      mkdirSync(dirname(full), { recursive: true });
      writeFileSync(full, text);
    }
    opam(
      directory,
      ...["init", "--bare", "--no-setup", "--no-opamrc", "--bypass-checks", "--disable-sandboxing"],
      ...["-k", "local", "local", join(directory, "repository")],
    );
    opam(directory, "switch", "create", "s", "--empty");
    opam(directory, "install", "--switch", "s", "--no-depexts", "second");
    opam(directory, "switch", "export", "--switch", "s", "--full", "--freeze", join(directory, "export"));

    const text = readFileSync(join(directory, "export"), "utf8");
    const exported = readSwitchExport(text);
    expect(exported.roots).toEqual([{ name: "second", version: "2.0~beta" }]);
    expect([...exported.packages.keys()]).toEqual(["first", "second", "third"]);
    expect(printOpam(parseOpam(text))).toBe(text);

    const changes = readFileSync(join(directory, "root/s/.opam-switch/install/second.changes"), "utf8");
    expect(readChangeRecord(changes).get("made")).toEqual({
      change: "added",
      file: { kind: "file", digest: "d41d8cd98f00b204e9800998ecf8427e" },
    });
    expect(printOpam(parseOpam(changes))).toBe(changes);
  });
});

/** In order; what stands in one row is equal. */
const ORDERED = [
  ["1~~"],
  ["1~~a"],
  ["1~"],
  ["1~beta"],
  ["1", "01"],
  ["1-1"],
  ["1a"],
  ["1b"],
  ["1+dfsg"],
  ["1.", "1.0", "1.00"],
  ["1.0-1"],
  ["1.0-2"],
  ["1.0-10"],
  ["1.0.0"],
  ["1.9"],
  ["1.10"],
  ["1.10+a"],
  ["2"],
  ["10"],
  ["99999999999999999999"],
  ["v0.9"],
];

describe.skipIf(lacks(needsCommands("dpkg")))("the order of versions", () => {
  test("is dpkg's", () => {
    const random = numbers();
    const pieces = ["0", "1", "9", "10", "~", "a", "Z", "b", "+", ".", "-1", "rc", "00"];
    const any = () =>
      `1${Array.from({ length: 1 + random(5) }, () => pieces[random(pieces.length)]).join("")}`;
    for (let i = 0; i < 200; i++) {
      const [left, right] = [any(), any()];
      const order = compareVersions(left, right);
      const operator = order < 0 ? "lt" : order > 0 ? "gt" : "eq";
      const { exitCode } = Bun.spawnSync(["dpkg", "--compare-versions", left, operator, right]);
      expect([left, operator, right, exitCode]).toEqual([left, operator, right, 0]);
    }
  });
});

test("versions are in this order", () => {
  for (const [i, row] of ORDERED.entries()) {
    for (const version of row) {
      for (const [j, others] of ORDERED.entries()) {
        for (const other of others)
          expect([version, other, Math.sign(compareVersions(version, other))]).toEqual([
            version,
            other,
            Math.sign(i - j),
          ]);
      }
    }
  }
});

/** Numbers below a limit, the same in every run. */
function numbers(): (limit: number) => number {
  let state = 7;
  return (limit) => {
    state = (state * 1103515245 + 12345) & 0x7fffffff;
    return (state >> 8) % limit;
  };
}
