// Images that no tender may start: manifests and segments that contradict themselves or ask for too much.
import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildGuest, compilerVersion } from "../../guests/build.ts";
import { lacks, needsCommands, needsKvm } from "../../needs.ts";
import { temporaryDirectory } from "../../robur.ts";
import { TENDERS, type Tender, bootImage } from "./guest.ts";

const NO_GCC = compilerVersion() === undefined ? needsCommands("gcc") : undefined;
const skip = lacks(needsKvm(), NO_GCC);

const here = temporaryDirectory();
let count = 0;

/** A copy of a guest's image, changed. */
async function changed(guest: string, change: (image: Image) => void): Promise<string> {
  const bytes = readFileSync(await buildGuest(guest, "hvt"));
  change(new Image(bytes));
  const path = join(here, `${guest}${count++}.hvt`);
  writeFileSync(path, bytes);
  return path;
}

const ENTRY_SIZE = 104;
const PT_LOAD = 1;

/** Where things lie in an image's bytes. */
class Image {
  readonly bytes: Buffer;
  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
  /** The manifest note's first byte. */
  get note(): number {
    return this.bytes.indexOf("MFT1Solo5\0") - 8;
  }
  get manifest(): number {
    return this.note + 24;
  }
  entry(index: number): number {
    return this.manifest + 8 + index * ENTRY_SIZE;
  }
  setName(index: number, name: string): void {
    this.bytes.fill(0, this.entry(index), this.entry(index) + 68);
    this.bytes.write(name, this.entry(index));
  }
  setCount(entries: number): void {
    this.bytes.writeUInt32LE(entries, this.manifest + 4);
  }
  setNoteSize(size: number): void {
    this.bytes.writeUInt32LE(size, this.note + 4);
  }
  setType(index: number, type: number): void {
    this.bytes.writeUInt32LE(type, this.entry(index) + 68);
  }
  /** Program headers of a type, as offsets. */
  headers(type: number): number[] {
    const table = Number(this.bytes.readBigUInt64LE(32));
    return Array.from({ length: this.bytes.readUInt16LE(56) }, (_, i) => table + i * 56).filter(
      (at) => this.bytes.readUInt32LE(at) === type,
    );
  }
}

const refused = (tender: Tender) => (tender === "solo5-hvt" ? 1 : 125);

async function refuses(tender: Tender, path: string, message: RegExp, memory = 32): Promise<void> {
  const { code, signal, stdout, stderr } = await bootImage(tender, path, { memory });
  expect({ path, code, signal, stdout }).toEqual({ path, code: refused(tender), signal: null, stdout: "" });
  expect(stderr).toMatch(message);
}

const MANIFESTS: readonly (readonly [what: string, message: RegExp, change: (image: Image) => void])[] = [
  ["another version", /manifest is invalid.*version 2/, (m) => m.bytes.writeUInt32LE(2, m.manifest)],
  ["65 entries", /manifest is invalid.*65 entries/, (m) => m.setCount(65)],
  ["4294967295 entries", /manifest is invalid.*4294967295 entries/, (m) => m.setCount(0xffff_ffff)],
  ["no entries", /manifest is invalid/, (m) => m.setCount(0)],
  ["fewer entries than its size", /manifest is invalid.*size/, (m) => m.setCount(63)],
  ["a size that is no whole entry", /manifest is invalid.*size/, (m) => m.setNoteSize(12 + 63 * 104)],
  ["a name without an end", /manifest is invalid/, (m) => m.setName(7, "n".repeat(68))],
  ["an entry that says it is attached", /manifest is invalid/, (m) => (m.bytes[m.entry(3) + 96] = 1)],
  ["a device in the reserved place", /manifest is invalid/, (m) => m.setType(0, 1)],
  ["a name in the reserved place", /manifest is invalid/, (m) => m.setName(0, "x")],
  ["a note larger than any manifest", /note does not fall within valid size/, (m) => m.setNoteSize(6669)],
  ["a note of one byte", /note does not fall within valid size/, (m) => m.setNoteSize(1)],
  ["a note of nothing", /note does not fall within valid size/, (m) => m.setNoteSize(0)],
  ["a note of 4 GiB", /note does not fall within valid size/, (m) => m.setNoteSize(0xffff_ffff)],
  ["no manifest", /no Solo5 application manifest/, (m) => m.bytes.write("MFT2", m.note + 8)],
  ["no ABI", /no Solo5 ABI information/, (m) => m.bytes.write("X", m.bytes.indexOf("ABI1Solo5\0"))],
];

for (const tender of TENDERS) {
  describe.skipIf(skip)(`${tender}, images`, () => {
    for (const [what, message, change] of MANIFESTS) {
      test(`${what} in the manifest is refused`, async () => {
        await refuses(tender, await changed("mft_maxdevices", change), message);
      });
    }

    test("a device of a type that nobody knows can't be attached", async () => {
      const path = await changed("blk", (image) => image.setType(1, 3));
      await refuses(tender, path, /'storage' of type undefined/);
    });

    test("of two devices with one name the second can't be attached", async () => {
      const path = await changed("net_2if", (image) => image.setName(2, "service0"));
      const { code, stderr } = await bootImage(tender, path, { nets: { service0: "NoSuchTap" } });
      expect(code).toBe(refused(tender));
      expect(stderr).toMatch(/All declared devices must be attached/);
      expect(stderr.match(/'service0'/g)).toHaveLength(1);
    });

    test("a device whose name nobody could write can't be attached", async () => {
      const path = await changed("blk", (image) => image.setName(1, "my disk"));
      await refuses(tender, path, /'my disk' of type BLOCK_BASIC/);
    });

    test("an entry of a reserved type is nobody's business", async () => {
      const path = await changed("blk", (image) => image.setType(1, 0x4000_0001));
      const { stderr, stdout, code } = await bootImage(tender, path);
      // It starts, and the guest finds its device missing.
      expect(stderr).toBe("");
      expect(stdout).toContain("ABORT");
      expect(code).toBe(255);
    });

    test("an image that needs more memory than it is given says how much it needs", async () => {
      const grown = await changed("hello", (image) => {
        const last = image.headers(PT_LOAD).at(-1)!;
        image.bytes.writeBigUInt64LE(3n << 20n, last + 40);
      });
      await refuses(tender, grown, /the image takes 4(\.\d+)? MiB of 2 MiB/, 2);
      const { code } = await bootImage(tender, grown, { memory: 8, args: ["Hello_Solo5"] });
      expect(code).toBe(0);
    });

    test("segments outside of memory, out of order, overlapping or writable code are refused", async () => {
      const cases: [RegExp, (image: Image) => void][] = [
        [/below 0x100000/, (image) => image.bytes.writeBigUInt64LE(0x1000n, image.headers(PT_LOAD)[0]! + 16)],
        [/memory/, (image) => image.bytes.writeBigUInt64LE(1n << 62n, image.headers(PT_LOAD)[0]! + 16)],
        [/power of two/, (image) => image.bytes.writeBigUInt64LE(3n, image.headers(PT_LOAD)[0]! + 48)],
        [/smaller in memory/, (image) => image.bytes.writeBigUInt64LE(1n, image.headers(PT_LOAD)[0]! + 40)],
        [/writable and executable/, (image) => image.bytes.writeUInt32LE(7, image.headers(PT_LOAD)[0]! + 4)],
        [
          /end of the file|truncated/,
          (image) => image.bytes.writeBigUInt64LE(1n << 40n, image.headers(PT_LOAD)[0]! + 8),
        ],
        [
          /ascending order|overlaps/,
          (image) => {
            const [first, second] = image.headers(PT_LOAD);
            image.bytes.writeBigUInt64LE(image.bytes.readBigUInt64LE(first! + 16), second! + 16);
          },
        ],
        [/entry point/, (image) => image.bytes.writeBigUInt64LE(8n, 24)],
        [/entry point/, (image) => image.bytes.writeBigUInt64LE(0xffff_ffff_ffff_ffffn, 24)],
      ];
      for (const [message, change] of cases) {
        await refuses(tender, await changed("hello", change), message);
      }
    });
  });
}
