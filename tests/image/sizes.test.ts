// Where the bytes of a binary go: real programs beside what binutils say of them, and trees that add up.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { ImageError } from "../../src/image/image-error.ts";
import { SHF_ALLOC, readSections } from "../../src/image/sections.ts";
import { type SizeNode, readSizes, sizeTree } from "../../src/image/sizes.ts";
import { SizeTree, gatherSmall } from "../../src/image/sizes-tree.ts";
import { bytesSource } from "../../src/image/source.ts";
import { readSymbols } from "../../src/image/symbols.ts";
import { lacks, needsCommands } from "../needs.ts";
import { temporaryDirectory } from "../robur.ts";
import { compileC, compileOcaml, objcopy, readelfSections, readelfSymbols, sourceOf } from "./compiled.ts";

const here = temporaryDirectory();
const NO_GCC = needsCommands("gcc", "readelf", "objcopy");
const NO_OCAML = NO_GCC ?? needsCommands("ocamlopt");

function* nodesOf(node: SizeNode): Generator<SizeNode> {
  yield node;
  for (const child of node.children) yield* nodesOf(child);
}

/** That every node is as large as its parts and its own bytes. */
function expectToAddUp(tree: SizeNode): void {
  for (const { name, size, own, children } of nodesOf(tree)) {
    const sum = children.reduce((total, child) => total + child.size, own);
    expect({ name, size }).toEqual({ name, size: sum });
    expect(own).toBeGreaterThanOrEqual(0);
  }
}

const named = (tree: SizeNode, name: string) => [...nodesOf(tree)].filter((node) => node.name === name);

function at(tree: SizeNode, ...path: string[]): SizeNode {
  let node = tree;
  for (const name of path) {
    const next = node.children.find((child) => child.name === name);
    if (next === undefined)
      throw new Error(`no ${name} among ${node.children.map((child) => child.name).join(", ")}`);
    node = next;
  }
  return node;
}

describe.skipIf(lacks(NO_GCC))("the sizes of a program in C", () => {
  const path = compileC(here, "-g");

  test("its symbols are those that readelf lists", () => {
    const source = sourceOf(path);
    const ours = [...readSymbols(source, readSections(source))]
      .filter(({ type, name }) => type !== "section" && name !== "")
      .map(({ name, address, size }) => `${name} ${address} ${size}`);
    const listed = readelfSymbols(path)
      .filter(({ type, name }) => !["SECTION", "FILE"].includes(type) && name !== "")
      .map(({ name, address, size }) => `${name.replace(/@.*/, "")} ${address} ${size}`);
    expect(ours.map((line) => line.replace(/@\S*/, "")).sort()).toEqual(listed.sort());
  });

  test("functions and values are as large as readelf says, and lie where their source does", () => {
    const { tree } = readSizes(sourceOf(path), true);
    expectToAddUp(tree);
    const symbols = new Map(readelfSymbols(path).map(({ name, size }) => [name, size]));
    for (const name of ["main", "hidden", "mpn_double", "digestif_sum", "table_of_words", "counters"]) {
      expect({ name, sizes: named(tree, name).map(({ size }) => size) }).toEqual({
        name,
        sizes: [symbols.get(name)!],
      });
    }
    expect(named(tree, "hidden")[0]!.where).toMatch(/parts\.c:11$/);
    expect(named(tree, "main")[0]!.kind).toBe("function");
    expect(named(tree, "counters")[0]!.kind).toBe("value");
  });

  test("what is loaded is all loaded sections, and the whole file is the file", () => {
    const source = sourceOf(path);
    const { tree, sections: file, fileSize, zeroed } = readSizes(source);
    const loaded = readSections(source).sections.filter(
      ({ flags, hasBytes }) => (flags & SHF_ALLOC) !== 0 && hasBytes,
    );
    expect(tree.size).toBe(loaded.reduce((sum, { size }) => sum + size, 0));
    expectToAddUp(file);
    expect(file.size).toBe(readFileSync(path).length);
    expect(fileSize).toBe(file.size);
    expect(zeroed).toBe(readelfSections(path).find(({ name }) => name === ".bss")!.size);
  });

  test("libraries are known by how their names begin", () => {
    const tree = sizeTree(sourceOf(path), true);
    expect(named(at(tree, "C", "gmp"), "mpn_double")).toHaveLength(1);
    expect(named(at(tree, "C", "digestif"), "digestif_sum")).toHaveLength(1);
  });

  test("modules alone give the same sums as functions", () => {
    const [coarse, fine] = [sizeTree(sourceOf(path)), sizeTree(sourceOf(path), true)];
    expectToAddUp(coarse);
    expect(coarse.size).toBe(fine.size);
    expect(coarse.children.map(({ name, size }) => [name, size])).toEqual(
      fine.children.map(({ name, size }) => [name, size]),
    );
    expect([...nodesOf(coarse)].every(({ kind }) => kind !== "function" && kind !== "value")).toBe(true);
  });

  test("a stripped one has sections only, and as much of it is loaded", () => {
    const stripped = readSizes(sourceOf(objcopy(path, "--strip-all")), true);
    expect(stripped.hasSymbols).toBe(false);
    expectToAddUp(stripped.tree);
    expect(stripped.tree.size).toBe(sizeTree(sourceOf(path)).size);
    expect(at(stripped.tree, "without a name", ".text").size).toBe(
      readelfSections(path).find(({ name }) => name === ".text")!.size,
    );
  });

  test("a file of debug data alone knows the sizes of what was taken out", () => {
    const debug = readSizes(sourceOf(objcopy(path, "--only-keep-debug")), true);
    const symbols = new Map(readelfSymbols(path).map(({ name, size }) => [name, size]));
    expectToAddUp(debug.tree);
    expect(named(debug.tree, "main")[0]!.size).toBe(symbols.get("main")!);
    expect(named(debug.tree, "counters")[0]!.size).toBe(symbols.get("counters")!);
  });
});

describe.skipIf(lacks(NO_OCAML))("the sizes of a program in OCaml", () => {
  const path = NO_OCAML === undefined ? compileOcaml(here) : "";

  test("functions are as large as readelf says, under their module and with their source", () => {
    const { tree, hasLines } = readSizes(sourceOf(path), true);
    expect(hasLines).toBe(true);
    expectToAddUp(tree);
    const words = at(tree, "OCaml", "Words");
    const sizes = new Map(
      readelfSymbols(path).map(({ name, size }) => [name.replace(/_\d+$/, ""), size] as const),
    );
    for (const [name, symbol] of [
      ["fib", "camlWords__fib"],
      ["join", "camlWords__join"],
      ["twice", "camlWords__twice"],
      ["=~", "camlWords__$3d$7e"],
      ["_hidden", "camlWords___hidden"],
    ] as const) {
      const dotted = symbol.replace("camlWords__", "camlWords.");
      expect({ name, size: at(words, name).size }).toEqual({
        name,
        size: (sizes.get(symbol) ?? sizes.get(dotted))!,
      });
    }
    expect(at(words, "fib").where).toMatch(/words\.ml:8$/);
    expect(at(tree, "OCaml", "Stdlib", "List").size).toBeGreaterThan(1000);
    expect(at(tree, "C", "OCaml runtime").size).toBeGreaterThan(50_000);
  });

  test("a module has all bytes between its marks, and its frame table", () => {
    const tree = sizeTree(sourceOf(path));
    const symbols = readelfSymbols(path);
    const addressOf = (name: string) =>
      symbols.find(
        (symbol) => symbol.name.replace(/^camlWords(__|\.|\$)/, "") === name && /Words/.test(symbol.name),
      )!;
    const span = (part: string) => addressOf(`${part}_end`).address - addressOf(`${part}_begin`).address;
    const rest = at(tree, "OCaml", "Words").size - span("code") - span("data") - addressOf("frametable").size;
    // The word that ends its data, and padding in front of the frame table.
    expect(rest).toBeGreaterThanOrEqual(0);
    expect(rest).toBeLessThan(32);
  });
});

describe("trees of sizes", () => {
  const kinds = fc.constantFrom("library", "module", "function", "value") as fc.Arbitrary<SizeNode["kind"]>;
  const steps = fc.array(fc.record({ name: fc.constantFrom("a", "b", "c", "d", "e"), kind: kinds }), {
    maxLength: 20,
  });
  const entries = fc.array(fc.tuple(steps, fc.nat(10_000)), { maxLength: 60 });
  const grow = (list: readonly (readonly [Parameters<SizeTree["add"]>[0], number])[]) => {
    const tree = new SizeTree("all", "group");
    for (const [path, size] of list) tree.add(path, size);
    return tree.finish();
  };

  test("add up, whatever is put into them, and lose nothing", () => {
    fc.assert(
      fc.property(entries, (list) => {
        const tree = grow(list);
        expectToAddUp(tree);
        expect(tree.size).toBe(list.reduce((sum, [, size]) => sum + size, 0));
      }),
    );
  });

  test("still do when their small parts are put together", () => {
    fc.assert(
      fc.property(
        entries,
        fc.double({ min: 0, max: 0.6, noNaN: true }),
        fc.nat(5000),
        (list, share, least) => {
          const tree = grow(list);
          const gathered = gatherSmall(tree, share, least);
          expectToAddUp(gathered);
          expect(gathered.size).toBe(tree.size);
          expectToAddUp(gatherSmall(gathered, share, least));
        },
      ),
    );
  });
});

describe.skipIf(lacks(NO_GCC))("a hostile file", () => {
  const sound = new Uint8Array(readFileSync(compileC(here, "-g", "-Wl,--compress-debug-sections=zlib")));

  /** What reading it comes to: nothing but an answer or an ImageError is right. */
  function outcome(bytes: Uint8Array): string {
    try {
      const { tree, sections: file } = readSizes(bytesSource(bytes), true);
      expectToAddUp(tree);
      expectToAddUp(file);
      return "read";
    } catch (error) {
      if (error instanceof ImageError) return error.code;
      throw error;
    }
  }

  test("with any bytes changed is read or refused", () => {
    const headers = Number(new DataView(sound.buffer).getBigUint64(40, true));
    // Most of what matters is in the headers, the symbols and the debug data, which are at the end.
    const place = fc.oneof(
      fc.nat(63),
      fc.integer({ min: headers, max: sound.length - 1 }),
      fc.integer({ min: Math.floor(sound.length / 2), max: sound.length - 1 }),
    );
    const changes = fc.array(fc.tuple(place, fc.oneof(fc.constantFrom(0, 0x7f, 0x80, 0xff), fc.nat(255))), {
      minLength: 1,
      maxLength: 12,
    });
    const seen = new Set<string>();
    fc.assert(
      fc.property(changes, (list) => {
        const bytes = sound.slice();
        for (const [offset, value] of list) bytes[offset] = value;
        seen.add(outcome(bytes));
      }),
      { numRuns: 400 },
    );
    expect(seen.has("read")).toBe(true);
    expect(seen.has("invalid-elf")).toBe(true);
  });

  test("cut off anywhere is refused", () => {
    for (let length = 0; length < sound.length; length += 997) {
      expect(outcome(sound.subarray(0, length))).toBe(length < 64 ? "not-elf" : "invalid-elf");
    }
  });
});
