// Two binaries beside each other.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { compareElf } from "../../src/image/elf-comparison.ts";
import { compareStrings } from "../../src/image/elf-comparison-strings.ts";
import { ImageError } from "../../src/image/image-error.ts";
import { bytesSource } from "../../src/image/source.ts";
import { lacks, needsCommands } from "../needs.ts";
import { temporaryDirectory } from "../robur.ts";
import { compileC, objcopy, sourceOf } from "./compiled.ts";
import { NET, TARGET, unikernel } from "./elf-builder.ts";

const here = temporaryDirectory();
const NO_GCC = needsCommands("gcc", "readelf", "objcopy");

describe.skipIf(lacks(NO_GCC))("comparing two programs", () => {
  const plain = compileC(here, "-g");
  const other = compileC(here, "-g", "-DEXTRA", "-O2", "-Wl,--build-id=0x0123456789abcdef");

  test("one with itself is the same in everything", () => {
    const found = compareElf(sourceOf(plain), sourceOf(plain));
    expect(found).toMatchObject({ isSame: true, first: undefined });
    expect(found.sections.every(({ state }) => state === "same")).toBe(true);
    expect(found.sizes).toMatchObject({ hasSymbols: true, modules: [], symbols: [], symbolCount: 0 });
    expect(found.strings).toEqual({ paths: [], dates: [], hosts: [], isCut: false });
  });

  test("sections, sizes and build ids that differ are told, with the bytes where they part", () => {
    const [left, right] = [sourceOf(plain), sourceOf(other)];
    const found = compareElf(left, right);
    expect(found.isSame).toBe(false);
    expect(found.buildId.right).toBe("0123456789abcdef");
    expect(found.buildId.left).toMatch(/^[0-9a-f]{40}$/);
    const text = found.sections.find(({ name }) => name === ".text")!;
    expect(text.state).toBe("differs");
    expect(text.left!.size).not.toBe(text.right!.size);
    const { offset, from, left: a, right: b } = text.first!;
    const skip = (offset - from) * 2;
    expect(a.slice(0, skip)).toBe(b.slice(0, skip));
    expect(a.slice(skip, skip + 2)).not.toBe(b.slice(skip, skip + 2));
    expect(found.sizes.symbols.some(({ path }) => path.at(-1) === "hidden" || path.at(-1) === "main")).toBe(
      true,
    );
    const change = found.sizes.modules.find(({ path }) => path.join() === "C")!;
    expect(found.sizes.loaded.right).toBeGreaterThan(0);
    expect(change.left).not.toBe(change.right);
  });

  test("the other way round, everything is the other way round", () => {
    const there = compareElf(sourceOf(plain), sourceOf(other));
    const back = compareElf(sourceOf(other), sourceOf(plain));
    expect(back.files).toEqual({ left: there.files.right, right: there.files.left });
    expect(back.buildId).toEqual({ left: there.buildId.right, right: there.buildId.left });
    expect(
      new Set(back.sizes.symbols.map(({ path, left, right }) => `${path.join("/")} ${left} ${right}`)),
    ).toEqual(
      new Set(there.sizes.symbols.map(({ path, left, right }) => `${path.join("/")} ${right} ${left}`)),
    );
  });

  test("a section that only one has is told so", () => {
    const found = compareElf(sourceOf(plain), sourceOf(objcopy(plain, "--remove-section=.comment")));
    expect(found.sections.find(({ name }) => name === ".comment")).toMatchObject({
      state: "only-left",
      right: undefined,
      first: undefined,
    });
  });
});

describe("comparing unikernels", () => {
  const image = (...names: string[]) =>
    bytesSource(unikernel({ target: TARGET.hvt, devices: names.map((name) => ({ name, type: NET })) }));

  test("devices that differ are told", () => {
    const { solo5 } = compareElf(image("service"), image("service", "backend"));
    expect(solo5.isSame).toBe(false);
    expect(solo5.left).toEqual({
      target: "hvt",
      abiVersion: 2,
      devices: [{ name: "service", type: "NET_BASIC" }],
    });
    expect(solo5.right!.devices.map(({ name }) => name)).toEqual(["service", "backend"]);
    expect(compareElf(image("service"), image("service")).solo5.isSame).toBe(true);
  });

  test("what isn't an ELF file is refused", () => {
    expect(() => compareElf(image("a"), bytesSource(readFileSync(import.meta.path)))).toThrow(ImageError);
  });
});

describe("texts of which only one side has one", () => {
  const source = (...texts: string[]) =>
    bytesSource(Buffer.from(`\0\x01${texts.join("\0\x02")}\0`, "latin1"));

  test("are found when they look like paths, dates or host names", () => {
    const left = source(
      "see /home/alice/build/main.ml",
      "built 2026-11-25 04:05:06",
      "same /usr/share/x",
      "no",
    );
    const right = source("see /tmp/build-77/main.ml", "Nov 24 2026", "same /usr/share/x", "root@builder.lan");
    expect(compareStrings(left, right)).toEqual({
      paths: [
        { side: "left", text: "/home/alice/build/main.ml" },
        { side: "right", text: "/tmp/build-77/main.ml" },
      ],
      dates: [
        { side: "left", text: "2026-11-25 04:05:06" },
        { side: "right", text: "Nov 24 2026" },
      ],
      hosts: [{ side: "right", text: "root@builder.lan" }],
      isCut: false,
    });
  });

  test("are found whole wherever pieces of the file end", () => {
    const text = "/home/alice/a/long/path/of/a/source.ml";
    const MIB = 1 << 20;
    for (let at = MIB - text.length - 1; at <= MIB + 1; at++) {
      const bytes = new Uint8Array(2 * MIB);
      bytes.set(Buffer.from(text), at);
      expect(compareStrings(bytesSource(bytes), source("nothing")).paths).toEqual([{ side: "left", text }]);
    }
  });

  test("are shown up to a limit", () => {
    const many = source(...Array.from({ length: 300 }, (_, i) => `/home/alice/file-${i}`));
    const found = compareStrings(many, source("nothing"));
    expect(found.paths).toHaveLength(100);
    expect(found.isCut).toBe(true);
  });
});
