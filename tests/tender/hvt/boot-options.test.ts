// The options of solo5-hvt, as its callers write them and as its messages answer.
import { describe, expect, test } from "bun:test";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Target, buildGuest, compilerVersion } from "../../guests/build.ts";
import { lacks, needsCommands, needsKvm } from "../../needs.ts";
import { type RunOptions, calledAs, run, temporaryDirectory } from "../../robur.ts";

const NO_GCC = compilerVersion() === undefined ? needsCommands("gcc") : undefined;

function hvt(args: readonly string[], options: RunOptions = {}) {
  return run(args, { as: "solo5-hvt", ...options });
}

const image = (name: string, target: Target = "hvt") => buildGuest(name, target);

describe("solo5-hvt", () => {
  test("--help prints the usage on standard error, with status 1", async () => {
    for (const args of [["--help"], ["--mem=64", "--help"], ["--bogus", "--help", "x"]]) {
      const { code, stdout, stderr } = await hvt(args);
      expect({ args, code, stdout }).toEqual({ args, code: 1, stdout: "" });
      expect(stderr).toStartWith("usage: solo5-hvt [ CORE OPTIONS ] [ MODULE OPTIONS ] [ -- ] KERNEL [ ARGS");
      for (const option of ["--mem=", "--net:NAME=", "--net-mac:NAME=", "--block:NAME=", "--version"]) {
        expect(stderr).toContain(option);
      }
      expect(stderr).toContain("--block-sector-size:NAME=");
    }
  });

  test("--version tells both ABI versions on standard error, with status 0", async () => {
    const { code, stdout, stderr } = await hvt(["--version"]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    const lines = stderr.trimEnd().split("\n");
    expect(lines[0]).toMatch(/^solo5-hvt tender, version robur \d+\.\d+\.\d+$/);
    // The words that albatross looks for, a line for each.
    expect(lines.slice(1)).toEqual(["ABI version 1", "ABI version 2"]);
  });

  test("it goes by whatever name it was called, with a version behind it or without", async () => {
    for (const name of ["solo5-hvt", "solo5-hvt.2", "solo5-hvt-debug"]) {
      const { code, stderr } = await hvt(["--version"], { as: name });
      expect(code).toBe(0);
      expect(stderr).toStartWith(`${name} tender, version`);
    }
    const here = temporaryDirectory();
    symlinkSync(await calledAs("robur"), join(here, "solo5-hvt"));
    const found = await run(["--version"], {
      under: ["sh", "-c", 'PATH=$0:$PATH; exec solo5-hvt "$2"', here],
    });
    expect(found.stderr).toStartWith("solo5-hvt tender, version");
  });

  test("without a KERNEL it says so and prints the usage", async () => {
    for (const args of [[], ["--mem=64"], ["--"], ["--net:service=tap0", "--"]]) {
      const { code, stdout, stderr } = await hvt(args);
      expect({ args, code, stdout }).toEqual({ args, code: 1, stdout: "" });
      expect(stderr).toContain("Missing KERNEL operand");
      expect(stderr).toContain("usage: solo5-hvt");
    }
  });

  test("a file that can't be opened is named with the reason", async () => {
    const missing = await hvt(["/nonexistent/website.hvt"]);
    expect(missing.code).toBe(1);
    expect(missing.stderr).toMatch(/^solo5-hvt: \/nonexistent\/website\.hvt: no such file/i);
    // Behind -- it is a file, whatever it looks like.
    const option = await hvt(["--", "--mem=64"]);
    expect(option.code).toBe(1);
    expect(option.stderr).toContain("--mem=64: no such file");
    const directory = await hvt(["/tmp"]);
    expect(directory.code).toBe(1);
    expect(directory.stderr).toContain("/tmp: a directory");
  });
});

describe.skipIf(lacks(NO_GCC))("solo5-hvt, of an image", () => {
  test("an option that doesn't exist is named, with the usage", async () => {
    const hello = await image("hello");
    const options = ["--bogus", "--bogus=1", "-", "-m", "--gdb", "--dumpcore=/tmp", "--mem", "--x-exec-heap"];
    options.push("--net=tap0", "--net:=tap0", "--net:service.0=tap0", `--block:${"x".repeat(68)}=file`);
    options.push("--net:service", "--memory=64", "--MEM=64");
    for (const option of options) {
      const { code, stdout, stderr } = await hvt([option, hello]);
      expect({ option, code, stdout }).toEqual({ option, code: 1, stdout: "" });
      expect(stderr).toContain("Invalid option: ");
      expect(stderr).toContain(option);
      expect(stderr).toContain("usage: solo5-hvt");
    }
  });

  test("memory of nothing, or that is no number, is malformed", async () => {
    const hello = await image("hello");
    for (const memory of ["0", "", "x", "-1", "many", "0x40"]) {
      const { code, stderr } = await hvt([`--mem=${memory}`, hello]);
      expect({ memory, code }).toEqual({ memory, code: 1 });
      expect(stderr).toContain("malformed argument to --mem");
    }
  });

  test("more than 4 GiB of memory are refused", async () => {
    const hello = await image("hello");
    for (const memory of [4098, 5000, 1_000_000]) {
      const { code, stderr } = await hvt([`--mem=${memory}`, hello]);
      expect({ memory, code }).toEqual({ memory, code: 1 });
      expect(stderr).toContain("exceeds the maximum size");
    }
  });

  test("a device that the image doesn't declare is refused by its name", async () => {
    const cases: [string, string, string][] = [
      ["hello", "--net:service0=tap0", "'service0'"],
      ["hello", "--block:storage=/nonexistent", "'storage'"],
      ["blk", "--block:storage2=/nonexistent", "'storage2'"],
      // Declared, but as the other kind.
      ["blk", "--net:storage=tap0", "'storage'"],
      ["net", "--block:service0=/nonexistent", "'service0'"],
      ["net", "--net-mac:service1=02:00:00:00:00:01", "'service1'"],
    ];
    for (const [guest, option, name] of cases) {
      const { code, stderr } = await hvt([option, await image(guest)]);
      expect({ option, code }).toEqual({ option, code: 1 });
      expect(stderr).toContain("Resource not declared in manifest");
      expect(stderr).toContain(name);
      expect(stderr).toContain("usage: solo5-hvt");
    }
  });

  test("every declared device must be attached, and those that are not are listed", async () => {
    const { code, stderr, stdout } = await hvt([await image("net_2if")]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("All declared devices must be attached");
    expect(stderr).toMatch(/device 'service0' of type NET_BASIC/);
    expect(stderr).toMatch(/device 'service1' of type NET_BASIC/);
    const many = await hvt([await image("mft_maxdevices")]);
    expect(many.code).toBe(1);
    for (const name of ["storage0", "storage31", "storage62"]) expect(many.stderr).toContain(`'${name}'`);
  });

  test("a MAC address that isn't one is refused", async () => {
    const net = await image("net");
    for (const mac of ["", "02:00:00:00:00", "02:00:00:00:00:zz", "2000000001", "02:00:00:00:00:001"]) {
      const { code, stderr } = await hvt([`--net-mac:service0=${mac}`, net]);
      expect({ mac, code }).toEqual({ mac, code: 1 });
      expect(stderr).toContain(`Invalid option: --net-mac:service0=${mac}`);
    }
  });

  test("images of other targets and of unknown versions are refused by name", async () => {
    const cases: [wanted: RegExp, path: string][] = [
      [/target spt/, await image("hello", "spt")],
      [/target virtio/, await image("hello", "virtio")],
      [/target muen/, await buildGuest("hello", "hvt", { defines: ["ABI_TARGET=4"] })],
      [/target xen/, await buildGuest("hello", "hvt", { defines: ["ABI_TARGET=6"] })],
      [/target unknown/, await buildGuest("hello", "hvt", { defines: ["ABI_TARGET=77"] })],
      [/ABI version 3\b/, await buildGuest("hello", "hvt", { abi: 3 })],
      [/ABI version 0\b/, await buildGuest("hello", "hvt", { abi: 0 })],
    ];
    for (const [wanted, path] of cases) {
      const { code, stdout, stderr } = await hvt([path]);
      expect({ path, code, stdout }).toEqual({ path, code: 1, stdout: "" });
      expect(stderr).toMatch(wanted);
    }
  });
});

describe.skipIf(lacks(needsKvm(), NO_GCC))("solo5-hvt, booting", () => {
  test("memory is rounded down to whole 2 MiB pages, with a warning", async () => {
    const hello = await image("hello");
    for (const [asked, bytes] of [
      [1, 2 << 20],
      [3, 2 << 20],
      [65, 64 << 20],
      [4097, 2 ** 32],
    ]) {
      const { code, stderr, stdout } = await hvt([`--mem=${asked}`, hello, "Hello_Solo5"]);
      expect({ asked, code }).toEqual({ asked, code: 0 });
      expect(stderr).toContain(`adjusting memory to ${bytes} bytes`);
      expect(stdout).toContain("SUCCESS");
    }
  });

  test("a repeated option's last value counts", async () => {
    const exception = await image("exception");
    const { stdout } = await hvt(["--mem=64", "--mem=32", exception, `address=${32 << 20}`]);
    expect(stdout).toContain("cr2 0x2000000");
  });

  test("what stands behind the image is the guest's", async () => {
    const hello = await image("hello");
    const cases: [args: string[], line: string][] = [
      [[hello, "--mem=64"], "--mem=64"],
      [[hello, "--", "x"], "-- x"],
      [["--", hello, "--", "x"], "-- x"],
      [["--mem=32", "--", hello, "--help"], "--help"],
      [["--mem=32", hello, "--version", "--net:x=y"], "--version --net:x=y"],
    ];
    for (const [args, line] of cases) {
      const { code, stdout } = await hvt(args);
      expect({ line, code }).toEqual({ line, code: 2 });
      expect(stdout).toContain(`command line: ${line}\n`);
    }
  });

  test("`robur tender hvt` takes the same options", async () => {
    const { code, stdout } = await run([
      "tender",
      "hvt",
      "--mem=32",
      "--",
      await image("hello"),
      "Hello_Solo5",
    ]);
    expect(code).toBe(0);
    expect(stdout).toContain("SUCCESS");
    const help = await run(["tender", "hvt", "--help"]);
    expect(help.code).toBe(1);
    expect(help.stderr).toContain("usage: solo5-hvt");
  });

  test("an image is read by its descriptor: from a pipe it is refused, by a name with spaces it runs", async () => {
    const here = temporaryDirectory();
    const path = join(here, "my unikernel.hvt");
    writeFileSync(path, await Bun.file(await image("hello")).bytes());
    const { code } = await hvt([path, "Hello_Solo5"]);
    expect(code).toBe(0);
    const piped = await hvt(["/dev/stdin"], { under: ["sh", "-c", 'cat "$1" | "$2" "$3"', "sh", path] });
    expect(piped.code).toBe(1);
    expect(piped.stderr).toContain("not a regular file");
  });
});
