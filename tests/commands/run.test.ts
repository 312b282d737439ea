// `robur run`: its flags, what it gives to the guest, and which image it takes.
import { describe, expect, test } from "bun:test";
import { copyFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildGuest, compilerVersion } from "../guests/build.ts";
import { lacks, needsCommands, needsKvm } from "../needs.ts";
import { calledAs, run, temporaryDirectory } from "../robur.ts";

const NO_GCC = compilerVersion() === undefined ? needsCommands("gcc") : undefined;
/** A directory without any image in it. */
const empty = temporaryDirectory();

describe("robur run --help", () => {
  test("explains every flag on standard output, with status 0", async () => {
    for (const args of [["--help"], ["-h"], ["--memory", "64M", "--help"]]) {
      const { code, stdout, stderr } = await run(["run", ...args]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toStartWith("robur run [flags] IMAGE");
      const flags = "-m, --memory --net --net-mac --block --block-sector-size --cpu --user --dry-run";
      for (const flag of flags.split(" ")) expect(stdout).toContain(flag);
      expect(stdout).toContain("robur run hello.hvt --hello=Hi");
    }
  });
});

describe("robur run, flags that are wrong", () => {
  const cases: readonly (readonly [args: string[], message: RegExp])[] = [
    [[], /IMAGE is missing[^]*try: robur run hello\.hvt/],
    [["--"], /IMAGE is missing/],
    [["--bogus", "hello.hvt"], /Unknown argument: bogus/],
    [["--memory"], /memory/],
    [["--memory", "64M"], /IMAGE is missing/],
    [["--net", "service", "hello.hvt"], /--net service: wrong form[^]*NAME=TAP/],
    [["--net", "service=@x", "hello.hvt"], /--net service=@x: wrong form/],
    [["--net", "my-net=tap0", "hello.hvt"], /wrong form/],
    [["--block", "storage", "hello.hvt"], /--block storage: wrong form[^]*NAME=FILE/],
    [["--block", "a=x", "--block", "a=y", "hello.hvt"], /--block a= is given twice/],
    [["--block-sector-size", "a=500", "hello.hvt"], /a power of two from 512 to 32768/],
    [["--net-mac", "a=zz", "hello.hvt"], /xx:xx:xx:xx:xx:xx/],
  ];
  for (const [args, message] of cases) {
    test(`${args.join(" ") || "none at all"}: status 2, and what is right instead`, async () => {
      const { code, stdout, stderr } = await run(["run", ...args], { cwd: empty });
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toStartWith("error: ");
      expect(stderr).toMatch(message);
    });
  }
});

describe("robur run --dry-run", () => {
  test("prints the tender's command line and starts nothing", async () => {
    const args = ["--dry-run", "-m", "64M", "hello.hvt", "--hello=Hi"];
    const { code, stdout } = await run(["run", ...args], { cwd: empty });
    expect(code).toBe(0);
    expect(stdout).toBe("robur tender hvt --mem=64 -- hello.hvt --hello=Hi\n");
  });

  test.skipIf(lacks(NO_GCC))("puts the devices in the original's form", async () => {
    const flags = ["--net", "service0=tap7", "--net-mac", "service0=2:0:0:0:0:1"];
    const { stdout } = await run(["run", "--dry-run", ...flags, await buildGuest("net", "hvt")]);
    expect(stdout).toContain(" --net:service0=tap7 --net-mac:service0=02:00:00:00:00:01 -- ");
    const block = ["--block", "storage=/dev/sda", "--block-sector-size=storage=4096"];
    const { stdout: other } = await run(["run", "--dry-run", ...block, await buildGuest("blk", "hvt")]);
    expect(other).toContain(" --block:storage=/dev/sda --block-sector-size:storage=4096 -- ");
  });

  test.skipIf(lacks(NO_GCC, needsKvm()))("prints what a shell runs as it stands", async () => {
    const bin = temporaryDirectory();
    symlinkSync(await calledAs("robur"), join(bin, "robur"));
    const image = join(bin, "it's my guest.hvt");
    copyFileSync(await buildGuest("cmdline", "hvt"), image);
    const args = ["a b", "it's", '"$HOME"', "`id`", "*", "--x=\\n", "", "é", "~"];
    const { stdout } = await run(["run", "--dry-run", "-m", "32M", image, ...args]);
    const path = `${bin}:${process.env["PATH"]}`;
    const shell = Bun.spawnSync(["sh", "-c", stdout], { env: { ...process.env, PATH: path } });
    const direct = await run(["run", "-m", "32M", image, ...args]);
    expect(shell.exitCode).toBe(0);
    expect(shell.stdout.toString()).toBe(direct.stdout);
    expect(direct.stdout).toContain(`size ${Buffer.byteLength(args.join(" "))} `);
  });
});

describe.skipIf(lacks(needsKvm()))("robur run hello.hvt", () => {
  test("takes the built-in image where there is no file of that name, and says so", async () => {
    const { code, stdout, stderr } = await run(["run", "hello.hvt"], { cwd: empty });
    expect(code).toBe(0);
    expect(stdout).toContain("Hello from robur!");
    expect(stderr).toBe("robur: using the built-in hello.hvt (there is no ./hello.hvt)\n");
  });

  test.skipIf(lacks(NO_GCC))("takes ./hello.hvt where it is, and says so", async () => {
    const here = temporaryDirectory();
    copyFileSync(await buildGuest("hello", "hvt"), join(here, "hello.hvt"));
    const { code, stdout, stderr } = await run(["run", "hello.hvt", "Hello_Solo5"], { cwd: here });
    expect(code).toBe(0);
    expect(stdout).toContain("SUCCESS");
    expect(stderr).toBe("robur: using ./hello.hvt\n");
  });

  test("does not fall back to the built-in image where the file is damaged", async () => {
    const here = temporaryDirectory();
    writeFileSync(join(here, "hello.hvt"), "not an image");
    const { code, stdout, stderr } = await run(["run", "hello.hvt"], { cwd: here });
    expect({ code, stdout }).toEqual({ code: 125, stdout: "" });
    expect(stderr).toContain("hello.hvt: not an ELF file");
  });

  test("has a file's name in mind, not the end of a path", async () => {
    const { code, stderr } = await run(["run", "./hello.hvt"], { cwd: empty });
    expect(code).toBe(125);
    expect(stderr).toContain("./hello.hvt: no such file");
  });
});

describe.skipIf(lacks(needsKvm(), NO_GCC))("robur run, arguments of the guest", () => {
  const said = (stdout: string) => /^command line: (.*)$/m.exec(stdout)?.[1];

  test("are everything behind the image, whatever it looks like", async () => {
    const image = await buildGuest("hello", "hvt");
    const cases: (readonly [before: string[], behind: string[], line: string])[] = [
      [[], ["--ipv4=10.0.0.2/24", "-l", "*:debug"], "--ipv4=10.0.0.2/24 -l *:debug"],
      [["-m", "32M"], ["--memory", "64M", "--help", "--unknown"], "--memory 64M --help --unknown"],
      [[], ["--net:service=tap0"], "--net:service=tap0"],
      [[], ["-h"], "-h"],
      // One -- behind the image separates, a second one is the guest's.
      [[], ["--", "a"], "a"],
      [[], ["--", "--", "a"], "-- a"],
      [[], ["a", "--", "b"], "a -- b"],
      [["--"], ["--x"], "--x"],
      [[], [], ""],
    ];
    for (const [before, behind, line] of cases) {
      const { stdout, stderr } = await run(["run", ...before, image, ...behind]);
      expect({ behind, line: said(stdout), stderr }).toEqual({ behind, line, stderr: "" });
    }
  });

  test("decide its exit status: that is robur's too", async () => {
    const image = await buildGuest("exit", "hvt");
    for (const status of [0, 1, 2, 42, 125, 255]) {
      const { code } = await run(["run", image, `status=${status}`]);
      expect(code).toBe(status);
    }
  });

  test("come with the memory asked for, in any unit", async () => {
    const image = await buildGuest("exception", "hvt");
    for (const [memory, mebibytes] of [
      ["32", 32],
      ["32M", 32],
      ["32MiB", 32],
      ["32mb", 32],
      ["0.25G", 256],
      ["65536K", 64],
    ] as const) {
      const first = mebibytes * 1024 * 1024;
      const { stdout } = await run(["run", "--memory", memory, image, `address=${first}`]);
      expect(stdout).toContain(`cr2 0x${first.toString(16)}`);
      const inside = await run(["run", `--memory=${memory}`, image, `address=${first - 64}`]);
      expect(inside.stdout).not.toContain("ABORT");
    }
  });

  test("--cpu keeps the guest on one processor", async () => {
    const image = await buildGuest("hello", "hvt");
    expect((await run(["run", "--cpu", "0", image, "Hello_Solo5"])).code).toBe(0);
    const { code, stderr } = await run(["run", "--cpu", "4000", image]);
    expect(code).toBe(125);
    expect(stderr).toContain("--cpu 4000: no such processor");
  });
});
