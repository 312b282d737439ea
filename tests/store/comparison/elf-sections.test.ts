/** What binaries say of why they differ, made here by gcc and ocamlopt. */
import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bytesSource } from "../../../src/image/source.ts";
import type { Comparison } from "../../../src/store/comparison/comparison.ts";
import { withBinaries } from "../../../src/store/comparison/elf-sections.ts";
import { renderText } from "../../../src/store/comparison/render.ts";
import { type Section, sectionsOf } from "../../../src/store/comparison/sections.ts";
import { compileC, compileOcaml, objcopy, sourceOf } from "../../image/compiled.ts";
import { lacks, needsCommands } from "../../needs.ts";
import { temporaryDirectory } from "../../robur.ts";

const here = temporaryDirectory();

/** A comparison of two builds of which nothing else is known. */
const BARE: Comparison = {
  left: { name: "left" },
  right: { name: "right" },
  isSameOutput: false,
  ...{ result: undefined, duration: undefined },
  opam: { state: "compared", added: [], removed: [], versions: [], files: [] },
  duniverse: { state: "compared", added: [], removed: [], changed: [] },
  environment: { state: "compared", added: [], removed: [], changed: [] },
  systemPackages: { state: "compared", added: [], removed: [], changed: [] },
  inputs: { "opam-switch": undefined, "build-environment": undefined, "system-packages": undefined },
  files: { added: [], removed: [], changed: [], sameCount: 0, leftSize: 0, rightSize: 0 },
  solo5: { state: "missing", sides: ["left", "right"] },
  console: { state: "missing", sides: ["left", "right"] },
};

function compare(left: string, right: string): Comparison {
  const named = (path: string) => ({ path: "bin/hello", source: sourceOf(path) });
  return withBinaries(BARE, named(left), named(right));
}

const linesOf = (sections: readonly Section[], anchor: string) =>
  (sections.find((one) => one.anchor === anchor)?.lines ?? []).map(({ kind, text }) => `${kind} ${text}`);

describe.skipIf(lacks(needsCommands("gcc", "objcopy")))("binaries of C", () => {
  test("tell their sections; what only debuggers read is no difference of its own", () => {
    const sections = sectionsOf(compare(compileC(here, "-g"), compileC(here, "-g", "-O2")));
    const lines = linesOf(sections, "binary-sections");
    expect(sections[0]?.title).toBe("Sections of bin/hello");
    expect(lines).toContainEqual(
      expect.stringMatching(/^changed \.text \d+ -> \d+ bytes, from byte \d+ on$/),
    );
    expect(lines).toContainEqual(expect.stringMatching(/^noise \.debug_info /));
    expect(linesOf(sections, "binary-symbols").join("\n")).toMatch(/C \/ gmp \/ .*mpn_double|main/);
  });

  test("without names tell of sections only", () => {
    const [left, right] = [compileC(here), compileC(here, "-O2")].map((path) => objcopy(path, "--strip-all"));
    const sections = sectionsOf(compare(left!, right!));
    expect(sections.map(({ anchor }) => anchor)).not.toContain("binary-sizes");
    expect(sections.map(({ anchor }) => anchor)).toContain("binary-sections");
  });

  test("show what is written where they part, where that is text", () => {
    const left = compileC(here);
    const right = `${left}-dated`;
    const bytes = readFileSync(left);
    writeFileSync(left, Buffer.concat([bytes, Buffer.from("built on 2026-11-01")]));
    writeFileSync(right, Buffer.concat([bytes, Buffer.from("built on 2026-11-02")]));
    const text = renderText(compare(left, right), { isColoured: false });
    expect(text).toContain("the first differing byte is at");
    expect(text).toContain('6-11-01" -> ');
  });

  test("that are no programs add nothing", () => {
    const named = (text: string) => ({
      path: "bin/a.deb",
      source: bytesSource(new TextEncoder().encode(text)),
    });
    expect(withBinaries(BARE, named("one"), named("two"))).toBe(BARE);
  });
});

describe.skipIf(lacks(needsCommands("ocamlopt")))("binaries of OCaml", () => {
  test("tell which library grew, and by which function", () => {
    const left = compileOcaml(here);
    const words = join(here, "words.ml");
    const source = readFileSync(words, "utf8");
    writeFileSync(words, `${source}let shout text = String.uppercase_ascii text ^ "!"\n`);
    const right = join(here, "grown");
    const { exitCode } = Bun.spawnSync(["ocamlopt", "-g", "-o", right, "words.ml", "start.ml"], {
      cwd: here,
    });
    expect(exitCode).toBe(0);
    const sections = sectionsOf(compare(left, right));
    expect(linesOf(sections, "binary-sizes")).toContainEqual(
      expect.stringMatching(/^changed OCaml \/ Words .* \(\+\d+ bytes\)$/),
    );
    expect(linesOf(sections, "binary-symbols")).toContainEqual(
      expect.stringMatching(/^added OCaml \/ Words \/ shout /),
    );
  });
});
