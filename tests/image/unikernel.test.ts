// A unikernel file as a whole: whose it is, and why something that looks like one isn't.
import { describe, expect, test } from "bun:test";
import { SUPPORTED_VERSIONS } from "../../src/image/abi.ts";
import { ImageError, nameFile } from "../../src/image/image-error.ts";
import {
  checkTarget,
  hasMultibootHeader,
  readUnikernel,
  readUnikernelBytes,
} from "../../src/image/unikernel.ts";
import { bytesSource } from "../../src/image/source.ts";
import { openImage } from "../../src/tender/image-file.ts";
import { HOST_ARCHITECTURE } from "../../src/lib/architecture.ts";
import {
  HEADER,
  MACHINE,
  NET,
  PT,
  type SegmentSpec,
  TARGET,
  buildElf,
  note,
  patched,
  unikernel,
  unikernelSegments,
} from "./elf-builder.ts";
import { codeOf } from "./image-model.ts";

const refusal = (work: () => unknown): ImageError => {
  try {
    work();
  } catch (error) {
    if (error instanceof ImageError) return error;
    throw error;
  }
  throw new Error("accepted");
};
const check = (bytes: Uint8Array, target: "hvt" | "spt" | "xen" = "hvt") =>
  checkTarget(readUnikernelBytes(bytes), target);

describe("a unikernel", () => {
  test("it is read whole: headers, ABI and manifest", () => {
    const { elf, abi, manifest } = readUnikernelBytes(
      unikernel({ target: TARGET.spt, version: 1, devices: [{ name: "service", type: NET }] }),
    );
    expect(elf.machine).toBe(HOST_ARCHITECTURE);
    expect(abi).toEqual({ target: "spt", version: 1 });
    expect(manifest.entries[1]).toEqual({ name: "service", type: "NET_BASIC", typeNumber: 2 });
  });

  test("its target is known by its number, and unknown for all others", () => {
    for (const [name, number] of Object.entries(TARGET)) {
      expect(readUnikernelBytes(unikernel({ target: number })).abi.target).toBe(name as never);
    }
    for (const number of [0, 7, 0x0100_0000, 0xffff_ffff]) {
      expect(readUnikernelBytes(unikernel({ target: number })).abi.target).toBe("unknown");
    }
  });
});

describe("a tender's check", () => {
  test("ABI versions 1 and 2 are run, no others", () => {
    expect([...SUPPORTED_VERSIONS]).toEqual([1, 2]);
    for (const version of [1, 2]) expect(codeOf(() => check(unikernel({ version })))).toBe("accepted");
    for (const version of [0, 3, 4, 0x0200_0000, 0xffff_ffff]) {
      const error = refusal(() => check(unikernel({ version })));
      expect(error.code).toBe("unsupported-abi-version");
      expect(error.message).toContain(`version ${version} `);
    }
  });

  test("an image for another target is told what runs it", () => {
    const runs: [number, string, string][] = [
      [TARGET.spt, "spt", "on any Linux"],
      [TARGET.virtio, "virtio", "qemu-system-x86_64"],
      [TARGET.muen, "muen", "Muen"],
      [TARGET.genode, "genode", "Genode"],
      [TARGET.xen, "xen", "Xen host"],
      [99, "unknown", "newer than this robur"],
    ];
    for (const [target, name, what] of runs) {
      const error = refusal(() => check(unikernel({ target })));
      expect(error.code).toBe("wrong-target");
      expect(error.message).toContain(`for the target ${name}, not for hvt`);
      expect(error.why).toContain(what);
    }
    expect(refusal(() => check(unikernel(), "spt")).why).toContain("/dev/kvm");
  });

  test("an image for another machine is refused, before its target is", () => {
    for (const [name, machine] of Object.entries(MACHINE)) {
      if (name === HOST_ARCHITECTURE) continue;
      const bytes = patched(unikernel({ target: TARGET.spt }), [HEADER.machine, machine]);
      const error = refusal(() => check(bytes));
      expect(error.code).toBe("wrong-machine");
      expect(error.message).toContain(name);
    }
  });
});

describe("an executable without an ABI note", () => {
  const loaded: SegmentSpec = { type: PT.LOAD, vaddr: 0x40_0000, content: new Uint8Array(64) };
  const interpreter = (path: string): SegmentSpec => ({ type: PT.INTERP, content: Buffer.from(`${path}\0`) });
  const read = (...segments: SegmentSpec[]) => refusal(() => readUnikernelBytes(buildElf(segments)));

  test("one that asks for a dynamic loader is a Linux program", () => {
    const error = read(interpreter("/lib64/ld-linux-x86-64.so.2"), loaded);
    expect(error.code).toBe("not-a-unikernel");
    expect(error.message).toContain("Linux program");
  });

  test("one with the loader that Solo5 invents is not", () => {
    expect(read(interpreter("/nonexistent/solo5/"), loaded).code).toBe("no-abi-note");
  });

  test("an interpreter that lies outside of the file is one more unknown", () => {
    expect(read({ type: PT.INTERP, offset: 2n ** 64n - 1n, fileSize: 9 }, loaded).code).toBe(
      "not-a-unikernel",
    );
  });

  test("one with a Xen note is a Xen kernel", () => {
    const error = read({
      type: PT.NOTE,
      content: note({ owner: "Xen", type: 18, content: new Uint8Array(8) }),
    });
    expect(error.code).toBe("wrong-target");
    expect(error.why).toContain("Xen host");
  });

  test("one with a multiboot header is for a virtual machine monitor", () => {
    const content = new Uint8Array(64);
    new Uint32Array(content.buffer).set([0x1bad_b002, 0x0001_0003, 0xe451_4ffb], 3);
    const error = read({ ...loaded, content });
    expect(error.code).toBe("wrong-target");
    expect(error.why).toContain("qemu-system-x86_64");
  });

  test("any other one is told so", () => {
    expect(read(loaded).code).toBe("no-abi-note");
  });

  test("this test's own program is not a unikernel", () => {
    const { source, close } = openImage(process.execPath);
    expect(["not-a-unikernel", "unsupported-elf"]).toContain(codeOf(() => readUnikernel(source)));
    close();
  });
});

describe("a multiboot header", () => {
  const at = (offset: number, words: readonly number[], size = 8192) => {
    const bytes = new Uint8Array(size);
    const view = new DataView(bytes.buffer);
    for (const [i, word] of words.entries()) view.setUint32(offset + i * 4, word, true);
    return hasMultibootHeader(bytesSource(bytes));
  };
  const header = [0x1bad_b002, 0x0001_0003, 0xe451_4ffb];

  test("it is found at every multiple of 4 of the first 8 KiB, if all of it is there", () => {
    for (const offset of [0, 4, 64, 4096, 8180]) expect(at(offset, header)).toBe(true);
    expect(at(2, header)).toBe(false);
    expect(at(8184, header, 16384)).toBe(false);
    expect(at(8192, header, 16384)).toBe(false);
  });

  test("a checksum that is off makes it none", () => {
    expect(at(0, [0x1bad_b002, 0x0001_0003, 0xe451_4ffa])).toBe(false);
    expect(at(0, [0x1bad_b002, 0, 0])).toBe(false);
  });

  test("a file of any length below 12 bytes has none", () => {
    for (let size = 0; size < 12; size++)
      expect(hasMultibootHeader(bytesSource(new Uint8Array(size)))).toBe(false);
  });
});

describe("reading costs", () => {
  test("no more than a few small pieces of the file, however large it is", () => {
    const bytes = buildElf(unikernelSegments());
    const reads: number[] = [];
    const source = bytesSource(bytes);
    readUnikernel({
      size: 2 ** 40,
      read(offset, length) {
        reads.push(length);
        return source.read(offset, length);
      },
    });
    expect(reads.length).toBeLessThan(10);
    expect(reads.reduce((sum, length) => sum + length)).toBeLessThan(2000);
  });
});

describe("nameFile", () => {
  test("an image's error gets the file's name and keeps everything else", () => {
    const error = refusal(() =>
      nameFile("a b.hvt", () => {
        throw new ImageError("no-abi-note", "nothing found", { why: "because", hint: "try" });
      }),
    );
    expect(error).toMatchObject({
      code: "no-abi-note",
      message: "a b.hvt: nothing found",
      why: "because",
      hint: "try",
    });
    expect(error.cause).toBeInstanceOf(ImageError);
  });

  test("other errors and results pass through", () => {
    expect(() => nameFile("x", () => JSON.parse("{"))).toThrow(SyntaxError);
    expect(nameFile("x", () => 7)).toBe(7);
  });
});
