// Every guest of the Solo5 project's own test table for hvt, and what a guest's end looks like from outside.
import { beforeAll, describe, expect, test } from "bun:test";
import { compilerVersion } from "../../guests/build.ts";
import { KVM_IS_PARAVIRTUAL, lacks, needsCommands, needsKvm } from "../../needs.ts";
import { roburExecutable, run } from "../../robur.ts";
import { TENDERS, boot } from "./guest.ts";

const skip = lacks(needsKvm(), compilerVersion() === undefined ? needsCommands("gcc") : undefined);

beforeAll(async () => {
  await roburExecutable();
});

/** Guests that end well and say so. */
const SUCCEED = ["globals", "tls"];
/** Guests that find themselves wrong: an exception they handle, a smashed stack. */
const ABORT = ["abort", "exception", "notls", "ssp", "zeropage"];
/** Guests that write to what is theirs to read only. */
const FAULT = ["xnow", "rnow"];
/** Guests that do what only a processor with protection of its own for guests could keep them from. */
const UNCHECKED: readonly (readonly [guest: string, what: string])[] = [
  ["xnor", "FAILURE: read .text"],
  ["rnox", "FAILURE: executed .rodata"],
  ["wnox", "FAILURE: executed .data"],
];

for (const tender of TENDERS) {
  describe.skipIf(skip)(tender, () => {
    test("hello succeeds with exactly its arguments, and with 4 GiB of memory", async () => {
      for (const memory of [2, 4096]) {
        const { code, stdout, stderr } = await boot(tender, "hello", { args: ["Hello_Solo5"], memory });
        expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
        expect(stdout).toContain("SUCCESS");
      }
      const other = await boot(tender, "hello", { args: ["Hello_Solo6"] });
      expect(other.code).not.toBe(0);
      expect(other.stdout).not.toContain("SUCCESS");
    });

    for (const guest of SUCCEED) {
      test(`${guest} succeeds`, async () => {
        const { code, stdout, stderr } = await boot(tender, guest);
        expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
        expect(stdout).toContain("SUCCESS");
      });
    }

    for (const guest of ABORT) {
      test(`${guest} aborts with status 255`, async () => {
        const { code, signal, stdout, stderr } = await boot(tender, guest);
        expect({ code, signal, stderr }).toEqual({ code: 255, signal: null, stderr: "" });
        expect(stdout).toContain("ABORT");
        expect(stdout).not.toContain("SUCCESS");
      });
    }

    for (const guest of FAULT) {
      test(`${guest} ends with status 1 and a host/guest translation fault`, async () => {
        const { code, signal, stdout, stderr } = await boot(tender, guest);
        expect({ code, signal }).toEqual({ code: 1, signal: null });
        expect(stderr).toContain("host/guest translation fault");
        expect(stdout).not.toMatch(/SUCCESS|FAILURE/);
      });
    }

    for (const [guest, line] of UNCHECKED) {
      test(`${guest} is not stopped: Linux's KVM checks write permission only`, async () => {
        const { code, stdout } = await boot(tender, guest);
        expect(code).toBe(2);
        expect(stdout).toContain(line);
      });
    }

    test("an exception that the guest can't handle ends with status 1 and the reason", async () => {
      for (const args of [[], ["how=ud"]]) {
        const { code, signal, stderr } = await boot(tender, "crash", { args });
        expect({ code, signal }).toEqual({ code: 1, signal: null });
        expect(stderr).toMatch(/unhandled exit 0x8.*rip=0x[0-9a-f]+/);
        expect(stderr).toContain("triple fault");
      }
    });

    test("a guest sees no memory beyond its own", async () => {
      for (const memory of [2, 34, 512]) {
        const first = memory * 1024 * 1024;
        const { code, stdout } = await boot(tender, "exception", { memory, args: [`address=${first}`] });
        expect(code).toBe(255);
        expect(stdout).toContain(`cr2 0x${first.toString(16)}`);
      }
    });

    test("every exit status arrives as it is, without its higher bits", async () => {
      const statuses: [given: number, arrives: number][] = [
        [0, 0],
        [1, 1],
        [63, 63],
        [64, 64],
        [125, 125],
        [128, 128],
        [254, 254],
        [255, 255],
        [256, 0],
        [257, 1],
        [0x7fff_ffff, 255],
        [0xffff_ffff, 255],
        [0xffff_fffe, 254],
        [0x8000_0000, 0],
      ];
      for (const [given, arrives] of statuses) {
        const { code } = await boot(tender, "exit", { args: [`status=${given}`] });
        expect({ given, code }).toEqual({ given, code: arrives });
      }
    });

    test("output of 8 KiB in one call arrives whole and in order", async () => {
      const { code, stdout } = await boot(tender, "output");
      expect(code).toBe(0);
      const numbers = [...stdout.matchAll(/^(\d{3})./gm)].map(([, digits]) => Number(digits));
      expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, i) => i));
      expect(numbers.length).toBeGreaterThan(100);
    });

    test("the tender leaves the guest's log level to the guest", async () => {
      const quiet = await boot(tender, "quiet", { args: ["--solo5:quiet"] });
      expect(quiet.code).toBe(0);
      expect(quiet.output).toContain("SUCCESS");
      expect(quiet.output).not.toContain("Solo5:");
      const loud = await boot(tender, "quiet", { args: [] });
      expect(loud.output).toContain("Solo5:");
    });

    test("images of ABI version 1 run like those of version 2", async () => {
      for (const guest of ["globals", "tls"]) {
        const { code, stdout } = await boot(tender, guest, { build: { abi: 1 } });
        expect({ guest, code }).toEqual({ guest, code: 0 });
        expect(stdout).toContain("SUCCESS");
      }
      const hello = await boot(tender, "hello", { build: { abi: 1 }, args: ["Hello_Solo5"] });
      expect(hello.code).toBe(0);
      const aborted = await boot(tender, "exception", { build: { abi: 1 } });
      expect(aborted.code).toBe(255);
      const fault = await boot(tender, "xnow", { build: { abi: 1 } });
      expect(fault.code).toBe(1);
      expect(fault.stderr).toContain("host/guest translation fault");
    });

    test("the command line is the arguments with single spaces, byte for byte", async () => {
      const cases = [
        [],
        [""],
        ["a"],
        ["a", "", "b  c"],
        ["--ipv4=10.0.0.2/24", "-v", "--", "--mem=64", "--help"],
        ["zażółć", "🐪"],
      ];
      for (const args of cases) {
        const { code, stdout } = await boot(tender, "cmdline", { args });
        expect(code).toBe(0);
        expect(stdout).toContain(describeCommandLine(args.join(" ")));
      }
    });

    test("a command line of 8191 bytes is taken, one of 8192 refused", async () => {
      const longest = "x".repeat(4000).concat(" ", "y".repeat(4190));
      const { stdout, code } = await boot(tender, "cmdline", { args: longest.split(" ") });
      expect(code).toBe(0);
      expect(stdout).toContain(describeCommandLine(longest));
      // The limit is in bytes: the last one has two.
      for (const args of [[longest, ""], [`${longest.slice(0, -1)}é`]]) {
        const refused = await boot(tender, "cmdline", { args });
        expect(refused.code).toBe(tender === "solo5-hvt" ? 1 : 125);
        expect(refused.stderr).toContain("command line too long");
        expect(refused.stderr).toContain("maximum 8191 characters");
        expect(refused.stdout).toBe("");
      }
    });
  });
}

/** What the guest cmdline prints for a command line. */
function describeCommandLine(text: string): string {
  const bytes = Buffer.from(text);
  const crc = Bun.hash.crc32(bytes).toString(16).padStart(8, "0");
  return `size ${bytes.length} crc32 ${crc} last `;
}

describe.skipIf(skip)("hvt", () => {
  test("clocks run at the right speed, and sleeps are as long as they are asked to be", async () => {
    const { code, stdout } = await boot("solo5-hvt", "time", { args: ["sleeps=3"] });
    expect(code).toBe(0);
    expect(stdout).toContain("SUCCESS");
    const slept = [...stdout.matchAll(/slept (\d+) ns, by the wall clock (\d+) ns/g)];
    expect(slept).toHaveLength(3);
    for (const [, monotonic, wall] of slept) {
      expect(Math.abs(Number(monotonic) - 1e9)).toBeLessThan(2e8);
      expect(Math.abs(Number(wall) - 1e9)).toBeLessThan(2e8);
    }
  });

  test("the wall clock of a guest is the host's", async () => {
    const before = Date.now();
    const { stdout } = await boot("solo5-hvt", "time", { args: ["sleeps=0"] });
    const [, text = "0"] = /wall clock: (\d+) ns/.exec(stdout) ?? [];
    const wall = Number(BigInt(text) / 1_000_000n);
    expect(wall).toBeGreaterThanOrEqual(before);
    expect(wall).toBeLessThanOrEqual(Date.now());
  });

  test("poll without network devices is a sleep, and with timeout 0 returns at once", async () => {
    for (const [timeout, least] of [
      ["0", 0],
      ["1", 0],
      ["10000", 10_000],
      ["50000000", 50_000_000],
    ] as const) {
      const options = { args: [`timeout=${timeout}`, "count=3"], build: { defines: ["NETS=0"] } };
      const { code, stdout } = await boot("solo5-hvt", "poll", options);
      expect(code).toBe(0);
      const polls = [...stdout.matchAll(/devices (\d+), ready (\S+), after (\d+) ns/g)];
      expect(polls).toHaveLength(3);
      for (const [, devices, ready, after] of polls) {
        expect([devices, ready]).toEqual(["0", "0x0"]);
        // The guest's clock is a little coarse.
        expect(Number(after)).toBeGreaterThanOrEqual(least * 0.99);
        expect(Number(after)).toBeLessThan(least + 5e9);
      }
    }
  });

  test.skipIf(lacks(KVM_IS_PARAVIRTUAL ? "paravirtual KVM (kvm_pvm) can't do SSE in hvt guests" : undefined))(
    "SSE works",
    async () => {
      const { code, stdout } = await boot("solo5-hvt", "fpu");
      expect(code).toBe(0);
      expect(stdout).toContain("SUCCESS");
    },
  );

  if (KVM_IS_PARAVIRTUAL) {
    test("where KVM can't do SSE, the message says so", async () => {
      const { code, stderr } = await boot("solo5-hvt", "fpu");
      expect(code).toBe(1);
      expect(stderr).toContain("KVM could not emulate an instruction");
      expect(stderr).toContain(".spt");
    });
  }

  test("the built-in hello tells its name, its memory and its arguments", async () => {
    const plain = await run(["run", "hello.hvt"], { cwd: "/" });
    expect(plain.code).toBe(0);
    expect(plain.stdout).toContain("Hello from robur!\nname: hello\nmemory: 512 MiB\narguments: none\n");
    const other = await run(["run", "--memory", "20M", "hello.hvt", "--hello=Moin"], { cwd: "/" });
    expect(other.code).toBe(0);
    expect(other.stdout).toContain("Moin");
    expect(other.stdout).toContain("memory: 20 MiB");
    const help = await run(["run", "hello.hvt", "--help"], { cwd: "/" });
    expect(help.code).toBe(0);
    expect(help.stdout).toContain("--hello=TEXT");
    const unknown = await run(["run", "hello.hvt", "--nope"], { cwd: "/" });
    expect(unknown.code).toBe(64);
  });

  test("an image can't be executed directly", async () => {
    const { buildGuest } = await import("../../guests/build.ts");
    const image = await buildGuest("hello", "hvt");
    const { exitCode, stderr } = Bun.spawnSync(["sh", "-c", '"$0"', image]);
    expect(exitCode).toBe(127);
    expect(stderr.toString()).toMatch(/not found|No such file/i);
  });
});
