// Solo5's notes: which one counts, how large it may be, and where its content begins.
import { describe, expect, test } from "bun:test";
import { readAbi } from "../../src/image/abi.ts";
import { readElf } from "../../src/image/elf.ts";
import { ImageError } from "../../src/image/image-error.ts";
import { readManifest } from "../../src/image/manifest.ts";
import { findAbiNote, findManifestNote } from "../../src/image/notes.ts";
import { bytesSource } from "../../src/image/source.ts";
import {
  BLOCK,
  PT,
  RESERVED,
  SOUND,
  type SegmentSpec,
  abiNote,
  buildElf,
  hex,
  manifestContent,
  manifestNote,
  note,
  patched,
  segmentField,
  unikernel,
  unikernelAround,
  unikernelWith,
} from "./elf-builder.ts";
import { codeOf, loadBytes } from "./image-model.ts";

const noteSegment = (content: Uint8Array, more: Partial<SegmentSpec> = {}): SegmentSpec => ({
  ...more,
  type: PT.NOTE,
  content,
});
const abiOf = (...segments: SegmentSpec[]) => {
  const source = bytesSource(buildElf(segments));
  return readAbi(source, readElf(source));
};
const manifestOf = (...segments: SegmentSpec[]) => {
  const source = bytesSource(buildElf(segments));
  return readManifest(source, readElf(source));
};

describe("the published vectors", () => {
  const abi = hex("06000000 10000000 41424931 536f6c6f35000000  01000000 02000000 00000000 00000000");
  const manifest = hex(
    `06000000 dc000000 4d465431 536f6c6f35000000  00000000  01000000 02000000
     ${"00".repeat(68)} 00000040 ${"00".repeat(32)}
     73746f72616765 ${"00".repeat(61)} 01000000 ${"00".repeat(32)}`,
  );

  test("an ABI note of hvt, version 2", () => {
    expect(abi).toHaveLength(36);
    expect(abiNote(1, 2)).toEqual(abi);
    expect(abiOf(noteSegment(abi))).toEqual({ target: "hvt", version: 2 });
  });

  test("a manifest note with one block device", () => {
    expect(manifest).toHaveLength(240);
    expect(manifestNote(manifestContent([RESERVED, { name: "storage", type: BLOCK }]))).toEqual(manifest);
    expect(manifestOf(noteSegment(manifest)).entries).toEqual([
      { name: "", type: "reserved", typeNumber: 0x4000_0000 },
      { name: "storage", type: "BLOCK_BASIC", typeNumber: 1 },
    ]);
  });

  test("an image made of both is a unikernel", () => {
    const bytes = unikernelWith({ abi: noteSegment(abi), manifest: noteSegment(manifest) });
    expect(loadBytes(bytes).entry).toBe(0x10_0000);
  });
});

describe("looking for a note", () => {
  test("a note segment below 12 bytes is refused, even one of no interest", () => {
    for (let fileSize = 0; fileSize < 12; fileSize++) {
      const first = unikernelAround([noteSegment(new Uint8Array(24), { fileSize })]);
      expect(codeOf(() => loadBytes(first))).toBe("invalid-note");
    }
  });

  test("a note segment below 12 bytes behind the ones that are wanted is never looked at", () => {
    const behind = unikernelAround([], [noteSegment(new Uint8Array(4))]);
    expect(codeOf(() => loadBytes(behind))).toBe("accepted");
  });

  test("a note segment of 12 to 19 bytes is skipped unread", () => {
    for (let fileSize = 12; fileSize < 20; fileSize++) {
      const outside = { type: PT.NOTE, fileSize, offset: 2n ** 63n };
      expect(codeOf(() => loadBytes(unikernelAround([outside])))).toBe("accepted");
      const abi = unikernelWith({ abi: noteSegment(abiNote(1, 2), { fileSize }) });
      expect(codeOf(() => loadBytes(abi))).toBe("no-abi-note");
    }
  });

  test("a note that begins in the last 19 bytes of the file is refused", () => {
    const length = unikernelAround([{ type: PT.NOTE }]).length;
    for (let left = 0; left < 20; left++) {
      const bytes = unikernelAround([{ type: PT.NOTE, fileSize: 20, offset: length - left }]);
      expect(codeOf(() => loadBytes(bytes))).toBe("invalid-note");
    }
  });

  test("another owner's note is skipped, however its name begins", () => {
    const content = abiNote(1, 2).subarray(20);
    for (const owner of ["Solo6", "solo5", "GNU", "Xen", "Solo", "Solo55"]) {
      expect(abiOf(noteSegment(note({ owner, type: "ABI1", content })))).toBeUndefined();
    }
    for (const ownerSize of [0, 5, 7, 8, 0x0600_0000, 0xffff_ffff]) {
      expect(abiOf(noteSegment(note({ type: "ABI1", content, ownerSize })))).toBeUndefined();
    }
  });

  test("the name's last byte counts, its padding doesn't", () => {
    const abi = abiNote(1, 2);
    expect(abiOf(noteSegment(patched(abi, [{ at: 17, size: 1 }, 1])))).toBeUndefined();
    expect(abiOf(noteSegment(patched(abi, [{ at: 18, size: 2 }, 0xabcd])))).toEqual({
      target: "hvt",
      version: 2,
    });
  });

  test("another type is skipped", () => {
    for (const type of ["ABI2", "1IBA", "MFT1", 1, 0x3149_4240]) {
      expect(abiOf(noteSegment(note({ type, content: new Uint8Array(16) })))).toBeUndefined();
    }
  });

  test("the first of several wins", () => {
    expect(abiOf(noteSegment(abiNote(2, 1)), noteSegment(abiNote(1, 2)))).toEqual({
      target: "spt",
      version: 1,
    });
  });

  test("a first one that is broken isn't passed over for a sound second", () => {
    const broken = note({ type: "ABI1", content: new Uint8Array(16), contentSize: 0 });
    expect(codeOf(() => abiOf(noteSegment(broken), noteSegment(abiNote(1, 2))))).toBe("invalid-note");
  });

  test("only the first note of a segment is looked at", () => {
    const other = note({ owner: "OpenBSD", type: 1, content: new Uint8Array(4) });
    expect(abiOf(noteSegment(Buffer.concat([other, abiNote(1, 2)])))).toBeUndefined();
    expect(abiOf(noteSegment(Buffer.concat([abiNote(1, 2), other])))).toEqual({ target: "hvt", version: 2 });
  });

  test("segments of other types that hold a note's bytes are not notes", () => {
    for (const type of [0, PT.LOAD, PT.INTERP, PT.TLS, 0x6474_e551]) {
      expect(abiOf({ type, content: abiNote(1, 2) })).toBeUndefined();
    }
  });
});

describe("the size of a note", () => {
  const manifest = manifestNote(manifestContent([RESERVED]));
  const withSize = (bytes: Uint8Array, size: number) => patched(bytes, [{ at: 4, size: 4 }, size]);

  test("a manifest that is all padding says so in the words that the original's tests look for", () => {
    for (const size of [1, 2, 3, 4]) {
      const bytes = unikernelWith({ manifest: noteSegment(withSize(manifest, size)) });
      expect(() => loadBytes(bytes)).toThrow("note does not fall within valid size");
      expect(codeOf(() => loadBytes(bytes))).toBe("invalid-note");
    }
  });

  test("zero is refused, for both notes", () => {
    expect(codeOf(() => abiOf(noteSegment(withSize(abiNote(1, 2), 0))))).toBe("invalid-note");
    expect(codeOf(() => manifestOf(noteSegment(withSize(manifest, 0))))).toBe("invalid-note");
  });

  test("an ABI note has at most 32 bytes, and at least the 8 that mean something", () => {
    const abi = (length: number) => {
      const content = new Uint8Array(length);
      content.set([1, 0, 0, 0, 2, 0, 0, 0].slice(0, length));
      return noteSegment(note({ type: "ABI1", content }));
    };
    for (const length of [8, 12, 16, 31, 32])
      expect(abiOf(abi(length))).toEqual({ target: "hvt", version: 2 });
    for (const length of [1, 4, 7, 33, 36, 4096])
      expect(codeOf(() => abiOf(abi(length)))).toBe("invalid-note");
  });

  test("a manifest has at most the 6668 bytes of 64 entries", () => {
    const entries = (count: number) =>
      noteSegment(manifestNote(manifestContent(Array.from({ length: count }, () => RESERVED))));
    expect(manifestOf(entries(64)).entries).toHaveLength(64);
    expect(codeOf(() => manifestOf(entries(65)))).toBe("invalid-note");
    const fits = (length: number) =>
      codeOf(() => manifestOf(noteSegment(manifestNote(new Uint8Array(length)))));
    expect(fits(6664)).toBe("invalid-manifest");
    expect(fits(6665)).toBe("invalid-note");
  });

  test("it must fit its segment to the byte", () => {
    expect(abiOf(noteSegment(abiNote(1, 2), { fileSize: 36 }))).toEqual({ target: "hvt", version: 2 });
    expect(codeOf(() => abiOf(noteSegment(abiNote(1, 2), { fileSize: 35 })))).toBe("invalid-note");
    expect(codeOf(() => manifestOf(noteSegment(manifest, { fileSize: manifest.length - 1 })))).toBe(
      "invalid-note",
    );
  });

  test("sizes that wrap in 32 bits are refused", () => {
    for (const size of [0x7fff_ffff, 0x8000_0000, 0xffff_ffec, 0xffff_ffff]) {
      for (const fileSize of [36n, 2n ** 32n + 20n, 2n ** 64n - 1n]) {
        const segment = noteSegment(withSize(abiNote(1, 2), size), { fileSize });
        expect(codeOf(() => abiOf(segment))).toBe("invalid-note");
      }
    }
  });

  test("content that the file doesn't have is refused", () => {
    const bytes = buildElf([noteSegment(abiNote(1, 2))]);
    for (let cut = 1; cut <= 16; cut++) {
      const source = bytesSource(bytes.subarray(0, -cut));
      expect(codeOf(() => readAbi(source, readElf(source)))).toBe("invalid-note");
    }
  });

  test("the padding is not part of the content", () => {
    const bytes = unikernel();
    const source = bytesSource(bytes);
    expect(findAbiNote(source, readElf(source))).toHaveLength(16);
    expect(findManifestNote(source, readElf(source))).toHaveLength(8 + 104);
  });
});

describe("a missing note", () => {
  const without = (name: "abi" | "manifest") => patched(unikernel(), [segmentField(SOUND[name], "type"), 0]);

  test("is told apart for the ABI and the manifest", () => {
    expect(codeOf(() => loadBytes(without("abi")))).toBe("no-abi-note");
    expect(() => loadBytes(without("abi"))).toThrow("no Solo5 ABI information found");
    expect(codeOf(() => loadBytes(without("manifest")))).toBe("no-manifest");
  });

  test("is an ImageError like all others", () => {
    expect(() => loadBytes(without("manifest"))).toThrow(ImageError);
  });
});
