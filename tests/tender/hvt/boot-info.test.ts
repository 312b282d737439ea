// What an hvt guest is told: 56 bytes, the manifest, the command line, and pointers to both.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { encodeManifest, parseManifest } from "../../../src/image/manifest.ts";
import { encodeCommandLine } from "../../../src/tender/command-line.ts";
import { encodeBootInfo } from "../../../src/tender/hvt/boot-info.ts";
import { BLOCK, NET, RESERVED, hex, manifestContent } from "../../image/elf-builder.ts";

const BASE = 0x1_0000;

/** Reads the structure as a guest does, following its pointers. */
function readAsGuest(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (at: number) => view.getBigUint64(at, true);
  const commandLineAt = Number(word(24)) - BASE;
  const manifestAt = Number(word(32)) - BASE;
  const entries = view.getUint32(manifestAt + 4, true);
  return {
    memory: word(0),
    kernelEnd: word(8),
    cycleFrequency: word(16),
    commandLine: Buffer.from(bytes.subarray(commandLineAt, bytes.indexOf(0, commandLineAt))).toString("utf8"),
    manifest: bytes.slice(manifestAt, manifestAt + 8 + 104 * entries),
    features: [view.getUint32(40, true), view.getUint32(44, true)],
    ring: word(48),
  };
}

describe("boot information", () => {
  const manifest = manifestContent([
    RESERVED,
    { name: "service", type: NET },
    { name: "storage", type: BLOCK },
  ]);

  test("its bytes are the ABI's, field by field", () => {
    const bytes = encodeBootInfo({
      memory: 0x2000_0000,
      kernelEnd: 0x10_4000,
      cycleFrequency: 2_999_998_000,
      manifest: manifestContent([RESERVED]),
      commandLine: encodeCommandLine(["--a", "b"]),
    });
    const expected = Buffer.concat([
      // memory, end of the image, frequency, command line, manifest
      hex("00000020 00000000  00401000 00000000  3056d0b2 00000000  a8000100 00000000  38000100 00000000"),
      // host's features, guest's features, ring
      hex("00000000 00000000 00000000 00000000"),
      manifestContent([RESERVED]),
      Buffer.from("--a b\0"),
    ]);
    expect(Buffer.from(bytes).toString("hex")).toBe(expected.toString("hex"));
  });

  test("a guest that follows the pointers finds what was put there", () => {
    const number = fc.maxSafeNat();
    const words = fc.array(
      fc.string().filter((word) => !word.includes("\0")),
      { maxLength: 5 },
    );
    fc.assert(
      fc.property(
        number,
        number,
        number,
        words,
        fc.nat(63),
        (memory, kernelEnd, cycleFrequency, args, count) => {
          const devices = Array.from({ length: count }, (_, i) => ({ name: `d${i}`, type: BLOCK }));
          const manifest = encodeManifest(
            parseManifest(manifestContent([RESERVED, ...devices])),
            devices.map((_, i) => ({
              kind: "block",
              handle: i + 1,
              hostFd: i,
              capacity: 512,
              blockSize: 512,
            })),
          );
          const commandLine = encodeCommandLine(args);
          expect(
            readAsGuest(encodeBootInfo({ memory, kernelEnd, cycleFrequency, manifest, commandLine })),
          ).toEqual({
            memory: BigInt(memory),
            kernelEnd: BigInt(kernelEnd),
            cycleFrequency: BigInt(cycleFrequency),
            commandLine: args.join(" "),
            manifest: Uint8Array.from(manifest),
            features: [0, 0],
            ring: 0n,
          });
        },
      ),
    );
  });

  test("the largest there can be ends far below the image", () => {
    const devices = Array.from({ length: 63 }, () => ({ name: "x".repeat(67), type: NET }));
    const bytes = encodeBootInfo({
      memory: 2 ** 32,
      kernelEnd: 2 ** 32,
      cycleFrequency: 2 ** 40,
      manifest: manifestContent([RESERVED, ...devices]),
      commandLine: encodeCommandLine(["x".repeat(8191)]),
    });
    expect(BASE + bytes.length).toBeLessThanOrEqual(0x10_0000);
    expect(readAsGuest(bytes).commandLine).toHaveLength(8191);
    expect(readAsGuest(bytes).memory).toBe(2n ** 32n);
  });

  test("no ring is offered, whatever the devices", () => {
    const bytes = encodeBootInfo({
      memory: 2 ** 21,
      kernelEnd: 0x10_1000,
      cycleFrequency: 1,
      manifest,
      commandLine: encodeCommandLine([]),
    });
    expect(bytes.subarray(40, 56).every((byte) => byte === 0)).toBe(true);
    expect(readAsGuest(bytes).commandLine).toBe("");
  });
});
