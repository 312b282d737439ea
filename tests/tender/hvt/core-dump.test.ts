// Core files: their bytes by the ABI, as readelf and gdb read them, and with the guest's memory in its place.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dumpCore, encodeCoreHeaders, openCoreDirectory } from "../../../src/tender/hvt/core-dump.ts";
import { GuestMemory } from "../../../src/tender/hvt/guest-memory.ts";
import { TenderError } from "../../../src/tender/tender-error.ts";
import { lacks, needsCommands } from "../../needs.ts";
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  PROT_READ,
  PROT_WRITE,
  close,
  mmap,
  munmap,
} from "../../../src/linux/libc.ts";

const directory = mkdtempSync(join(tmpdir(), "robur core "));
afterAll(() => rmSync(directory, { recursive: true }));

const SIZE = 2 ** 21;
/** In struct kvm_regs' order. */
const GENERAL = [
  "rax",
  "rbx",
  "rcx",
  "rdx",
  "rsi",
  "rdi",
  "rsp",
  "rbp",
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
  "rip",
  "eflags",
];
/** The order of the 27 registers in a prstatus (struct user_regs_struct). */
const PRSTATUS =
  "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs".split(
    " ",
  );

/** A different value for each register. */
const VALUE = new Map<string, bigint>([
  ...GENERAL.map((name, i): [string, bigint] => [name, 0x1111_0000_0000_0000n + BigInt(i + 1)]),
  ["eflags", 0x246n],
  ["cs", 8n],
  ["ds", 0x11n],
  ["es", 0x12n],
  ["fs", 0x13n],
  ["gs", 0x14n],
  ["ss", 0x15n],
  ["fs_base", 0x7777_0000_0000n],
  ["gs_base", 0x8888_0000_0000n],
]);
const regs = new DataView(new ArrayBuffer(144));
for (const [i, name] of GENERAL.entries()) regs.setBigUint64(i * 8, VALUE.get(name)!, true);
const sregs = new DataView(new ArrayBuffer(312));
for (const [i, name] of ["cs", "ds", "es", "fs", "gs", "ss"].entries()) {
  sregs.setUint16(i * 24 + 12, Number(VALUE.get(name)!), true);
}
sregs.setBigUint64(72, VALUE.get("fs_base")!, true);
sregs.setBigUint64(96, VALUE.get("gs_base")!, true);

/** cr2, error code, rip, cs, rflags, rsp, ss. */
const trap = new BigUint64Array([0xdeadn, 2n, 0x10_1234n, 0x18n, 0x10046n, 0x1f_0000n, 0x28n]);
const headers = encodeCoreHeaders(regs, sregs, SIZE, undefined);
const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const registersOf = (bytes: Uint8Array) =>
  Object.fromEntries(
    PRSTATUS.map((name, i) => [name, view(bytes).getBigUint64(0xb0 + 20 + 112 + i * 8, true)]),
  );

describe("a core file's headers", () => {
  test("they are the reference's, byte for byte", () => {
    const expected = new Uint8Array(0x214);
    const at = view(expected);
    const word = (offset: number, value: number | bigint) => at.setBigUint64(offset, BigInt(value), true);
    expected.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 255]);
    at.setUint16(16, 4, true);
    at.setUint16(18, 62, true);
    at.setUint32(20, 1, true);
    word(32, 64);
    at.setUint16(52, 64, true);
    at.setUint16(54, 56, true);
    at.setUint16(56, 2, true);
    at.setUint32(64, 4, true);
    word(64 + 8, 0xb0);
    word(64 + 32, 0x164);
    word(64 + 40, 0);
    at.setUint32(120, 1, true);
    word(120 + 8, 0x214);
    word(120 + 32, SIZE);
    word(120 + 40, SIZE);
    at.setUint32(0xb0, 8, true);
    at.setUint32(0xb4, 336, true);
    at.setUint32(0xb8, 1, true);
    expected.set(Buffer.from("CORE"), 0xbc);
    for (const [i, name] of PRSTATUS.entries()) {
      word(0xc4 + 112 + i * 8, VALUE.get(name === "orig_rax" ? "rax" : name)!);
    }
    expect(Buffer.from(headers).toString("hex")).toBe(Buffer.from(expected).toString("hex"));
  });

  test("the registers of a trap are the trap's, the others the processor's", () => {
    const before = registersOf(headers);
    expect(registersOf(encodeCoreHeaders(regs, sregs, SIZE, trap))).toEqual({
      ...before,
      rip: 0x10_1234n,
      cs: 0x18n,
      eflags: 0x10046n,
      rsp: 0x1f_0000n,
      ss: 0x28n,
    });
  });

  test("memory of 4 GiB has its size in both fields", () => {
    const large = view(encodeCoreHeaders(regs, sregs, 2 ** 32, undefined));
    expect([large.getBigUint64(120 + 32, true), large.getBigUint64(120 + 40, true)]).toEqual([
      2n ** 32n,
      2n ** 32n,
    ]);
  });
});

const run = (...command: string[]) => {
  const child = Bun.spawnSync(command, { env: { ...process.env, LC_ALL: "C" } });
  return { status: child.exitCode, output: child.stdout.toString(), errors: child.stderr.toString() };
};
const core = join(directory, "core");
writeFileSync(core, encodeCoreHeaders(regs, sregs, SIZE, trap));
truncateSync(core, 0x214 + SIZE);

describe.skipIf(lacks(needsCommands("readelf")))("readelf", () => {
  const { status, output, errors } = run("readelf", "-W", "-h", "-l", "-n", core);

  test("it has nothing to complain of", () => {
    expect([status, errors]).toEqual([0, ""]);
  });

  test("it reads a core of two segments for x86-64", () => {
    expect(output).toMatch(/Class:\s+ELF64/);
    expect(output).toMatch(/Type:\s+CORE \(Core file\)/);
    expect(output).toMatch(/Machine:\s+Advanced Micro Devices X86-64/);
    expect(output).toMatch(/Number of program headers:\s+2/);
    expect(output).toMatch(/Number of section headers:\s+0/);
    expect(output).toMatch(/NOTE\s+0x0000b0 0x0{16} 0x0{16} 0x000164 0x000000/);
    expect(output).toMatch(/LOAD\s+0x000214 0x0{16} 0x0{16} 0x200000 0x200000/);
  });

  test("it reads the note as a process's status", () => {
    expect(output).toMatch(/CORE\s+0x00000150\s+NT_PRSTATUS/);
  });
});

describe.skipIf(lacks(needsCommands("gdb")))("gdb", () => {
  test.skipIf(process.arch !== "x64")("it reads the registers, and memory at its guest address", () => {
    const file = readFileSync(core);
    file.write("robur was here\0", 0x214 + 0x12_3456);
    const path = join(directory, "for-gdb");
    writeFileSync(path, file);
    const { output } = run(
      "gdb",
      "-nx",
      "-batch",
      "-core",
      path,
      "-ex",
      "info registers",
      "-ex",
      "x/s 0x123456",
    );
    const seen = Object.fromEntries(
      [...output.matchAll(/^(\w+)\s+(0x[0-9a-f]+)\s/gm)].map((match) => [match[1]!, BigInt(match[2]!)]),
    );
    expect(seen).toMatchObject({
      ...Object.fromEntries(
        ["rax", "rbx", "rcx", "rbp", "rdi", "r8", "r15", "ds", "fs", "gs"].map((name) => [
          name,
          VALUE.get(name),
        ]),
      ),
      rip: 0x10_1234n,
      rsp: 0x1f_0000n,
      cs: 0x18n,
      ss: 0x28n,
    });
    expect(output).toContain('0x123456:\t"robur was here"');
  });
});

describe("writing a core file", () => {
  const base = mmap(SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  afterAll(() => munmap(base, SIZE));
  const memory = new GuestMemory(base, SIZE);
  memory.bytes.set(Buffer.from("first"), 0x1_0000);
  memory.bytes.fill(0xab, 0x10_0ff0, 0x10_2010);
  const path = join(directory, `core.solo5-hvt.${process.pid}`);

  test("it has the headers and every byte of memory in its place, and says where it is", () => {
    const opened = openCoreDirectory(directory);
    const lines = dumpCore(opened, headers, memory);
    close(opened.fd);
    const bytes = readFileSync(path);
    expect(bytes.subarray(0, 0x214).equals(headers)).toBe(true);
    expect(bytes.subarray(0x214).equals(memory.bytes)).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toEndWith(`core.solo5-hvt.${process.pid}`);
    expect(lines[1]).toMatch(/dumped \d+ pages of total 512 pages$/);
    // Untouched pages take no room: four were touched, and where the kernel uses huge pages, all.
    expect(statSync(path).blocks * 512).toBeLessThanOrEqual(SIZE + 0x4000);
  });

  test("an older core is never written over", () => {
    const before = readFileSync(path);
    const opened = openCoreDirectory(directory);
    const lines = dumpCore(opened, headers, memory);
    close(opened.fd);
    expect(lines).toEqual([expect.stringMatching(/File exists$/)]);
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test("a directory that is missing, or isn't one, is refused before the guest runs", () => {
    for (const wrong of [join(directory, "missing"), path, "/proc/self/nothing"]) {
      try {
        openCoreDirectory(wrong);
        throw new Error("accepted");
      } catch (error) {
        if (!(error instanceof TenderError)) throw error;
        expect(error.code).toBe("core-directory");
        expect(error.message).toContain(wrong);
      }
    }
  });
});
