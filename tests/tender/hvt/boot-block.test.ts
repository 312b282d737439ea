// Block devices of hvt guests: what a guest reads and writes is what the file has, and nothing but the file.
import { describe, expect, test } from "bun:test";
import { chmodSync, readFileSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compilerVersion } from "../../guests/build.ts";
import { KVM_IS_PARAVIRTUAL, NOBODY, lacks, needsCommands, needsKvm, needsRoot } from "../../needs.ts";
import { temporaryDirectory, until } from "../../robur.ts";
import { TENDERS, type Tender, boot, startGuest } from "./guest.ts";

const NO_GCC = compilerVersion() === undefined ? needsCommands("gcc") : undefined;
const skip = lacks(needsKvm(), NO_GCC);

/** The original's test uses 4 MiB; where guest code is emulated that takes a minute. */
const DISK_SIZE = KVM_IS_PARAVIRTUAL ? 320 * 1024 : 4 * 1024 * 1024;
const here = temporaryDirectory();
let count = 0;

/** A new file of zeroes. */
function disk(size: number): string {
  const path = join(here, `disk${count++}`);
  writeFileSync(path, "");
  truncateSync(path, size);
  return path;
}

/** Status of a start that the tender refuses. */
const refused = (tender: Tender) => (tender === "solo5-hvt" ? 1 : 125);

for (const tender of TENDERS) {
  describe.skipIf(skip)(`${tender}, block devices`, () => {
    for (const sector of [undefined, 512, 4096, 32768]) {
      test(`sectors of ${sector ?? "512, as by default,"} bytes are written and read back`, async () => {
        const storage = disk(DISK_SIZE);
        const options = sector === undefined ? {} : { sectorSizes: { storage: sector } };
        const { code, stdout, stderr } = await boot(tender, "blk", { blocks: { storage }, ...options });
        expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
        expect(stdout).toContain(`storage: ${DISK_SIZE} bytes, sectors of ${sector ?? 512}\n`);
        expect(stdout).toContain("SUCCESS");
        expect(statSync(storage).size).toBe(DISK_SIZE);
        // Every tenth sector was written, the one behind it wasn't.
        const bytes = readFileSync(storage);
        const size = sector ?? 512;
        expect(bytes.subarray(0, size).some((byte) => byte !== 0)).toBe(true);
        if (DISK_SIZE > 2 * size)
          expect(bytes.subarray(size, 2 * size).every((byte) => byte === 0)).toBe(true);
      });
    }

    test("a file that is no whole number of sectors is refused", async () => {
      for (const [size, sector] of [
        [6144, 4096],
        [513, 512],
        [1, 512],
      ] as const) {
        const { code, output, stdout } = await boot(tender, "blk", {
          blocks: { storage: disk(size) },
          sectorSizes: { storage: sector },
        });
        expect({ size, code, stdout }).toEqual({ size, code: refused(tender), stdout: "" });
        expect(output).toContain("Backing storage size must be block aligned");
      }
    });

    test("an empty file is refused", async () => {
      const { code, output } = await boot(tender, "blk", { blocks: { storage: disk(0) } });
      expect(code).toBe(refused(tender));
      expect(output).toContain("at least 1 block");
    });

    test("sector sizes that are no power of two from 512 to 32768 are refused", async () => {
      for (const size of [521, 256, 0, 1, 511, 65536, 1_000_000]) {
        const { code, output, stdout } = await boot(tender, "blk", {
          blocks: { storage: disk(65536) },
          sectorSizes: { storage: size },
        });
        expect({ size, code, stdout }).toEqual({ size, code: tender === "solo5-hvt" ? 1 : 2, stdout: "" });
        expect(output).toContain(
          tender === "solo5-hvt"
            ? "Block size must be a multiple of 2 greater than or equal 512"
            : "a power of two from 512 to 32768",
        );
      }
    });

    test("a file that can't be opened for writing is named with the reason", async () => {
      const missing = await boot(tender, "blk", { blocks: { storage: join(here, "missing") } });
      expect(missing.code).toBe(refused(tender));
      expect(missing.stderr).toContain(`${join(here, "missing")}: No such file or directory`);
      const directory = await boot(tender, "blk", { blocks: { storage: here } });
      expect(directory.code).toBe(refused(tender));
      expect(directory.stderr).toContain("Is a directory");
    });

    test("63 devices, the most there can be, are kept apart", async () => {
      const files = Array.from({ length: 63 }, () => disk(4096));
      const blocks = Object.fromEntries(files.map((path, i) => [`storage${i}`, path]));
      const { code, stdout, stderr } = await boot(tender, "mft_maxdevices", { blocks });
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toContain("SUCCESS");
      for (const [i, path] of files.entries()) {
        const bytes = readFileSync(path);
        expect(bytes.length).toBe(4096);
        expect(bytes.subarray(0, 512).every((byte) => byte === i + 1)).toBe(true);
        expect(bytes.subarray(512).every((byte) => byte === 0)).toBe(true);
      }
    });
  });
}

describe.skipIf(skip)("block hypercalls", () => {
  const raw = async (storage: string, ...args: string[]) => {
    const ended = await boot("solo5-hvt", "blkraw", { blocks: { storage }, args });
    return { ...ended, result: /result (-?\d+)/.exec(ended.stdout)?.[1] };
  };

  test("any length at any offset inside is moved, also when it is no whole sector", async () => {
    const storage = disk(8192);
    for (const [offset, length] of [
      [0, 1],
      [1, 511],
      [777, 1000],
      [8191, 1],
      [0, 8192],
    ] as const) {
      const fill = 0x41 + (length % 26);
      const wrote = await raw(storage, "op=write", `offset=${offset}`, `len=${length}`, `fill=${fill}`);
      expect({ code: wrote.code, result: wrote.result }).toEqual({ code: 0, result: "0" });
      const bytes = readFileSync(storage);
      expect(bytes.length).toBe(8192);
      expect(bytes.subarray(offset, offset + length).every((byte) => byte === fill)).toBe(true);
      const read = await raw(storage, `offset=${offset}`, `len=${length}`);
      const crc = Bun.hash.crc32(bytes.subarray(offset, offset + length));
      expect(read.stdout).toContain(`crc32 ${crc.toString(16).padStart(8, "0")}`);
    }
  });

  test("what lies outside of the device is answered with EINVAL, and the file stays as it is", async () => {
    const storage = disk(8192);
    const before = readFileSync(storage);
    const cases: [offset: string, length: string][] = [
      ["8192", "512"],
      ["8192", "0"],
      ["8191", "2"],
      ["0", "8193"],
      ["0xffffffffffffffff", "1"],
      ["0xffffffffffffff00", "512"],
      ["0x8000000000000000", "512"],
      ["0", "0xffffffffffffffff"],
      ["1", "0xffffffffffffffff"],
      ["0", "0x8000000000000000"],
      ["512", "0x7fffffffffffffff"],
      ["0x20000000000000", "1"],
      ["0", "0x20000000000000"],
    ];
    for (const op of ["write", "read"]) {
      for (const [offset, length] of cases) {
        const { code, result } = await raw(storage, `op=${op}`, `offset=${offset}`, `len=${length}`);
        expect({ op, offset, length, code, result }).toEqual({ op, offset, length, code: 0, result: "2" });
      }
    }
    for (const handle of ["0", "2", "63", "64", "0xffffffff", "0x100000001", "0xffffffffffffffff"]) {
      const { code, result } = await raw(storage, `handle=${handle}`);
      expect({ handle, code, result }).toEqual({ handle, code: 0, result: "2" });
    }
    expect(readFileSync(storage).equals(before)).toBe(true);
  });

  test("a length of zero inside the device is no error", async () => {
    const { code, result } = await raw(disk(8192), "op=write", "offset=8191", "len=0");
    expect({ code, result }).toEqual({ code: 0, result: "0" });
  });

  test("a file that shrinks under a running guest ends it with status 1 and a message", async () => {
    const storage = disk(64 * 1024 * 1024);
    const child = await startGuest("solo5-hvt", "blkbench", {
      blocks: { storage },
      args: ["op=read", "mb=100000", "len=262144"],
    });
    await waitForDevice(child.pid, storage);
    truncateSync(storage, 4096);
    const [stderr, code] = await Promise.all([child.stderr.text(), child.exited]);
    expect(code).toBe(1);
    expect(stderr).toContain("block device");
  });

  test.skipIf(lacks(needsRoot()))(
    "a file that only root may write works, though the guest's user may not",
    async () => {
      const storage = disk(4096);
      chmodSync(storage, 0o600);
      const { code, result } = await raw(storage, "op=write");
      expect({ code, result }).toEqual({ code: 0, result: "0" });
    },
  );

  test.skipIf(lacks(needsRoot(), needsCommands("setpriv")))("a read-only file is refused", async () => {
    const storage = disk(4096);
    chmodSync(storage, 0o444);
    const under = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
    const { code, stderr } = await boot("robur run", "blkraw", { blocks: { storage }, under });
    expect(code).toBe(125);
    expect(stderr).toContain(`${storage}: Permission denied`);
  });

  test.skipIf(lacks(needsRoot(), needsLoop()))(
    "a real block device has its size and is written through",
    async () => {
      const backing = disk(64 * 1024);
      const loop = Bun.spawnSync(["losetup", "--find", "--show", backing]).stdout.toString().trim();
      try {
        const { code, stdout } = await boot("robur run", "blk", {
          blocks: { storage: loop },
          sectorSizes: { storage: 4096 },
        });
        expect(code).toBe(0);
        expect(stdout).toContain("storage: 65536 bytes, sectors of 4096");
      } finally {
        Bun.spawnSync(["sync", "--file-system", backing]);
        Bun.spawnSync(["losetup", "--detach", loop]);
      }
      expect(
        readFileSync(backing)
          .subarray(0, 4096)
          .some((byte) => byte !== 0),
      ).toBe(true);
    },
  );

  test("a path may have spaces and be a symbolic link", async () => {
    const target = disk(4096);
    const link = join(here, "my disk = 1");
    symlinkSync(target, link);
    for (const tender of TENDERS) {
      const { code } = await boot(tender, "blkraw", { blocks: { storage: link }, args: ["op=write"] });
      expect(code).toBe(0);
    }
    expect(readFileSync(target)[0]).toBe(0x5a);
  });
});

function needsLoop(): string | undefined {
  const missing = needsCommands("losetup");
  if (missing !== undefined) return missing;
  return Bun.spawnSync(["losetup", "--find"]).exitCode === 0 ? undefined : "there are no loop devices";
}

async function waitForDevice(pid: number, path: string): Promise<void> {
  // The guest runs once the process can't gain privileges any more.
  await until("the guest to run", () => {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return /^Seccomp:\t2$/m.test(status);
  });
  const open = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  expect(open).toContain(path);
}
