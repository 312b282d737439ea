// Pictures of builds: made once, kept, and honest about why there is none.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { openDatabase } from "../../../src/db/open.ts";
import type { Build, BuildId, ContentStore } from "../../../src/store/api.ts";
import { drawDependencies } from "../../../src/store/visualisations/draw-dependencies.ts";
import { openVisualisations } from "../../../src/store/visualisations/visualisations.ts";
import { compileC, objcopy } from "../../image/compiled.ts";
import { lacks, needsCommands } from "../../needs.ts";
import { generateExport } from "../../opam/generate-export.ts";
import { temporaryDirectory } from "../../robur.ts";
import { type Lab, openLab, recordBytes, upload } from "../builds/lab.ts";

const here = temporaryDirectory();
const NO_GCC = needsCommands("gcc", "objcopy");

/** Contents that count how often they are read. */
function counting(contents: ContentStore): ContentStore & { reads: number } {
  return Object.assign(Object.create(contents) as ContentStore, {
    reads: 0,
    read(this: { reads: number }, ...args: Parameters<ContentStore["read"]>) {
      this.reads += 1;
      return contents.read(...args);
    },
  });
}

let last = 0;

async function buildOf(lab: Lab, files: readonly (readonly [string, string | Uint8Array])[]): Promise<Build> {
  last += 1;
  const uuid = `08455214-8a9b-413a-b116-${String(last).padStart(12, "0")}`;
  const outcome = await upload(lab.store, await recordBytes({ uuid, files }));
  if (!outcome.ok) throw new Error(outcome.refusal.message);
  return outcome.build;
}

interface Row {
  kind: string;
  used_at: number;
}
const rows = (lab: Lab) =>
  lab.db.query<Row, []>("SELECT kind, used_at FROM visualisation ORDER BY kind").all();

describe.skipIf(lacks(NO_GCC))("the picture of a binary", () => {
  const path = compileC(here, "-g");
  const debug = new Uint8Array(readFileSync(path));
  const stripped = new Uint8Array(readFileSync(objcopy(path, "--strip-all")));
  const files = [
    ["bin/hello.hvt", stripped],
    ["hello.hvt.debug", debug],
  ] as const;

  test("is drawn from the unstripped file, once for all who look, and kept", async () => {
    await using lab = openLab();
    const contents = counting(lab.contents);
    await using pictures = openVisualisations(lab.db, lab.store, contents, { now: () => 1000 });
    const build = await buildOf(lab, files);
    const found = await Promise.all(Array.from({ length: 20 }, () => pictures.treemap(build)));
    expect(contents.reads).toBe(1);
    expect(new Set(found.map((one) => (one.ok ? one.picture : one.reason))).size).toBe(1);
    expect(found[0]).toMatchObject({ ok: true, input: { path: "hello.hvt.debug" } });
    const [first] = found;
    expect(first?.ok === true && first.picture.hasSymbols).toBe(true);
    expect(rows(lab)).toEqual([{ kind: "treemap", used_at: 1000 }]);
  });

  test("comes from the database after a restart, and its use is noted once a day", async () => {
    await using lab = openLab();
    const build = await buildOf(lab, files);
    const look = async (now: number) => {
      const contents = counting(lab.contents);
      await using pictures = openVisualisations(lab.db, lab.store, contents, { now: () => now });
      const outcome = await pictures.treemap(build);
      return { outcome, reads: contents.reads };
    };
    const first = await look(1000);
    expect(first.reads).toBe(1);
    const second = await look(2000);
    expect(second).toEqual({ outcome: first.outcome, reads: 0 });
    expect(rows(lab)).toEqual([{ kind: "treemap", used_at: 1000 }]);
    await look(1000 + 86_400_001);
    expect(rows(lab)).toEqual([{ kind: "treemap", used_at: 86_401_001 }]);
  });

  test("is the same for builds with the same file", async () => {
    await using lab = openLab();
    const contents = counting(lab.contents);
    await using pictures = openVisualisations(lab.db, lab.store, contents);
    await pictures.treemap(await buildOf(lab, files));
    expect((await pictures.treemap(await buildOf(lab, files))).ok).toBe(true);
    expect(contents.reads).toBe(1);
    expect(rows(lab)).toHaveLength(1);
  });

  test("is drawn from the main binary where there is nothing better, and knows sections", async () => {
    await using lab = openLab();
    await using pictures = openVisualisations(lab.db, lab.store, lab.contents);
    const outcome = await pictures.treemap(await buildOf(lab, [["bin/hello.hvt", stripped]]));
    expect(outcome).toMatchObject({
      ok: true,
      input: { path: "bin/hello.hvt" },
      picture: { hasSymbols: false },
    });
  });

  test("is found by its key, not by reading through all", () => {
    const db = openDatabase(":memory:");
    const plan = db
      .query<{ detail: string }, []>(
        "EXPLAIN QUERY PLAN SELECT picture FROM visualisation WHERE kind = 'treemap' AND input = x'00' AND version = 1",
      )
      .all();
    expect(plan.map(({ detail }) => detail)).toEqual([
      expect.stringMatching(
        /^SEARCH visualisation USING (PRIMARY KEY|INDEX sqlite_autoindex_visualisation_1) /,
      ),
    ]);
    db.close();
  });

  test("two are compared, unstripped with unstripped", async () => {
    await using lab = openLab();
    await using pictures = openVisualisations(lab.db, lab.store, lab.contents);
    const other = new Uint8Array(readFileSync(compileC(here, "-g", "-O2")));
    const [left, right] = [
      await buildOf(lab, files),
      await buildOf(lab, [
        ["bin/hello.hvt", stripped],
        ["hello.hvt.debug", other],
      ]),
    ];
    const outcome = await pictures.comparison(left, right);
    expect(outcome).toMatchObject({ ok: true, inputs: { left: { path: "hello.hvt.debug" } } });
    expect(outcome.ok && outcome.comparison.isSame).toBe(false);
    expect(outcome.ok && outcome.comparison.sizes.hasSymbols).toBe(true);
  });
});

describe("where there is no picture", () => {
  test("the reason is told, and the file isn't read again for the next who asks", async () => {
    await using lab = openLab();
    const contents = counting(lab.contents);
    await using pictures = openVisualisations(lab.db, lab.store, contents);
    const build = await buildOf(lab, [
      ["bin/hello.hvt", "not an executable"],
      ["opam-switch", "not ( an export"],
    ]);
    for (let i = 0; i < 3; i++) {
      expect(await pictures.treemap(build)).toMatchObject({
        ok: false,
        reason: "unreadable",
        message: "not an ELF file",
      });
      expect(await pictures.dependencies(build)).toMatchObject({ ok: false, reason: "unreadable" });
    }
    expect(contents.reads).toBe(2);
    expect(rows(lab)).toEqual([]);
  });

  test("a build that lacks the file is told so", async () => {
    await using lab = openLab();
    await using pictures = openVisualisations(lab.db, lab.store, lab.contents);
    const build = await buildOf(lab, [["log.txt", "failed"]]);
    expect(await pictures.treemap(build)).toEqual({
      ok: false,
      reason: "no-input",
      message: "the build has no binary",
    });
    expect(await pictures.dependencies(build)).toMatchObject({ ok: false, reason: "no-input" });
    expect(await pictures.comparison(build, build)).toMatchObject({ ok: false, reason: "no-input" });
  });

  test("bytes that are gone, and files that are too large, aren't drawn", async () => {
    await using lab = openLab();
    await using pictures = openVisualisations(lab.db, lab.store, lab.contents);
    const build = await buildOf(lab, [["bin/hello.hvt", "x"]]);
    const lost = { ...build, id: "00000000-0000-4000-8000-000000000000" as BuildId };
    expect(await pictures.treemap(lost)).toMatchObject({ ok: false, reason: "no-input" });
    const large = { ...build, main: { ...build.main!, size: 2 ** 40 } };
    expect(await pictures.treemap(large)).toMatchObject({ ok: false, reason: "too-large" });
  });

  test("what comes after the server began to stop is refused, and stopping doesn't wait for ever", async () => {
    await using lab = openLab();
    const build = await buildOf(lab, [["opam-switch", generateExport()]]);
    const pictures = openVisualisations(lab.db, lab.store, lab.contents);
    await pictures[Symbol.asyncDispose]();
    expect(pictures.dependencies(build)).rejects.toThrow("the server is stopping");
  });
});

describe("the picture of dependencies", () => {
  test("has all packages by their distance, each with those it needs", async () => {
    await using lab = openLab();
    await using pictures = openVisualisations(lab.db, lab.store, lab.contents);
    const outcome = await pictures.dependencies(await buildOf(lab, [["opam-switch", generateExport()]]));
    if (!outcome.ok) throw new Error(outcome.message);
    const { packages, unreached, isCut } = outcome.picture;
    expect(packages[0]).toMatchObject({ name: "mirage-unikernel-hello", distance: 0, dependents: 0 });
    expect(packages.length + unreached).toBe(151);
    expect(isCut).toBe(false);
    const counts = packages.map(() => 0);
    for (const { dependencies, distance } of packages) {
      for (const to of dependencies) {
        counts[to]! += 1;
        expect(packages[to]!.distance).toBeLessThanOrEqual(distance + 1);
      }
    }
    expect(packages.map(({ dependents }) => dependents)).toEqual(counts);
    const distances = packages.map(({ distance }) => distance);
    expect(distances).toEqual(distances.toSorted((a, b) => a - b));
    expect(new Set(packages.map(({ name }) => name)).size).toBe(packages.length);
  });

  test("is cut where there are more lines than anybody could follow", () => {
    const names = Array.from({ length: 400 }, (_, i) => `p${i}`);
    const all = names.map((name) => `"${name}"`).join(" ");
    const text = [
      `opam-version: "2.0"\nroots: ["p0.1"]\ninstalled: [${names.map((name) => `"${name}.1"`).join(" ")}]`,
      ...names.map((name) => `package "${name}" {\n  version: "1"\n  depends: [${all}]\n}`),
    ].join("\n");
    const { packages, isCut } = drawDependencies(text);
    expect(isCut).toBe(true);
    expect(packages[0]!.name).toBe("p0");
    expect(packages.reduce((sum, { dependencies }) => sum + dependencies.length, 0)).toBeLessThan(10_000);
  });
});
