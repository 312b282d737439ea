import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { compareChangeRecords, readChangeRecord } from "../../src/opam/change-record.ts";
import { describeRoot } from "../../src/opam/classify.ts";
import { dependenciesOf, reachFromRoot } from "../../src/opam/dependencies.ts";
import { compareDuniverses, readDuniverse } from "../../src/opam/duniverse.ts";
import { areEffectivelyEqual } from "../../src/opam/effectively-equal.ts";
import { OpamError } from "../../src/opam/opam-error.ts";
import { parseOpam } from "../../src/opam/parse-opam.ts";
import { comparePackageNames, readSwitchExport } from "../../src/opam/switch-export.ts";
import { compareVersions, matches, parseConstraint } from "../../src/opam/version.ts";
import { generateExport } from "./generate-export.ts";

const vector = (name: string) => readFileSync(join(import.meta.dir, "../vectors/opam", name), "utf8");

function errorOf(work: () => unknown): OpamError {
  try {
    work();
  } catch (error) {
    if (error instanceof OpamError) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

describe("a switch export", () => {
  test("of orb is read whole", () => {
    const exported = readSwitchExport(vector("orb.opam-switch"));
    expect(exported.roots).toEqual([{ name: "duration", version: "0.3.1" }]);
    expect(exported.installed).toHaveLength(11);
    expect([exported.pinned, exported.compiler]).toEqual([[], []]);
    expect([...exported.packages.keys()]).toEqual(exported.installed.map(({ name }) => name));
    expect([...exported.extraFiles.keys()]).toEqual(["md5=21b40cf7e54d3841aaff6f26bdbd6d82"]);
  });
  test("may leave out brackets, and have pins and a compiler", () => {
    const exported = readSwitchExport(
      'roots: "a.1.0"\ninstalled: ["a.1.0" "b.2-rc.1"]\npinned: "a.1.0"\ncompiler: ["b.2-rc.1"]\nextra-files: [["md5=1" "QQ"] ["md5=2" "Qg"]]',
    );
    expect(exported.roots).toEqual([{ name: "a", version: "1.0" }]);
    expect(exported.pinned).toEqual(exported.roots);
    expect(exported.compiler).toEqual([{ name: "b", version: "2-rc.1" }]);
    expect(exported.extraFiles.get("md5=2")).toBe("Qg");
  });
  for (const text of [
    'roots: ["a"]',
    "roots: [1]",
    'roots: [".1"]',
    'extra-files: [["md5=1"]]',
    'package "a" {} package "a" {}',
  ]) {
    test(`${text} is refused`, () => {
      expect(errorOf(() => readSwitchExport(text)).code).toBe("bad-field");
    });
  }
  test("orders names without regard to case first", () => {
    expect(["b", "B", "a", "C"].toSorted(comparePackageNames)).toEqual(["a", "B", "b", "C"]);
  });
});

describe("versions", () => {
  const version = fc.string({
    unit: fc.constantFrom("0", "1", "2", "10", "a", "Z", "~", ".", "+", "-"),
    maxLength: 8,
  });
  test("are in a total order", () => {
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(compareVersions(a, a)).toBe(0);
        expect(Math.sign(compareVersions(a, b)) + Math.sign(compareVersions(b, a))).toBe(0);
        if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0)
          expect(compareVersions(a, c)).toBeLessThanOrEqual(0);
      }),
      { numRuns: 2000 },
    );
  });
  const cases: readonly (readonly [string, string, boolean])[] = [
    ["x509 < 0.11.0", "x509.0.10.9", true],
    ["x509 < 0.11.0", "x509.0.11.0", false],
    ["x509 < 0.11.0", "x509.0.11.0~beta", true],
    ["x509 < 0.11.0", "tls.0.1", false],
    ["x509", "x509.7", true],
    ["x509.0.11.0", "x509.0.11.0", true],
    ["x509.0.11.0", "x509.0.11.1", false],
    ['x509>="0.9"&<0.11', "x509.0.10", true],
    ["x509 >= 0.9, != 0.10", "x509.0.10", false],
    ["conf-g++ > 1", "conf-g++.2", true],
    ["x509 <= 1.0", "x509.1.00", true],
  ];
  for (const [text, name, isMatch] of cases) {
    test(`${text} ${isMatch ? "takes" : "doesn't take"} ${name}`, () => {
      const dot = name.indexOf(".");
      const found = { name: name.slice(0, dot), version: name.slice(dot + 1) };
      expect(matches(parseConstraint(text), found)).toBe(isMatch);
    });
  }
  for (const text of ["", "< 1", "x509 <", "x509 == 1", "x509 < 1 | > 2", "a b", `x < ${"1".repeat(2000)}`]) {
    test(`${JSON.stringify(text.slice(0, 20))} is no constraint`, () => {
      expect(errorOf(() => parseConstraint(text)).code).toBe("bad-constraint");
    });
  }
});

describe("dependencies", () => {
  const exported = readSwitchExport(`roots: ["a.1"] installed: ["a.1" "b.1" "c.1" "d.1"]
    package "a" { depends: ["b" {>= "1"} ("c" | "gone")] depopts: ["d"] }
    package "b" { depends: ["c" {os = "d"}] } package "c" { } package "d" { depends: ["a" "c"] }`);
  test("are the installed names in depends and depopts, whatever stands in braces", () => {
    expect(Object.fromEntries(dependenciesOf(exported))).toEqual({
      a: ["b", "c", "d"],
      b: ["c"],
      c: [],
      d: ["a", "c"],
    });
  });
  test("are counted backwards among what the root reaches, in a circle too", () => {
    const reached = reachFromRoot(exported);
    expect(Object.fromEntries(reached?.reverseCounts ?? [])).toEqual({ a: 1, b: 1, c: 3, d: 1 });
  });
  test("are those that orb recorded, where it did", () => {
    const recorded = readSwitchExport(`roots: ["a.1"] installed: ["a.1" "b.1" "c.1"]
      package "a" { depends: ["c"] x-orb-dependencies: [["a" ["b"]] ["b" ["c" "gone"]]] } package "b" {} package "c" {}`);
    expect(Object.fromEntries(dependenciesOf(recorded))).toEqual({ a: ["b"], b: ["c"], c: [] });
  });
  test("need exactly one root", () => {
    expect(reachFromRoot(readSwitchExport("roots: []"))).toBeUndefined();
    expect(
      reachFromRoot(readSwitchExport('roots: ["a.1" "b.1"] package "a" {} package "b" {}')),
    ).toBeUndefined();
  });
});

const dirs = (...values: readonly string[]) =>
  readDuniverse(
    readSwitchExport(`roots: "a.1" package "a" { x-opam-monorepo-duniverse-dirs: [${values.join(" ")}] }`),
  );
const MD5 = "0".repeat(31);
const SHA = "a".repeat(64);

describe("vendored sources", () => {
  test("are read with and without hashes", () => {
    expect([
      ...dirs(`["u" "d" ["${MD5}1" "sha256=${SHA.toUpperCase()}"]]`, '["git+x#1" "e"]').values(),
    ]).toEqual([
      {
        directory: "d",
        url: "u",
        hashes: [
          { kind: "md5", value: `${MD5}1` },
          { kind: "sha256", value: SHA },
        ],
      },
      { directory: "e", url: "git+x#1", hashes: [] },
    ]);
    expect(dirs('"u" "d"').get("d")?.url).toBe("u");
    expect(readDuniverse(readSwitchExport('roots: "a.1" package "a" {}')).size).toBe(0);
  });
  test("are the same by their hashes wherever they come from, and by their address without", () => {
    const left = dirs(
      `["u" "same" ["${MD5}1"]]`,
      '["u" "git"]',
      '["u" "git-moved"]',
      `["u" "less" ["${MD5}1"]]`,
    );
    const right = dirs(
      `["moved" "same" ["md5=${MD5}1"]]`,
      '["u" "git"]',
      '["v" "git-moved"]',
      `["u" "less" ["${MD5}1" "sha256=${SHA}"]]`,
      '["n" "new"]',
    );
    const { added, removed, changed } = compareDuniverses(left, right);
    expect(added.map(({ directory }) => directory)).toEqual(["new"]);
    expect(removed).toEqual([]);
    expect(changed).toEqual([
      { directory: "git-moved", leftUrl: "u", rightUrl: "v", hashes: [] },
      {
        directory: "less",
        leftUrl: "u",
        rightUrl: "u",
        hashes: [{ kind: "sha256", left: undefined, right: SHA }],
      },
    ]);
  });
  test("that can't be had say why in builder-web's words", () => {
    expect(errorOf(() => readDuniverse(readSwitchExport("roots: []"))).message).toBe(
      "not a single root package found in opam switch export",
    );
    expect(errorOf(() => readDuniverse(readSwitchExport('roots: "a.1"'))).message).toBe(
      "opam switch export doesn't contain the main package",
    );
    expect(errorOf(() => dirs('["u"]')).code).toBe("bad-field");
    expect(errorOf(() => dirs('["u" "d" ["sha256=00"]]')).code).toBe("bad-field");
  });
});

describe("a job's words", () => {
  const sectionOf = (text: string) => describeRoot(readSwitchExport(text))?.section;
  test("come from the root", () => {
    expect(describeRoot(readSwitchExport(vector("orb.opam-switch")))).toMatchObject({
      section: "Packages",
      synopsis: "Conversions to various time units",
    });
    expect(describeRoot(readSwitchExport("roots: []"))).toBeUndefined();
  });
  test("tell unikernels from packages", () => {
    const metrics = "Unikernels (with metrics reported to Influx)";
    expect(sectionOf('roots: "a.1" package "a" { x-mirage-opam-lock-location: "x" }')).toBe("Unikernels");
    expect(sectionOf('roots: "mirage-unikernel-a.1" package "mirage-unikernel-a" {}')).toBe("Unikernels");
    expect(
      sectionOf(
        'roots: "mirage-unikernel-a.1" installed: "metrics-influx.1" package "mirage-unikernel-a" {}',
      ),
    ).toBe(metrics);
    expect(
      sectionOf(
        'roots: "a.1" package "a" { depends: ["mirage-monitoring" {>= "1"}] x-mirage-opam-lock-location: "" }',
      ),
    ).toBe(metrics);
    expect(sectionOf('roots: "a.1" package "a" { depends: ["mirage-monitoring"] }')).toBe("Packages");
  });
});

describe("two opam files are effectively equal", () => {
  const same: readonly (readonly [string, string, string])[] = [
    ["with other words for people", 'synopsis: "a" tags: "x" x-a: 1', 'synopsis: "b" description: "c"'],
    ["without brackets around one", 'depends: "a"', 'depends: ["a"]'],
    ["with one command or a list of one", 'build: ["a" "b"]', 'build: [["a" "b"]]'],
    ["with empty commands", 'build: [["a"] []]', 'build: [["a"]]'],
    ["with tests under the old name", 'build-test: [["a"]]', 'run-test: [["a"]]'],
    ["with other flags than plugin", "flags: [compiler]", ""],
    [
      "with other addresses of the same content",
      'url { src: "a" checksum: "md5=1" }',
      'url { src: "b" checksum: ["md5=1" "sha256=2"] }',
    ],
  ];
  for (const [name, left, right] of same) {
    test(name, () => expect(areEffectivelyEqual(parseOpam(left), parseOpam(right))).toBe(true));
  }
  const other: readonly (readonly [string, string])[] = [
    ['depends: ["a"]', 'depends: ["a" {>= "1"}]'],
    ['depends: ["a" | "b"]', 'depends: ["a" & "b"]'],
    ['build: [["a" "b"]]', 'build: [["a"] ["b"]]'],
    ["flags: plugin", ""],
    ['url { src: "a" }', 'url { src: "b" }'],
    ['url { src: "a" checksum: "md5=1" }', 'url { src: "a" checksum: "md5=2" }'],
    ['extra-source "x" { src: "a" }', 'extra-source "y" { src: "a" }'],
    ['setenv: [A = "1"]', 'setenv: [A += "1"]'],
    ["x-env-path-rewrite: [a b]", ""],
    ['conflict-class: "a"', ""],
  ];
  for (const [left, right] of other) {
    test(`but not ${left} and ${right}`, () =>
      expect(areEffectivelyEqual(parseOpam(left), parseOpam(right))).toBe(false));
  }
});

describe("a change record", () => {
  test("has every kind of entry", () => {
    const text = `opam-version: "2.0" added: ["a" {"F:${"0".repeat(32)}"} "b" {"D"} "c" {"L:x/y"} "d" {"S:1:2"} "e" {"F:S12T1.5"}]
      removed: ["f" "g"] perm-changed: "h" {"D"}`;
    const record = readChangeRecord(text);
    expect([...record].map(([path, { change, file }]) => [path, change, file?.kind])).toEqual([
      ["a", "added", "file"],
      ["b", "added", "directory"],
      ["c", "added", "link"],
      ["d", "added", "special"],
      ["e", "added", "file-of-size"],
      ["f", "removed", undefined],
      ["g", "removed", undefined],
      ["h", "perm-changed", "directory"],
    ]);
  });
  test("is compared by path and digest", () => {
    const record = vector("duration.build-hashes");
    const one = readChangeRecord(record);
    expect(compareChangeRecords(one, readChangeRecord(record))).toEqual([]);
    const other = readChangeRecord(
      record.replace("8cb47b43", "00000000").replace("duration.cmi", "other.cmi"),
    );
    expect(compareChangeRecords(one, other)).toEqual([
      { path: "doc/duration/CHANGES.md", side: "both" },
      { path: "lib/duration/duration.cmi", side: "left" },
      { path: "lib/duration/other.cmi", side: "right" },
    ]);
  });
  test("with something else in it is refused", () => {
    expect(errorOf(() => readChangeRecord('added: ["a" {"X:1"}]')).code).toBe("bad-field");
    expect(errorOf(() => readChangeRecord("added: [1]")).code).toBe("bad-field");
  });
});

test("the made-up export is one of 150 packages, the same each time", () => {
  const exported = readSwitchExport(generateExport());
  expect(exported.installed).toHaveLength(151);
  expect(readDuniverse(exported).size).toBe(50);
  expect(generateExport({ seed: 3 })).toBe(generateExport({ seed: 3 }));
});
