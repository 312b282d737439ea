// What is said about an image: sizes, hash, segments, and versions found among its strings.
import { describe, expect, test } from "bun:test";
import { inspectImage } from "../../src/image/inspect.ts";
import { bytesSource } from "../../src/image/source.ts";
import { BLOCK, NET, TARGET, unikernel } from "./elf-builder.ts";
import { codeOf } from "./image-model.ts";

const MIB = 0x10_0000;
const image = unikernel({
  target: TARGET.hvt,
  devices: [
    { name: "service", type: NET },
    { name: "storage", type: BLOCK },
    { name: "later", type: 0x4000_0007 },
  ],
});
/** The image with some text at an offset, zeros around it. */
const withText = (text: string, at: number) => {
  const bytes = new Uint8Array(Math.max(image.length, at + text.length + 16));
  bytes.set(image);
  bytes.set(Buffer.from(text, "latin1"), at);
  return bytes;
};
const found = (text: string, at = 4096) => inspectImage(bytesSource(withText(text, at))).found;

describe("inspecting an image", () => {
  test("it says everything that the file says", () => {
    expect(inspectImage(bytesSource(image))).toMatchObject({
      target: "hvt",
      abiVersion: 2,
      entry: "0x100000",
      devices: [
        { name: "service", type: "NET_BASIC" },
        { name: "storage", type: "BLOCK_BASIC" },
      ],
      segments: [
        { address: "0x100000", flags: "--x", fileSize: 40, memSize: 40 },
        { address: "0x101000", flags: "r--", fileSize: 24, memSize: 24 },
        { address: "0x102010", flags: "rw-", fileSize: 32, memSize: 0x1100 },
        { address: "0x104000", flags: "rw-", fileSize: 0, memSize: 0x2345 },
      ],
      memoryEnd: 0x10_6345,
      size: image.length,
      sha256: new Bun.CryptoHasher("sha256").update(image).digest("hex"),
    });
  });

  test("it is the same for an image of any size, read in pieces", () => {
    for (const size of [MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 300]) {
      const bytes = new Uint8Array(size).fill(7);
      bytes.set(image);
      const { sha256, size: said } = inspectImage(bytesSource(bytes));
      expect(said).toBe(size);
      expect(sha256).toBe(new Bun.CryptoHasher("sha256").update(bytes).digest("hex"));
    }
  });

  test("what isn't a unikernel is refused as everywhere else", () => {
    expect(codeOf(() => inspectImage(bytesSource(new Uint8Array(200))))).toBe("not-elf");
  });
});

describe("versions in an image's strings", () => {
  const texts: [text: string, what: Partial<ReturnType<typeof found>>][] = [
    ["\0v0.9.0\0", { solo5: "v0.9.0" }],
    ["\0v0.12.1-4-gfeed0042-dirty\0", { solo5: "v0.12.1-4-gfeed0042-dirty" }],
    ["xv0.9.0\0", {}],
    ["\0v0.9.0.1\0", {}],
    ["\x004.14.2\0\x01", { ocaml: "4.14.2" }],
    ["\x075.2.1\0\0\x02", { ocaml: "5.2.1" }],
    ["\x005.3.0~beta1\x04", { ocaml: "5.3.0~beta1" }],
    ["/home/x/.opam/ocaml-base-compiler.4.14.1/lib", { ocaml: "4.14.1" }],
    ["\x003.12.1\0", {}],
    ["lib/mirage-runtime.4.9.1/x.ml", { mirage: "4.9.1" }],
    ["mirage.4.5.0", { mirage: "4.5.0" }],
    ["notmirage.4.5.0", {}],
  ];
  test.each(texts)("%p", (text, what) => {
    expect(found(text)).toEqual({ solo5: undefined, ocaml: undefined, mirage: undefined, ...what });
  });

  test("one that lies across two pieces is found, the first of two is taken", () => {
    for (let at = MIB - 8; at <= MIB; at++) expect(found("\0v0.9.0\0", at).solo5).toBe("v0.9.0");
    expect(found("\0v0.9.0\0\0v0.8.0\0").solo5).toBe("v0.9.0");
  });
});
