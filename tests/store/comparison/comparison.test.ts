import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { OpamError } from "../../../src/opam/opam-error.ts";
import { readSwitchExport } from "../../../src/opam/switch-export.ts";
import type { Build, Solo5Notes } from "../../../src/store/api.ts";
import { sha256Of } from "../../../src/lib/sha256-of.ts";
import { type Comparable, type Input, compareBuilds } from "../../../src/store/comparison/comparison.ts";
import {
  compareKeyed,
  readEnvironment,
  readSystemPackages,
} from "../../../src/store/comparison/keyed-lines.ts";
import { loadComparable } from "../../../src/store/comparison/load-comparable.ts";
import { originalJson } from "../../../src/store/comparison/original-json.ts";
import { renderMarkdown, renderText } from "../../../src/store/comparison/render.ts";
import { isSame, sectionsOf } from "../../../src/store/comparison/sections.ts";
import { generateExport } from "../../opam/generate-export.ts";
import { type SampleRecord, openLab, recordBytes, upload, utf8 } from "../builds/lab.ts";

interface Sides {
  readonly opam?: string;
  readonly environment?: string;
  readonly packages?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly build?: Partial<Comparable["build"]>;
  readonly solo5?: Solo5Notes;
  readonly console?: string;
}

function input<T>(text: string | undefined, read: (text: string) => T): Input<T> {
  if (text === undefined) return { state: "missing" };
  try {
    return { state: "read", value: read(text) };
  } catch (error) {
    if (!(error instanceof OpamError)) throw error;
    return { state: "unreadable", error: error.message };
  }
}

function comparable({ opam, environment, packages, files = {}, build, solo5, console }: Sides): Comparable {
  const all = { ...files, ...(opam === undefined ? {} : { "opam-switch": opam }) };
  return {
    build: { name: "hello", ...build },
    files: Object.entries(all).map(([path, text]) => ({ path, sha256: sha256Of(text), size: text.length })),
    switchExport: input(opam, readSwitchExport),
    environment: input(environment, readEnvironment),
    systemPackages: input(packages, readSystemPackages),
    solo5: solo5 === undefined ? { state: "missing" } : { state: "read", value: solo5 },
    console:
      console === undefined
        ? { state: "missing" }
        : { state: "read", value: { beginning: console, end: console, isCut: false } },
  };
}

const compare = (left: Sides, right: Sides) => compareBuilds(comparable(left), comparable(right));

describe("lines of names and values", () => {
  test("an environment's values may have = in them, and its last line needs no end", () => {
    expect([...readEnvironment("A=b=c\nEMPTY\n\nA=2\nB=x")]).toEqual([
      ["A", "2"],
      ["EMPTY", ""],
      ["B", "x"],
    ]);
  });
  test("Debian's packages are cut at =, FreeBSD's at the last dash", () => {
    expect([...readSystemPackages("zlib1g=1:1.2-3\nlibstdc++=12\n")]).toEqual([
      ["zlib1g", "1:1.2-3"],
      ["libstdc++", "12"],
    ]);
    expect([...readSystemPackages("py311-foo-1.2_3,1\npy311-bar-2\n").keys()]).toEqual([
      "py311-foo",
      "py311-bar",
    ]);
  });
  const lines = fc.dictionary(fc.constantFrom("A", "B", "C", "D"), fc.constantFrom("1", "2"));
  test("compared with themselves are empty, and swapped with swapped sides", () => {
    fc.assert(
      fc.property(lines, lines, (l, r) => {
        const [left, right] = [new Map(Object.entries(l)), new Map(Object.entries(r))];
        expect(compareKeyed(left, left)).toEqual({ added: [], removed: [], changed: [] });
        const there = compareKeyed(left, right);
        const back = compareKeyed(right, left);
        expect(back.added).toEqual(there.removed);
        expect(back.changed).toEqual(
          there.changed.map(({ name, left: a, right: b }) => ({ name, left: b, right: a })),
        );
      }),
    );
  });
});

describe("builds", () => {
  const some = fc.uniqueArray(fc.nat(19), { maxLength: 6 });
  const exports = fc
    .record({ upgraded: some, edited: some, left: some })
    .map((options) => generateExport({ packages: 20, ...options }));

  test("compared with themselves are the same", () => {
    fc.assert(
      fc.property(exports, (opam) => {
        const side = {
          opam,
          environment: "A=1",
          packages: "a=1\n",
          files: { "bin/a": "x" },
          console: "0.1s:a\n",
        };
        expect(sectionsOf(compare(side, side))).toEqual([]);
      }),
      { numRuns: 20 },
    );
  });

  test("swapped have their differences swapped", () => {
    fc.assert(
      fc.property(exports, exports, (left, right) => {
        const there = compare({ opam: left }, { opam: right });
        const back = compare({ opam: right }, { opam: left });
        if (there.opam.state !== "compared" || back.opam.state !== "compared")
          throw new Error("not compared");
        if (there.duniverse.state !== "compared" || back.duniverse.state !== "compared")
          throw new Error("not compared");
        expect(back.opam.added).toEqual(there.opam.removed);
        expect(back.opam.versions.map(({ left: l, right: r, isUpgrade }) => [r, l, !isUpgrade])).toEqual(
          there.opam.versions.map(({ left: l, right: r, isUpgrade }) => [l, r, isUpgrade]),
        );
        expect(back.opam.files.map(({ name }) => name)).toEqual(there.opam.files.map(({ name }) => name));
        expect(back.duniverse.added).toEqual(there.duniverse.removed);
        expect(isSame(back)).toBe(isSame(there));
      }),
      { numRuns: 20 },
    );
  });

  test("tell packages that are added, removed, of another version, and of another opam file", () => {
    const left = generateExport({ packages: 20, left: [4] });
    const right = generateExport({ packages: 20, left: [5], upgraded: [6], edited: [6, 7] });
    const { opam, duniverse } = compare({ opam: left }, { opam: right });
    expect(opam).toMatchObject({
      state: "compared",
      added: [{ name: "lib-4" }],
      removed: [{ name: "lib-5" }],
      versions: [{ name: "lib-6", isUpgrade: true }],
    });
    if (opam.state !== "compared") throw new Error("not compared");
    // The root's dependencies are others, and what lib-6 has otherwise is a matter of its version.
    expect(opam.files.map(({ name }) => name)).toEqual(["lib-7", "mirage-unikernel-hello"]);
    expect(opam.files[0]?.diff).toStartWith("--- left/lib-7/opam\n+++ right/lib-7/opam\n@@ ");
    expect(opam.files[0]?.diff).toContain('\n+  "lib-0"\n');
    expect(duniverse).toEqual({ state: "compared", added: [], removed: [], changed: [] });
  });

  test("without inputs lose only the parts that need them", () => {
    const comparison = compare({}, { environment: "A=1", files: { "bin/a": "1" } });
    expect(comparison.opam).toEqual({ state: "missing", sides: ["left", "right"] });
    expect(comparison.environment).toEqual({ state: "missing", sides: ["left"] });
    expect(comparison.files.added.map(({ path }) => path)).toEqual(["bin/a"]);
    expect(isSame(comparison)).toBe(false);
    expect(isSame(compare({}, {}))).toBe(true);
  });

  test("with an unreadable input say so, and are the same only with the same bytes", () => {
    const bad = 'roots: [ "a';
    const comparison = compare({ opam: bad }, { opam: bad });
    expect(comparison.opam).toMatchObject({ state: "unreadable", sides: ["left", "right"] });
    expect(isSame(comparison)).toBe(true);
    expect(isSame(compare({ opam: bad }, { opam: `${bad} ` }))).toBe(false);
    expect(isSame(compare({ opam: bad }, { opam: "roots: []" }))).toBe(false);
    expect(renderText(comparison, { isColoured: false })).toContain("can't be read");
  });

  test("differ in times and paths without a difference", () => {
    const comparison = compare(
      { environment: "SOURCE_DATE_EPOCH=1\nPREFIX=/a", console: "0.1s:1\n" },
      { environment: "SOURCE_DATE_EPOCH=2\nPREFIX=/b", console: "0.2s:2\n" },
    );
    expect(isSame(comparison)).toBe(true);
    expect(sectionsOf(comparison).find(({ anchor }) => anchor === "env-changed")?.lines).toHaveLength(2);
  });

  test("that ended otherwise show where their consoles part", () => {
    const comparison = compare(
      { build: { result: { kind: "exited", code: 0 } }, console: "0.1s:one\n0.2s:two\n0.3s:done\n" },
      { build: { result: { kind: "message", text: "timeout" } }, console: "0.9s:one\n1.2s:bad\n" },
    );
    expect(comparison.console).toMatchObject({
      firstDifference: { line: 2, left: "two", right: "bad" },
      rightTail: ["one", "bad"],
    });
    const text = renderText(comparison, { isColoured: false });
    expect(text).toContain("! exited 0 -> execution aborted: timeout");
    expect(text).toContain("first difference in line 2");
  });

  test("don't differ by the colours of their consoles, and show them without", () => {
    const ended = (code: number) => ({ build: { result: { kind: "exited", code } as const } });
    const left = { ...ended(0), console: "0.1s:\x1b[32mone\x1b[0m\n0.2s:two\n" };
    const right = { ...ended(1), console: `0.1s:one\n0.2s:\x1b[31mbad\x1b[0m\x1b]0;x\x07\n` };
    const { console } = compare(left, right);
    expect(console).toMatchObject({
      firstDifference: { line: 2, left: "two", right: "bad\\x1b]0;x\\x07" },
      leftTail: ["one", "two"],
    });
    // What parts them may stand behind what is shown of a line.
    const long = (end: string) => ({ ...ended(end.length), console: `0.1s:${"x".repeat(900)}${end}\n` });
    expect(compare(long("a"), long("bb")).console).toMatchObject({ firstDifference: { line: 1 } });
  });

  test("of equal inputs with other outputs are said to be not reproducible", () => {
    const inputs = { opam: generateExport(), environment: "OS=linux", packages: "zlib=1\n" };
    const main = (output: string) => ({
      build: { main: { path: "bin/a", sha256: sha256Of(output), size: 1 } },
      files: {
        "bin/a": output,
        "opam-switch": inputs.opam,
        "build-environment": "OS=linux",
        "system-packages": "zlib=1\n",
      },
    });
    const said = (left: string, right: string) =>
      renderText(compare({ ...inputs, ...main(left) }, { ...inputs, ...main(right) }), { isColoured: false });
    expect(said("a", "b")).toContain("the inputs are the same: this is not reproducible");
    expect(said("a", "a")).not.toContain("not reproducible");
    // Of builds without a record of their inputs nothing is said, also where the comparison came as JSON.
    const bare = { build: main("a").build, files: { "bin/a": "a" } };
    const unknown = compare(bare, { build: main("b").build, files: { "bin/a": "b" } });
    for (const one of [unknown, JSON.parse(JSON.stringify(unknown)) as typeof unknown])
      expect(renderText(one, { isColoured: false })).not.toContain("not reproducible");
  });

  test("tell devices and targets apart", () => {
    const notes = (target: string, ...devices: Solo5Notes["manifest"]["devices"]): Solo5Notes => ({
      manifest: { type: "solo5.manifest", version: 1, devices },
      abi: { type: "solo5.abi", target, version: 2 },
    });
    const left = notes("hvt", { name: "a", type: "NET_BASIC" }, { name: "b", type: "NET_BASIC" });
    const right = notes("spt", { name: "b", type: "BLOCK_BASIC" }, { name: "c", type: "NET_BASIC" });
    expect(compare({ solo5: left }, { solo5: right }).solo5).toEqual({
      state: "compared",
      added: [{ name: "c", type: "NET_BASIC" }],
      removed: [{ name: "a", type: "NET_BASIC" }],
      retyped: [{ name: "b", left: "NET_BASIC", right: "BLOCK_BASIC" }],
      abi: { left: "hvt, ABI version 2", right: "spt, ABI version 2" },
    });
  });
});

describe("what is shown", () => {
  const hostile = "\x1b[2J`|<b>@team";
  const comparison = compare(
    { environment: `A=1\n${hostile}=1`, files: { "bin/a": "1" } },
    { environment: "A=2", files: { [`bin/${hostile}`]: "```\n" } },
  );
  test("has no control characters of other people in it", () => {
    // oxlint-disable-next-line no-control-regex
    expect(renderText(comparison, { isColoured: false })).not.toMatch(/[\0-\x09\x0b-\x1f]/);
    expect(renderText(comparison, { isColoured: true })).not.toContain("\x1b[2J");
    expect(renderMarkdown(comparison)).not.toContain("\x1b");
  });
  test("stays within its fences, and within a comment's length, in Markdown", () => {
    const environment = (value: string) =>
      Array.from({ length: 5000 }, (_, i) => `V${i}=${value}`).join("\n");
    const text = renderMarkdown(
      compare({ environment: environment("````1") }, { environment: environment("2") }),
    );
    expect(text.length).toBeLessThan(65_536);
    expect(text).toContain("too long to be shown here");
    const fenced = renderMarkdown(compare({ environment: "A=````1" }, { environment: "A=2" }));
    expect(fenced).toContain("\n`````diff\n");
  });
});

describe("builder-web's JSON", () => {
  const ID = ["08455214-8a9b-413a-b116-a65353dc0743", "08455214-8a9b-413a-b116-a65353dc0744"] as const;
  const side = (i: 0 | 1, main?: string): Partial<Comparable["build"]> => ({
    ...{ id: ID[i] as NonNullable<Comparable["build"]["id"]>, job: "hello", platform: "debian-12" },
    ...{ startedAt: Date.UTC(2024, 8, 3 + i, 10, 11, 12, 999), finishedAt: Date.UTC(2024, 8, 3 + i, 11) },
    ...(main === undefined ? {} : { main: { path: "bin/hello", sha256: sha256Of(main), size: main.length } }),
  });

  test("has its shape, and its swap", () => {
    const left =
      'roots: "a.1" installed: ["a.1" "b.1" "tls.0.17.4" "gone.1" "gone2.1"] package "a" { depends: "b" }';
    const right =
      'roots: "a.1" installed: ["a.1" "b.1" "tls.0.17.5" "new.1"] package "a" { x-opam-monorepo-duniverse-dirs: ["u" "d"] }';
    const json = originalJson(
      compare(
        { build: side(0, "1234"), opam: left, environment: "OS_VERSION=12.5", packages: "a=1\n" },
        { build: side(1), opam: right, environment: "OS_VERSION=12.6", packages: "a=1\nnewpkg=1.0\n" },
      ),
    );
    expect(JSON.parse(JSON.stringify(json))).toEqual({
      left: {
        ...{ job: "hello", uuid: ID[0], platform: "debian-12" },
        ...{ start_time: "2024-09-03T10:11:12-00:00", finish_time: "2024-09-03T11:00:00-00:00" },
        ...{ main_binary: true, main_binary_size: 4 },
      },
      right: {
        ...{ job: "hello", uuid: ID[1], platform: "debian-12" },
        ...{ start_time: "2024-09-04T10:11:12-00:00", finish_time: "2024-09-04T11:00:00-00:00" },
        ...{ main_binary: false, main_binary_size: null },
      },
      env_diff: {
        ...{ left_packages: [], right_packages: [], added: [], removed: [] },
        different_versions: [{ name: "OS_VERSION", version_left: "12.5", version_right: "12.6" }],
        changed: [{ name: "OS_VERSION", version_left: "12.5", version_right: "12.6" }],
      },
      package_diff: {
        left_packages: [{ name: "newpkg", version: "1.0" }],
        added: [{ name: "newpkg", version: "1.0" }],
        ...{ right_packages: [], removed: [], different_versions: [], changed: [] },
      },
      opam_diff: {
        opam_diff: [
          {
            package_version: "a.1",
            effectively_equal: false,
            // Vendored sources are below, and not here a second time.
            diff: '--- left/a/opam\n+++ right/a/opam\n@@ -1 +0,0 @@\n-depends: "b"\n',
          },
        ],
        version_diff: [{ name: "tls", version_left: "0.17.4", version_right: "0.17.5" }],
        only_in_left: [
          { name: "gone2", version: "1" },
          { name: "gone", version: "1" },
        ],
        only_in_right: [{ name: "new", version: "1" }],
        duniverse_diff: { left: [], right: [{ name: "d", value: "u" }], detailed_diff: [] },
      },
    });
  });

  test("has empty lists and an error where the vendored sources can't be read", () => {
    const two = 'roots: ["a.1" "b.1"]';
    const { opam_diff } = originalJson(compare({ build: side(0), opam: two }, { build: side(1), opam: two }));
    expect(opam_diff.duniverse_diff).toEqual({
      left: [],
      right: [],
      detailed_diff: [],
      error: "not a single root package found in opam switch export",
    });
  });
});

describe("kept builds", () => {
  async function keep(lab: ReturnType<typeof openLab>, sample: Partial<SampleRecord>): Promise<Build> {
    const outcome = await upload(lab.store, await recordBytes(sample));
    if (!outcome.ok) throw new Error(outcome.refusal.message);
    return outcome.build;
  }
  const files = (opam: string, main: string): SampleRecord["files"] => [
    ["bin/hello.hvt", main],
    ["opam-switch", opam],
    ["build-environment", "OS=linux"],
    ["system-packages", "zlib=1.2\n"],
  ];

  test("of 150 packages are compared as they were uploaded, soon", async () => {
    await using lab = openLab();
    const uuid = (i: number) => `08455214-8a9b-413a-b116-a65353dc074${i}`;
    const left = await keep(lab, { uuid: uuid(1), files: files(generateExport(), "1") });
    const right = await keep(lab, {
      uuid: uuid(2),
      files: files(generateExport({ upgraded: [3], edited: [9] }), "12"),
    });
    const load = async () => {
      const l = await loadComparable(lab.store, lab.contents, left.id);
      const r = await loadComparable(lab.store, lab.contents, right.id);
      if (l === undefined || r === undefined) throw new Error("they are gone");
      return compareBuilds(l, r);
    };
    const comparison = await load();
    expect(comparison.isSameOutput).toBe(false);
    expect(comparison.files.changed).toMatchObject([{ path: "bin/hello.hvt", growth: 1 }]);
    expect(comparison.inputs).toEqual({
      "opam-switch": false,
      "build-environment": true,
      "system-packages": true,
    });
    expect(comparison.opam).toMatchObject({ versions: [{ name: "lib-3" }], files: [{ name: "lib-9" }] });
    // As a client reads it.
    expect(JSON.parse(JSON.stringify(comparison))).toMatchObject({ opam: { files: [{ name: "lib-9" }] } });
    const start = performance.now();
    await load();
    expect(performance.now() - start).toBeLessThan(2000);
  });

  test("that failed without files are compared by what there is", async () => {
    await using lab = openLab();
    const good = await keep(lab, {});
    const bad = await keep(lab, {
      uuid: "08455214-8a9b-413a-b116-a65353dc0749",
      files: [],
      result: { kind: "exited", code: 1 },
      console: [{ delta: 1n, text: utf8("no\n") }],
    });
    const l = await loadComparable(lab.store, lab.contents, good.id);
    const r = await loadComparable(lab.store, lab.contents, bad.id);
    if (l === undefined || r === undefined) throw new Error("they are gone");
    const comparison = compareBuilds(l, r);
    expect(comparison.opam).toEqual({ state: "missing", sides: ["right"] });
    expect(comparison.result).toEqual({
      left: { kind: "exited", code: 0 },
      right: { kind: "exited", code: 1 },
    });
    expect(comparison.console).toMatchObject({ firstDifference: { line: 1, left: "start", right: "no" } });
  });
});
