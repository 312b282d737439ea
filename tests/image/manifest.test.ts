// The application manifest: every rule of its reading, and the copy that a guest finds in its memory.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  type Attachment,
  type Manifest,
  devicesOf,
  encodeManifest,
  parseManifest,
} from "../../src/image/manifest.ts";
import { BLOCK, NET, RESERVED, getField, manifestContent, patched, setField } from "./elf-builder.ts";
import { codeOf } from "./image-model.ts";

const two = manifestContent([RESERVED, { name: "service", type: NET }, { name: "storage", type: BLOCK }]);
const code = (content: Uint8Array) => codeOf(() => parseManifest(content));
const entry = (index: number) => 8 + index * 104;

describe("reading a manifest", () => {
  test("entries stand in the file's order, so that an entry's index is its handle", () => {
    const { entries } = parseManifest(two);
    expect(entries.map(({ name, type }) => [name, type])).toEqual([
      ["", "reserved"],
      ["service", "NET_BASIC"],
      ["storage", "BLOCK_BASIC"],
    ]);
    expect(devicesOf({ entries }).map(({ handle, device }) => [handle, device.name])).toEqual([
      [1, "service"],
      [2, "storage"],
    ]);
  });

  test("content below its 8 bytes of header is refused", () => {
    for (let length = 0; length < 8; length++) expect(code(two.subarray(0, length))).toBe("invalid-manifest");
  });

  test("versions other than 1 are refused", () => {
    for (const version of [0, 2, 0x0100_0000, 0xffff_ffff]) {
      expect(code(manifestContent([RESERVED], version))).toBe("invalid-manifest");
    }
  });

  test("no entries, or more than 64, are refused", () => {
    expect(code(manifestContent([]))).toBe("invalid-manifest");
    expect(code(manifestContent(Array.from({ length: 64 }, () => RESERVED)))).toBe("accepted");
    expect(code(manifestContent(Array.from({ length: 65 }, () => RESERVED)))).toBe("invalid-manifest");
  });

  test("a count that isn't the content's is refused, also one whose size would wrap", () => {
    for (const count of [0, 1, 2, 4, 64, 65, 0x2762_7628, 0x8000_0003, 0xffff_ffff]) {
      expect(code(patched(two, [{ at: 4, size: 4 }, count]))).toBe("invalid-manifest");
    }
  });

  test("content that is a byte longer or shorter is refused", () => {
    expect(code(two.subarray(0, -1))).toBe("invalid-manifest");
    expect(code(Buffer.concat([two, new Uint8Array(1)]))).toBe("invalid-manifest");
  });

  test("a first entry of another type is refused", () => {
    for (const type of [0, BLOCK, NET, 0x3fff_ffff, 0x4000_0001, 0xffff_ffff]) {
      expect(code(manifestContent([{ name: "", type }]))).toBe("invalid-manifest");
    }
  });

  test("a first entry with a name is refused, also with one that prints as nothing", () => {
    for (const name of ["a", "\u{feff}", "\u{200b}", " "]) {
      expect(code(manifestContent([{ name, type: RESERVED.type }]))).toBe("invalid-manifest");
    }
  });

  test("a name without an end is refused in every entry", () => {
    for (const index of [0, 1, 2]) {
      const field = { at: entry(index) + 67, size: 1 } as const;
      expect(code(patched(two, [field, 0x41]))).toBe("invalid-manifest");
    }
  });

  test("an entry that claims to be attached is refused", () => {
    for (const index of [0, 1, 2]) {
      for (const value of [1, 2, 255]) {
        expect(code(patched(two, [{ at: entry(index) + 96, size: 1 }, value]))).toBe("invalid-manifest");
      }
    }
  });

  test("properties, descriptors and padding that are filled in are no reason to refuse it", () => {
    for (let at = entry(1) + 72; at < entry(2); at++) {
      if (at !== entry(1) + 96) expect(code(patched(two, [{ at, size: 1 }, 255]))).toBe("accepted");
    }
  });

  test("names may be of any characters, and given twice", () => {
    const names = ["", "a b", "\u{1b}[2J", "größe", "same", "same"];
    const { entries } = parseManifest(
      manifestContent([RESERVED, ...names.map((name) => ({ name, type: NET }))]),
    );
    expect(entries.slice(1).map(({ name }) => name)).toEqual(names);
  });

  test("a name ends at its first NUL", () => {
    const bytes = patched(two, [{ at: entry(1) + 3, size: 1 }, 0]);
    expect(parseManifest(bytes).entries[1]!.name).toBe("ser");
  });

  test("a name of 67 characters is read whole", () => {
    const name = "x".repeat(67);
    expect(parseManifest(manifestContent([RESERVED, { name, type: NET }])).entries[1]!.name).toBe(name);
  });

  test("unknown types must be attached and can't be; reserved ones are left out", () => {
    const types = [0, 3, 0x3fff_ffff, 0x4000_0000, 0x4000_0001, 0xffff_ffff];
    const manifest = parseManifest(
      manifestContent([RESERVED, ...types.map((type) => ({ name: "x", type }))]),
    );
    expect(manifest.entries.slice(1).map(({ type }) => type)).toEqual([
      "other",
      "other",
      "other",
      "reserved",
      "reserved",
      "reserved",
    ]);
    expect(devicesOf(manifest).map(({ handle }) => handle)).toEqual([1, 2, 3]);
  });
});

const name = fc.stringMatching(/^[A-Za-z0-9]{1,67}$/);
const manifest: fc.Arbitrary<Manifest> = fc
  .array(fc.tuple(name, fc.constantFrom(BLOCK, NET)), { maxLength: 63 })
  .map((devices) => ({
    entries: [
      { name: "", type: "reserved" as const, typeNumber: 0x4000_0000 },
      ...devices.map(([name, typeNumber]) => ({
        name,
        type: typeNumber === BLOCK ? ("BLOCK_BASIC" as const) : ("NET_BASIC" as const),
        typeNumber,
      })),
    ],
  }));

/** What could be attached to a device, whatever its type: properties at the far ends of their fields. */
const attachment = (handle: number, isBlock: boolean): fc.Arbitrary<Attachment> =>
  isBlock
    ? fc.record({
        kind: fc.constant("block" as const),
        handle: fc.constant(handle),
        hostFd: fc.nat(0x7fff_ffff),
        capacity: fc.maxSafeNat(),
        blockSize: fc.constantFrom(512, 4096, 32768),
      })
    : fc.record({
        kind: fc.constant("net" as const),
        handle: fc.constant(handle),
        hostFd: fc.nat(0x7fff_ffff),
        mac: fc.uint8Array({ minLength: 6, maxLength: 6 }),
        mtu: fc.nat(0xffff),
      });

describe("the manifest in guest memory", () => {
  test("an unattached one is what was read, byte for byte", () => {
    expect(encodeManifest(parseManifest(two), [])).toEqual(two);
    fc.assert(
      fc.property(manifest, (value) => {
        const bytes = encodeManifest(value, []);
        expect(bytes).toEqual(
          manifestContent(value.entries.map(({ name, typeNumber }) => ({ name, type: typeNumber }))),
        );
        expect(parseManifest(bytes)).toEqual(value);
      }),
    );
  });

  test("attachments are in the fields where guests look, and change nothing else", () => {
    const attached = manifest
      .filter(({ entries }) => entries.length > 1)
      .chain((value) =>
        fc.tuple(
          fc.constant(value),
          fc.tuple(...value.entries.slice(1).map(({ type }, i) => attachment(i + 1, type === "BLOCK_BASIC"))),
        ),
      );
    fc.assert(
      fc.property(attached, ([value, attachments]) => {
        const bytes = encodeManifest(value, attachments);
        const bare = encodeManifest(value, []);
        for (const device of attachments) {
          const at = entry(device.handle);
          const expected = bare.slice(at, at + 104);
          if (device.kind === "block") {
            setField(expected, { at: 72, size: 8 }, device.capacity);
            setField(expected, { at: 80, size: 2 }, device.blockSize);
          } else {
            expected.set(device.mac, 72);
            setField(expected, { at: 78, size: 2 }, device.mtu);
          }
          setField(expected, { at: 88, size: 4 }, device.hostFd);
          expected[96] = 1;
          expect(bytes.subarray(at, at + 104)).toEqual(expected);
          bytes[at + 96] = 0;
        }
        expect(bytes.subarray(0, entry(1))).toEqual(bare.subarray(0, entry(1)));
        expect(parseManifest(bytes)).toEqual(value);
      }),
      { numRuns: 50 },
    );
  });

  test("a manifest with something attached is not one that can be read from a file", () => {
    const bytes = encodeManifest(parseManifest(two), [
      { kind: "block", handle: 2, hostFd: 5, capacity: 2 ** 40 + 512, blockSize: 512 },
    ]);
    expect(getField(bytes, { at: entry(2) + 72, size: 8 })).toBe(2n ** 40n + 512n);
    expect(code(bytes)).toBe("invalid-manifest");
  });

  test("an MTU beyond 16 bits is cut to them", () => {
    const bytes = encodeManifest(parseManifest(two), [
      { kind: "net", handle: 1, hostFd: 5, mac: new Uint8Array(6), mtu: 0x1_2345 },
    ]);
    expect(getField(bytes, { at: entry(1) + 78, size: 2 })).toBe(0x2345n);
  });
});

test("no content makes the parser do anything but answer or refuse", () => {
  const content = fc
    .tuple(fc.nat(70), fc.uint8Array({ maxLength: 400 }), fc.array(fc.tuple(fc.nat(400), fc.nat(255))))
    .map(([count, noise, changes]) => {
      const bytes = manifestContent(
        Array.from({ length: Math.min(count, 3) }, () => RESERVED),
        1,
        count,
      );
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      return count % 5 === 0 ? noise : bytes;
    });
  fc.assert(
    fc.property(content, (bytes) => ["accepted", "invalid-manifest"].includes(code(bytes))),
    {
      numRuns: 2000,
    },
  );
});
