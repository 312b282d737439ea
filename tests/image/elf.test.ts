// The ELF file header and program headers: every field that counts, and every one that must not.
import { describe, expect, test } from "bun:test";
import { readElf } from "../../src/image/elf.ts";
import { ImageError } from "../../src/image/image-error.ts";
import { bytesSource } from "../../src/image/source.ts";
import {
  HEADER,
  HOSTILE_U64,
  type Int,
  MACHINE,
  SOUND,
  buildElf,
  patched,
  segmentField,
  unikernel,
  unikernelSegments,
} from "./elf-builder.ts";
import { codeOf, loadBytes } from "./image-model.ts";

const sound = unikernel({ devices: [{ name: "service", type: 2 }] });
const read = (bytes: Uint8Array) => readElf(bytesSource(bytes));

describe("the ELF header", () => {
  test("a sound image is read field by field", () => {
    const elf = read(buildElf(unikernelSegments(), { entry: 0x10_0010, machine: MACHINE.aarch64 }));
    expect(elf.machine).toBe("aarch64");
    expect(elf.entry).toBe(0x10_0010);
    expect(elf.programHeaders).toHaveLength(10);
    expect(elf.programHeaders[SOUND.data]).toEqual({
      type: 1,
      flags: 6,
      offset: expect.any(Number),
      vaddr: 0x10_2010,
      fileSize: 32,
      memSize: 0x1100,
      align: 0x1000,
    });
  });

  const refused: [field: keyof typeof HEADER, values: Int[], code: string][] = [
    ["magic", [0, 0x464c_457e, 0x464c_4500, 0x464d_457f, 0x7f45_4c46], "not-elf"],
    ["class", [0, 1, 3, 255], "unsupported-elf"],
    ["data", [0, 2, 3, 255], "unsupported-elf"],
    ["type", [0, 1, 3, 4, 0x102, 0xfe02, 0xffff], "unsupported-elf"],
    ["machine", [0, 3, 8, 40, 243, 0x3e00, 0xffff], "unsupported-elf"],
    ["version", [0, 2, 0x0100_0000, 0xffff_ffff], "unsupported-elf"],
    ["ehsize", [0, 63, 65, 52, 0x4000, 0xffff], "invalid-elf"],
    ["phentsize", [0, 32, 55, 57, 112, 0xffff], "invalid-elf"],
    ["phnum", [0, 60, 0xffff], "invalid-elf"],
    ["phoff", [sound.length - 559, sound.length, 0xffff_ffff, ...HOSTILE_U64], "invalid-elf"],
  ];
  for (const [field, values, code] of refused) {
    test(`${field} is refused as ${code} where it is wrong`, () => {
      for (const value of values) {
        const bytes = patched(sound, [HEADER[field], value]);
        expect({ value, code: codeOf(() => read(bytes)) }).toEqual({ value, code: code as never });
      }
    });
  }

  test("identification's version, OS ABI and ABI version may be anything", () => {
    for (const field of [HEADER.identVersion, HEADER.osAbi, HEADER.abiVersion]) {
      for (let value = 0; value < 256; value++) {
        expect(codeOf(() => loadBytes(patched(sound, [field, value])))).toBe("accepted");
      }
    }
  });

  test("section headers and flags may be garbage", () => {
    for (const field of ["shoff", "flags", "shentsize", "shnum", "shstrndx"] as const) {
      for (const value of [1n, 0xffffn, ...HOSTILE_U64]) {
        expect(codeOf(() => loadBytes(patched(sound, [HEADER[field], value])))).toBe("accepted");
      }
    }
  });

  test("the machines of all unikernels can be read, whatever this one is", () => {
    for (const [name, number] of Object.entries(MACHINE)) {
      expect(read(patched(sound, [HEADER.machine, number])).machine).toBe(name as never);
    }
  });

  test("the program headers may lie anywhere in the file, the last byte included", () => {
    const table = sound.subarray(64, 64 + 560);
    const moved = new Uint8Array(sound.length + 3 + table.length);
    moved.set(sound);
    moved.set(table, sound.length + 3);
    const bytes = patched(moved, [HEADER.phoff, sound.length + 3]);
    expect(loadBytes(bytes)).toEqual(loadBytes(sound));
    expect(codeOf(() => read(bytes.subarray(0, -1)))).toBe("invalid-elf");
  });

  test("every program header that the count can name is read", () => {
    const many = buildElf(Array.from({ length: 0xffff }, () => ({ type: 0 })));
    expect(read(many).programHeaders).toHaveLength(0xffff);
  });
});

describe("64-bit fields with values beyond 2^53", () => {
  const expected: Record<"offset" | "vaddr" | "paddr" | "fileSize" | "memSize" | "align", string[]> = {
    offset: ["invalid-segment"],
    vaddr: ["too-little-memory"],
    paddr: ["accepted"],
    fileSize: ["invalid-segment"],
    memSize: ["too-little-memory"],
    align: ["invalid-segment"],
  };
  for (const [field, codes] of Object.entries(expected)) {
    test(`${field} of a loaded segment is ${codes[0] === "accepted" ? "ignored" : "refused"}`, () => {
      for (const name of ["text", "rodata", "data"] as const) {
        for (const value of HOSTILE_U64) {
          const bytes = patched(sound, [segmentField(SOUND[name], field as keyof typeof expected), value]);
          expect({ name, value, code: codeOf(() => loadBytes(bytes)) }).toEqual({
            name,
            value,
            code: codes[0] as never,
          });
        }
      }
    });
  }

  test("only the size in memory and the address of .bss count", () => {
    for (const value of HOSTILE_U64) {
      for (const field of ["offset", "paddr", "align"] as const) {
        expect(codeOf(() => loadBytes(patched(sound, [segmentField(SOUND.bss, field), value])))).toBe(
          "accepted",
        );
      }
      for (const field of ["vaddr", "memSize"] as const) {
        const bytes = patched(sound, [segmentField(SOUND.bss, field), value]);
        expect(codeOf(() => loadBytes(bytes))).toBe("too-little-memory");
      }
    }
  });

  test("a note's offset beyond the file is refused, its size beyond the file is not read", () => {
    for (const value of HOSTILE_U64) {
      for (const name of ["otherNote", "abi", "manifest"] as const) {
        const offset = patched(sound, [segmentField(SOUND[name], "offset"), value]);
        expect(codeOf(() => loadBytes(offset))).toBe("invalid-note");
        const size = patched(sound, [segmentField(SOUND[name], "fileSize"), value]);
        expect(codeOf(() => loadBytes(size))).toBe("accepted");
      }
    }
  });

  test("an entry point beyond memory is refused when the image is loaded, not when it is read", () => {
    for (const value of HOSTILE_U64) {
      const bytes = patched(sound, [HEADER.entry, value]);
      expect(codeOf(() => read(bytes))).toBe("accepted");
      expect(codeOf(() => loadBytes(bytes))).toBe("invalid-segment");
    }
  });
});

describe("a file that isn't ELF", () => {
  const kinds: [content: Uint8Array | string, why: string][] = [
    ["", "there is nothing in it"],
    [new Uint8Array([0x1f, 0x8b, 8, 0]), "gzip"],
    [new Uint8Array([0x28, 0xb5, 0x2f, 0xfd]), "zstd"],
    [new Uint8Array([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]), "xz"],
    ["PK\x03\x04", "zip archive"],
    ["#!/bin/sh\n", "script"],
    ["MZ\x90\0", "Windows or EFI"],
    ["<html>404 not found</html>\r\n", "looks like text"],
    [new Uint8Array(100), "signature 7f 45 4c 46"],
    [new Uint8Array([0x7f]), "signature 7f 45 4c 46"],
    ["\x7fEL", "signature 7f 45 4c 46"],
  ];
  test.each(kinds)("%p is called what it seems to be", (content, why) => {
    const bytes = typeof content === "string" ? Buffer.from(content, "latin1") : content;
    try {
      read(bytes);
      throw new Error("accepted");
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      expect(error.code).toBe("not-elf");
      expect(error.why).toContain(why);
    }
  });
});

describe("a truncated file", () => {
  test("is refused at every length that leaves something out, and read alike at every other", () => {
    for (const bytes of [
      sound,
      buildElf(unikernelSegments().slice(0, 6)),
      new Uint8Array(sound.length + 7),
    ]) {
      if (bytes.every((byte) => byte === 0)) bytes.set(sound);
      const plan = loadBytes(bytes);
      // What is needed last is the segment of the greatest end; anything behind it is of no use.
      const needed = Math.max(...plan.segments.map(({ offset, fileSize }) => offset + fileSize));
      for (let length = 0; length <= bytes.length; length++) {
        const code = codeOf(() => expect(loadBytes(bytes.subarray(0, length))).toEqual(plan));
        if (length >= needed) expect({ length, code }).toEqual({ length, code: "accepted" });
        else if (length < 4) expect({ length, code }).toEqual({ length, code: "not-elf" });
        else expect(["invalid-elf", "invalid-note", "invalid-segment"]).toContain(code);
      }
    }
  });
});
