// The mistakes that people make with `robur run`, and whether what they read tells them what to do.
import { describe, expect, test } from "bun:test";
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildGuest, compilerVersion } from "../guests/build.ts";
import { NOBODY, lacks, needsCommands, needsKvm, needsRoot } from "../needs.ts";
import { type RunOptions, run, temporaryDirectory } from "../robur.ts";

const NO_GCC = compilerVersion() === undefined ? needsCommands("gcc") : undefined;
const NOT_STARTED = 125;
const here = temporaryDirectory();

/** Runs the image and checks that it did not start: status 125, nothing on standard output, no fault of ours. */
async function refused(args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, signal, stdout, stderr } = await run(["run", ...args], { cwd: here, ...options });
  expect({ args, code, signal, stdout }).toEqual({ args, code: NOT_STARTED, signal: null, stdout: "" });
  expect(stderr).toMatch(/^(robur: .*\n)*error: /);
  expect(stderr).not.toContain("fault in robur itself");
  return stderr;
}

function file(name: string, content: string | Uint8Array): string {
  writeFileSync(join(here, name), content);
  return name;
}

describe("files that are no unikernels", () => {
  test("a file that is missing is named, with something that works", async () => {
    expect(await refused(["website.hvt"])).toBe(
      "error: website.hvt: no such file\n  try: robur run hello.hvt, which is built in\n",
    );
    expect(await refused(["/etc/passwd/website.hvt"])).toContain("no such file");
  });

  test("a directory, and what else is no regular file", async () => {
    mkdirSync(join(here, "folder"));
    expect(await refused(["folder"])).toContain("folder: a directory");
    expect(await refused(["/dev/null"])).toContain("/dev/null: not a regular file");
  });

  test("a file that may not be read", async () => {
    const secret = file("secret.hvt", "x");
    chmodSync(join(here, secret), 0o000);
    const under =
      needsRoot() === undefined
        ? ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"]
        : [];
    const said = await refused([secret], { under });
    expect(said).toContain("secret.hvt: permission denied");
    expect(said).toContain("try: ls -l secret.hvt");
  });

  const others: readonly (readonly [name: string, content: () => string | Uint8Array, message: string])[] = [
    ["an empty file", () => "", "the file is empty"],
    ["a gzip file", () => Bun.gzipSync("x"), "it is gzip-compressed: unpack it with gunzip first"],
    ["a zstd file", () => Bun.zstdCompressSync("x"), "it is zstd-compressed: unpack it with unzstd first"],
    ["an error page", () => "<html>404 Not Found</html>\n", "it looks like text"],
    ["a script", () => "#!/bin/sh\nexit 0\n", "it is a script"],
    ["a zip archive", () => "PK\u0003\u0004x", "it is a zip archive"],
    ["a Windows program", () => "MZ\u0090\0x", "it is a Windows or EFI program"],
    ["random bytes", () => new Uint8Array([1, 2, 3, 250, 0, 7]), "the ELF signature"],
  ];
  for (const [what, content, message] of others) {
    test(`${what} is told from an image`, async () => {
      const said = await refused([file("other", content())]);
      expect(said).toContain("other: ");
      expect(said).toContain(message);
    });
  }

  test("a Linux program is called that", async () => {
    const said = await refused(["/bin/sh"]);
    expect(said).toMatch(/Linux program/);
  });

  test.skipIf(lacks(NO_GCC))("so is one that is no position-independent one, and a static one", async () => {
    file("program.c", "int main(void) { return 0; }\n");
    for (const [flags, message] of [
      [["-no-pie"], /Linux program[^]*run it directly/],
      [["-static", "-no-pie"], /no Solo5 ABI information[^]*static program/],
      [["-static-pie"], /Linux program/],
    ] as const) {
      const built = Bun.spawnSync(["gcc", ...flags, "-o", "program", "program.c"], { cwd: here });
      expect(built.stderr.toString()).toBe("");
      expect(await refused(["program"])).toMatch(message);
    }
  });

  test.skipIf(lacks(NO_GCC))("an object file and a shared library are refused too", async () => {
    file("library.c", "int one(void) { return 1; }\n");
    for (const flags of [["-c"], ["-shared", "-fPIC"]]) {
      Bun.spawnSync(["gcc", ...flags, "-o", "library", "library.c"], { cwd: here });
      expect(await refused(["library"])).toContain("not a unikernel");
    }
  });
});

describe.skipIf(lacks(NO_GCC))("images that can't be run", () => {
  test("one for another target is named with what runs it", async () => {
    for (const [number, target, runs] of [
      [4, "muen", "Muen separation kernel"],
      [5, "genode", "Solo5 gave the Genode target up"],
      [6, "xen", "a Xen host, as a PVH guest"],
      [99, "unknown", "newer than this robur"],
    ] as const) {
      const image = await buildGuest("hello", "hvt", { defines: [`ABI_TARGET=${number}`] });
      const said = await refused([image]);
      expect(said).toContain(`target ${target}`);
      expect(said).toContain(runs);
    }
  });

  test("solo5-hvt refuses the images of the other tenders, by what they are", async () => {
    for (const target of ["spt", "virtio"] as const) {
      const { code, stderr } = await run([await buildGuest("hello", target)], { as: "solo5-hvt" });
      expect(code).toBe(1);
      expect(stderr).toContain(`the image is for the target ${target}, not for hvt`);
      expect(stderr).toContain("what runs it: ");
    }
  });

  test("one for another processor is named with both", async () => {
    const bytes = readFileSync(await buildGuest("hello", "hvt"));
    bytes.writeUInt16LE(process.arch === "x64" ? 183 : 62, 18);
    expect(await refused([file("other.hvt", bytes)])).toMatch(
      /the image is for (aarch64|x86_64), this machine is (x86_64|aarch64)/,
    );
  });

  test("one of an ABI version that nobody knows", async () => {
    const image = await buildGuest("hello", "hvt", { abi: 7 });
    expect(await refused([image])).toContain("requests ABI version 7 of hvt, known are 1 and 2");
  });

  test("one that was cut off anywhere, and one with a byte changed anywhere in its headers", async () => {
    const bytes = readFileSync(await buildGuest("blk", "hvt"));
    for (let size = 1; size < bytes.length; size += size < 700 ? 37 : 900) {
      // Section headers at the end are nobody's business.
      if (size > bytes.length - 4096) break;
      await refused([file("cut.hvt", bytes.subarray(0, size))]);
    }
    for (const [at, value] of [
      [4, 1],
      [5, 2],
      [16, 3],
      [18, 40],
      [20, 2],
      [52, 0],
      [54, 32],
      [56, 0],
      [33, 0xff],
      [39, 0xff],
    ] as const) {
      const changed = Buffer.from(bytes);
      changed[at] = value;
      await refused([file("changed.hvt", changed)]);
    }
  });
});

describe.skipIf(lacks(NO_GCC))("devices that don't fit", () => {
  test("devices that nobody gave are listed with the flags that give them", async () => {
    const net = await refused(["--no-network", await buildGuest("net", "hvt")]);
    expect(net).toContain("'service0'");
    expect(net).toContain("--net service0=TAP");
    const block = await refused([await buildGuest("blk", "hvt")]);
    expect(block).toContain("--block storage=FILE");
    const two = await refused(["--no-network", "--net", "service0=@0", await buildGuest("net_2if", "hvt")]);
    expect(two).toContain("--net service1=TAP");
    expect(two).not.toContain("service0=");
  });

  test("devices that the image doesn't have are named beside those that it has", async () => {
    const said = await refused(["--no-network", "--net", "web=tap0", await buildGuest("net_2if", "hvt")]);
    expect(said).toContain("network device 'web'");
    expect(said).toContain("it declares: service0, service1");
    file("disk.img", new Uint8Array(4096));
    const none = await refused(["--block", "storage=./disk.img", await buildGuest("hello", "hvt")]);
    expect(none).toContain("the unikernel has no devices");
  });

  test("a tap or file that is missing comes with the command that makes it", async () => {
    const image = await buildGuest("net", "hvt");
    for (const flags of [["--no-network"], []]) {
      const net = await refused([...flags, "--net", "service0=nosuchtap", image], { limit: 15_000 });
      expect(net).toContain("nosuchtap");
      expect(net).toContain("ip tuntap add nosuchtap mode tap");
    }
    const block = await refused(["--block", "storage=./missing.img", await buildGuest("blk", "hvt")]);
    expect(block).toContain("missing.img: No such file or directory");
    expect(block).toContain("truncate --size 16M ./missing.img");
  });
});

describe("memory that makes no sense", () => {
  for (const memory of ["0", "0M", "NaN", "64x", "1e3", "", "lots", "0.0001K"]) {
    test(`${memory === "" ? "nothing" : memory} is refused with an example`, async () => {
      const said = await refused(["--memory", memory, "hello.hvt"]);
      expect(said).toContain(`--memory ${memory}: not a size greater than zero`);
      expect(said).toContain("try: --memory 64M");
    });
  }

  test("more than the host has is refused with what it has", async () => {
    expect(await refused(["--memory", "900T", "hello.hvt"])).toMatch(
      /--memory 900T is more than this machine has \(\S+ [GM]iB\)/,
    );
  });
});

/** Without KVM to begin with, there is nothing to take away. */
describe.skipIf(lacks(needsKvm(), needsRoot(), needsCommands("setpriv", "unshare")))("/dev/kvm", () => {
  const hello = ["hello.hvt"];

  test("that may not be opened: the group and the command are named", async () => {
    const under = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
    // In a mount namespace of its own, where the device is root's alone.
    const closed = 'mount --bind "$0" /dev/kvm && exec "$@"';
    const device = join(here, "kvm");
    Bun.spawnSync(["mknod", device, "c", "10", "232"]);
    chmodSync(device, 0o600);
    const said = await refused(hello, {
      under: ["unshare", "--mount", "sh", "-c", closed, device, ...under],
    });
    expect(said).toContain("/dev/kvm: permission denied");
    expect(said).toContain("its group");
    expect(said).toContain("usermod -aG kvm");
    expect(said).toContain(".spt");
  });

  test("that is missing: what may be switched off, and what runs all the same", async () => {
    const bare = 'mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && exec "$@"';
    const said = await refused(hello, { under: ["unshare", "--mount", "sh", "-c", bare, "sh"] });
    expect(said).toContain("/dev/kvm does not exist");
    expect(said).toContain("modprobe kvm_intel");
    expect(said).toContain(".spt");
  });

  test("that may be opened is enough: nobody needs root to run a unikernel", async () => {
    const device = join(here, "kvm-for-all");
    Bun.spawnSync(["mknod", "-m", "666", device, "c", "10", "232"]);
    const open = 'mount --bind "$0" /dev/kvm && exec "$@"';
    const user = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
    const { code, stdout } = await run(["run", "hello.hvt"], {
      cwd: "/",
      under: ["unshare", "--mount", "sh", "-c", open, device, ...user],
    });
    expect(code).toBe(0);
    expect(stdout).toContain("Hello from robur!");
  });

  test.skipIf(lacks(NO_GCC))("is not needed to find that an image is no good", async () => {
    const bare = 'mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && exec "$@"';
    copyFileSync(await buildGuest("net", "hvt"), join(here, "net.hvt"));
    const said = await refused(["--no-network", "net.hvt"], {
      under: ["unshare", "--mount", "sh", "-c", bare, "sh"],
    });
    expect(said).toContain("--net service0=TAP");
  });
});
