/** Runs real spt guests: what Solo5's own tests ask of an spt tender, and what it must forbid. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildGuest } from "../../guests/build.ts";
import { lacks } from "../../needs.ts";
import { needsSptGuests } from "./needs.ts";
import { FORMS, endOf, runGuest, runSolo5Spt, startChild } from "./start.ts";

const cannotRun = lacks(needsSptGuests());

const directory = mkdtempSync(join(tmpdir(), "spt-"));
afterAll(() => rmSync(directory, { recursive: true }));

let files = 0;
/** A sparse file of that many bytes. */
function storage(size: number): string {
  const path = join(directory, `storage-${(files += 1)}`);
  writeFileSync(path, "");
  truncateSync(path, size);
  return path;
}

const MIB = 1024 * 1024;

describe.skipIf(cannotRun).each(FORMS)("an spt guest %s", (form) => {
  const run = async (name: string, args: string[] = [], options: string[] = ["--mem=2"], abi = 2) => {
    const image = await buildGuest(name, "spt", { abi });
    return runGuest(form, [...options, "--", image, ...args]);
  };
  const SUCCESS = { status: 0, output: expect.stringContaining("SUCCESS") };
  const FAULT = { status: 139, signal: "SIGSEGV" };

  test("gets its command line", async () => {
    expect(await run("hello", ["Hello_Solo5"])).toMatchObject(SUCCESS);
  });

  test("gets the longest command line, byte for byte", async () => {
    const { status, output } = await run("cmdline", ["x".repeat(8000), "y".repeat(190)]);
    expect([status, output]).toEqual([0, expect.stringContaining("8191")]);
  });

  test("can be quiet", async () => {
    const { status, output } = await run("quiet", ["--solo5:quiet"]);
    expect([status, output]).toEqual([0, expect.stringContaining("SUCCESS")]);
    expect(output).not.toContain("Solo5:");
    expect((await run("quiet")).output).toContain("Solo5:");
  });

  test("writes 8 KiB to its console at once", async () => {
    const { status, output } = await run("output", ["Output_Solo5"]);
    expect(status).toBe(0);
    expect(output.length).toBeGreaterThan(8000);
  });

  for (const abi of [1, 2]) {
    test(`has initialised and zeroed data, ABI version ${abi}`, async () => {
      expect(await run("globals", [], ["--mem=2"], abi)).toMatchObject(SUCCESS);
    });
  }

  for (const name of ["exception", "zeropage", "xnow", "rnow", "wnox", "notls"]) {
    test(`that does what ${name} does is killed by SIGSEGV`, async () => {
      expect(await run(name)).toMatchObject(FAULT);
    });
  }

  test("may execute its heap only when that is allowed", async () => {
    const before = ["--mem=2", "--x-exec-heap"];
    // Data is a segment of the image, and keeps its own protection.
    expect(await run("wnox", [], before)).toMatchObject(FAULT);
  });

  test("has thread-local storage", async () => {
    expect(await run("tls")).toMatchObject(SUCCESS);
    expect(await run("tls", [], ["--mem=2"], 1)).toMatchObject(SUCCESS);
  });

  test("aborts when its stack is smashed", async () => {
    expect(await run("ssp")).toMatchObject({ status: 255, output: expect.stringContaining("ABORT") });
  });

  test("computes with floating point", async () => {
    expect(await run("fpu")).toMatchObject(SUCCESS);
  });

  test("tells the time and sleeps", async () => {
    expect(await run("time", ["sleeps=2"])).toMatchObject(SUCCESS);
  });

  test("ends with any status", async () => {
    for (const status of [0, 1, 64, 255])
      expect((await run("exit", [`status=${status}`])).status).toBe(status);
  });

  test("has the memory it was given, to the last page", async () => {
    expect(await run("globals", [], ["--mem=3"])).toMatchObject(SUCCESS);
    expect(await run("hello", ["Hello_Solo5"], ["--mem=4096"])).toMatchObject(SUCCESS);
  });

  test("uses its block device, by sectors of any size", async () => {
    const path = storage(4 * MIB);
    expect(await run("blk", [], ["--mem=2", `--block:storage=${path}`])).toMatchObject(SUCCESS);
    const options = ["--mem=2", `--block:storage=${path}`, "--block-sector-size:storage=4096"];
    expect(await run("blk", [], options)).toMatchObject(SUCCESS);
    expect(readFileSync(path).length).toBe(4 * MIB);
  });

  test("tells 63 block devices apart", async () => {
    const options = Array.from({ length: 63 }, (_, i) => `--block:storage${i}=${storage(4096)}`);
    expect(await run("mft_maxdevices", [], ["--mem=2", ...options])).toMatchObject(SUCCESS);
  });

  test("is killed by SIGSYS for a forbidden system call", async () => {
    expect(await run("seccomp")).toMatchObject({ status: 159, signal: "SIGSYS" });
  });

  const KILLED = { status: 159, signal: "SIGSYS", output: expect.not.stringContaining("returned") };
  const forbidden: [why: string, args: string[]][] = [
    ["writes to standard error", ["op=write", "fd=2"]],
    ["writes to standard input", ["op=write", "fd=0"]],
    ["writes to a descriptor that isn't there", ["op=write", "fd=100"]],
    ["reads from its block device as from a stream", ["op=read"]],
    ["writes to its block device as to a stream", ["op=write"]],
    ["writes to its block device beyond the end", ["op=pwrite", "off=65536"]],
    ["writes across the end of its block device", ["op=pwrite", "off=65025"]],
    ["writes less than a sector", ["op=pwrite", "len=511"]],
    ["writes two sectors at once", ["op=pwrite", "len=1024"]],
    ["writes with an offset that wraps", ["op=pwrite", "off=0xfffffffffffffe00"]],
    ["reads from a file that isn't its own", ["op=pread", "fd=3"]],
  ];
  for (const [why, args] of forbidden) {
    test(`is killed when it ${why}`, async () => {
      const path = storage(65536);
      expect(await run("forbidden", args, ["--mem=2", `--block:storage=${path}`])).toMatchObject(KILLED);
      expect(readFileSync(path).length).toBe(65536);
    });
  }

  test("may use its block device to the last sector", async () => {
    const path = storage(65536);
    const options = ["--mem=2", `--block:storage=${path}`];
    for (const op of ["pwrite", "pread"]) {
      const { status, output } = await run("forbidden", [`op=${op}`, "off=65024"], options);
      expect([status, output]).toEqual([0, expect.stringContaining("returned 512")]);
    }
  });

  // mmap, mprotect, open, clone, execve, ptrace, prctl, setuid, memfd_create, io_uring_setup, and an x32 number.
  for (const number of [9, 10, 2, 56, 59, 101, 157, 105, 319, 425, 0x4000_0001]) {
    test(`is killed by system call ${number}`, async () => {
      expect(await run("seccomp", [`nr=${number}`])).toMatchObject(KILLED);
    });
  }

  test("is killed when it enters the kernel by the 32-bit way", async () => {
    // SIGSEGV on kernels without that way.
    const { status } = await run("seccomp", ["int80", "nr=20"]);
    expect([159, 139]).toContain(status);
  });
});

describe.skipIf(cannotRun)("the spt tender", () => {
  const refused = async (name: string, options: string[]) => {
    const image = await buildGuest(name, "spt");
    const { status, output } = await runSolo5Spt([...options, "--", image]);
    expect(status).toBe(1);
    return output;
  };

  test("refuses block devices that don't fit, as the original does", async () => {
    const options = (size: number, sector: number) => [
      `--block:storage=${storage(size)}`,
      `--block-sector-size:storage=${sector}`,
    ];
    expect(await refused("blk", options(6144, 4096))).toContain("Backing storage size must be block aligned");
    expect(await refused("blk", options(4 * MIB, 521))).toContain("Block size must be a multiple of 2");
    expect(await refused("blk", options(4 * MIB, 256))).toContain(
      "Block size must be a multiple of 2 greater than or equal 512",
    );
  });

  test("refuses a guest whose devices are not all there", async () => {
    expect(await refused("blk", [])).toContain("All declared devices must be attached");
  });

  test("refuses more memory than the machine has", async () => {
    expect(await refused("globals", ["--mem=9999999"])).toMatch(
      /^solo5-spt: cannot map 9\.54 TiB of guest memory/,
    );
  });

  test("refuses images of other targets", async () => {
    const { status, output } = await runSolo5Spt([await buildGuest("hello", "hvt")]);
    expect([status, output]).toEqual([1, expect.stringContaining("for the target hvt, not for spt")]);
  });

  test("refuses an image that got shorter after it was looked at", async () => {
    const copy = join(directory, "shrunk.spt");
    writeFileSync(copy, readFileSync(await buildGuest("hello", "spt")));
    const guest = startChild([copy, "Hello_Solo5"], {}, () => truncateSync(copy, 600));
    const { status, output } = await endOf(guest);
    expect([status, output]).toEqual([1, "error: cannot read the image: cut short\n"]);
  });

  test("prints its versions in the form that orchestrators read, and its usage", async () => {
    const version = await runSolo5Spt(["--version"]);
    expect(version.status).toBe(0);
    expect(version.output.split("\n")).toContain("ABI version 1");
    expect(version.output.split("\n")).toContain("ABI version 2");
    expect((await runSolo5Spt(["--help"])).status).toBe(1);
    expect((await runSolo5Spt([])).output).toContain("Missing KERNEL operand");
  });
});
