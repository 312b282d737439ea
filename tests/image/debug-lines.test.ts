// Line programs of all versions and from real compilers, beside what addr2line reads in them.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { parseLines, readLines } from "../../src/image/debug-lines.ts";
import { contentOf, findSection, readSections } from "../../src/image/sections.ts";
import { bytesSource } from "../../src/image/source.ts";
import { lacks, needsCommands } from "../needs.ts";
import { temporaryDirectory } from "../robur.ts";
import { addr2line, compileC, compileOcaml, objcopy, readelfSymbols, sourceOf } from "./compiled.ts";

const here = temporaryDirectory();
const NO_GCC = needsCommands("gcc", "readelf", "objcopy", "addr2line");
const NO_OCAML = NO_GCC ?? needsCommands("ocamlopt");
const nothing = bytesSource(new Uint8Array(0));

/** Every few addresses of all functions that pass. */
function compare(path: string, filter: (name: string) => boolean, step: number): number {
  const source = sourceOf(path);
  const lines = readLines(source, readSections(source))!;
  expect(lines.damaged).toBe(0);
  const addresses = readelfSymbols(path)
    .filter(({ type, name, size }) => type === "FUNC" && size > 0 && filter(name))
    .flatMap(({ address, size }) =>
      Array.from({ length: Math.ceil(size / step) }, (_, i) => address + i * step),
    );
  const theirs = addr2line(path, addresses);
  const ours = addresses.map((address) => {
    const found = lines.find(address);
    if (found === undefined) return "??:?";
    return `${found.file.split("/").at(-1)}:${found.line === 0 ? "?" : found.line}`;
  });
  expect(ours).toEqual(theirs.map((line) => line.replace("??:0", "??:?")));
  return addresses.length;
}

describe.skipIf(lacks(NO_GCC))("lines of code from GCC", () => {
  const own = (name: string) => ["main", "hidden", "mpn_double", "digestif_sum"].includes(name);

  test.each([2, 3, 4, 5])("in version %d are those that addr2line finds", (version) => {
    expect(compare(compileC(here, `-gdwarf-${version}`), own, 1)).toBeGreaterThan(50);
  });

  test.each(["zlib", "zlib-gnu", "zstd"])("compressed with %s as well", (how) => {
    const plain = compileC(here, "-gdwarf-5");
    let packed: string;
    try {
      packed = objcopy(plain, `--compress-debug-sections=${how}`);
    } catch (error) {
      // Binutils can be built without it.
      expect(String(error)).toContain("zstd");
      return;
    }
    expect(compare(packed, own, 1)).toBeGreaterThan(50);
  });

  test("files of a stretch of code have all of its bytes", () => {
    const path = compileC(here, "-g");
    const source = sourceOf(path);
    const lines = readLines(source, readSections(source))!;
    const { address, size } = readelfSymbols(path).find(({ name }) => name === "main")!;
    const sizes = [...lines.filesBetween(address, address + size)];
    expect(sizes.map(([file]) => file.split("/").at(-1))).toEqual(["parts.c"]);
    expect(sizes[0]![1]).toBe(size);
    expect([...lines.filesBetween(0, 8)]).toEqual([]);
  });
});

describe.skipIf(lacks(NO_OCAML))("lines of code from OCaml", () => {
  test("are those that addr2line finds", () => {
    expect(
      compare(compileOcaml(here), (name) => /^caml(Words|Start|Stdlib__List)/.test(name), 3),
    ).toBeGreaterThan(300);
  });
});

describe("a hostile line program", () => {
  test("of random bytes gives no lines and ends", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        const lines = parseLines(bytesSource(bytes), { lines: nothing, all: nothing });
        expect(lines.rows).toBeLessThanOrEqual(bytes.length);
        expect(lines.find(4096)?.line ?? 0).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  test("that says it has four thousand million files of no bytes is left out", () => {
    const unit = [5, 0, 8, 0, 0, 0, 0, 0, 1, 1, 1, 0xfb, 14, 1, 0, 0xff, 0xff, 0xff, 0xff, 15];
    const bytes = Uint8Array.from([unit.length, 0, 0, 0, ...unit]);
    const lines = parseLines(bytesSource(bytes), { lines: nothing, all: nothing });
    expect(lines).toMatchObject({ rows: 0, damaged: 1 });
  });

  test.skipIf(lacks(NO_GCC))("made of a sound one ends, and what is left of it can be asked", () => {
    const source = sourceOf(compileC(here, "-gdwarf-5"));
    const table = readSections(source);
    const content = contentOf(source, findSection(table, ".debug_line")!);
    const sound = content.read(0, content.size);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(sound.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        (changes) => {
          const bytes = sound.slice();
          for (const [offset, value] of changes) bytes[offset] = value;
          const lines = parseLines(bytesSource(bytes), { lines: nothing, all: nothing });
          expect(lines.rows).toBeLessThanOrEqual(bytes.length);
          lines.filesBetween(0, Number.MAX_SAFE_INTEGER);
        },
      ),
    );
  });
});
