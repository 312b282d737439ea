// Core files of guests that abort: made only when asked for and only then, and read by the tools people have.
import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildGuest, compilerVersion } from "../../guests/build.ts";
import { NOBODY, lacks, needsCommands, needsKvm, needsRoot } from "../../needs.ts";
import { temporaryDirectory } from "../../robur.ts";
import { type BootOptions, type Tender, boot } from "./guest.ts";

const NO_GCC = compilerVersion() === undefined ? needsCommands("gcc") : undefined;
const skip = lacks(needsKvm(), NO_GCC);

const MEMORY = 32;
/** Headers and note; guest address 0 lies behind them. */
const HEADERS = 0x214;

const scratch = temporaryDirectory();
let count = 0;

function directory(): string {
  const path = join(scratch, `cores${count++}`);
  mkdirSync(path);
  return path;
}

const DEBUGGING: readonly (readonly [tender: Tender, flags: (path: string) => BootOptions])[] = [
  ["solo5-hvt", (path) => ({ as: "solo5-hvt-debug", flags: [`--dumpcore=${path}`] })],
  ["robur run", (path) => ({ flags: ["--dumpcore", path] })],
];

/** Runs the guest and answers the core file's path, as the last word of the line that announces it. */
async function dump(tender: Tender, options: BootOptions, ...args: string[]) {
  const ended = await boot(tender, "dumpcore", { ...options, args, memory: MEMORY });
  const path = /(\S*core\.solo5-hvt\.\d+)$/m.exec(ended.stderr)?.[1] ?? "";
  return { ...ended, path };
}

function gdb(image: string, core: string, ...commands: string[]): string {
  const steps = commands.flatMap((command) => ["-ex", command]);
  return Bun.spawnSync(["gdb", "-nx", "-batch", ...steps, image, core]).stdout.toString();
}

for (const [tender, flagsFor] of DEBUGGING) {
  describe.skipIf(skip)(`${tender}, core files`, () => {
    test("a guest that aborts leaves one, and its status stays 255", async () => {
      const cores = directory();
      const { code, stderr, path } = await dump(tender, flagsFor(cores));
      expect(code).toBe(255);
      expect(stderr).toMatch(/dumped \d+ pages of total 8192 pages/);
      expect(path).toStartWith(`${cores}/core.solo5-hvt.`);
      expect(readdirSync(cores)).toHaveLength(1);
      const { size, mode, blocks } = statSync(path);
      expect(size).toBe(HEADERS + MEMORY * 1024 * 1024);
      expect(mode & 0o777).toBe(0o600);
      // Memory that was never touched takes no room.
      expect(blocks * 512).toBeLessThan(4 * 1024 * 1024);
    });

    test("a guest that ends in any other way leaves none", async () => {
      const cores = directory();
      for (const [guest, args] of [
        ["exit", ["status=254"]],
        ["exit", ["status=0"]],
        ["xnow", []],
        ["crash", []],
      ] as const) {
        await boot(tender, guest, { ...flagsFor(cores), args });
      }
      expect(readdirSync(cores)).toEqual([]);
    });

    test("a directory that can't be written to is refused before the guest starts", async () => {
      for (const path of [join(scratch, "missing"), "/dev/null"]) {
        const { code, stdout, stderr } = await boot(tender, "dumpcore", flagsFor(path));
        expect({ path, code, stdout }).toEqual({ path, code: tender === "solo5-hvt" ? 1 : 125, stdout: "" });
        expect(stderr).toContain(`cannot write core files to ${path}`);
      }
    });

    test.skipIf(lacks(needsCommands("gdb")))("gdb reads registers and memory from it", async () => {
      const { path, stdout } = await dump(tender, flagsFor(directory()));
      const image = await buildGuest("dumpcore", "hvt");
      const page = /page at (0x[0-9a-f]+)/.exec(stdout)?.[1];
      const said = gdb(image, path, "info registers", `x/s ${page}`, `p $rip`);
      const registers: [name: string, value: string][] = [
        ["rbx", "b0"],
        ["rcx", "c0"],
        ["rsi", "51"],
        ["rdi", "d1"],
        ["rbp", "b9"],
        ["r10", "10"],
        ["r11", "11"],
        ["r12", "12"],
        ["r13", "13"],
        ["r14", "14"],
        ["r15", "15"],
      ];
      for (const [name, byte] of registers) {
        expect(said).toMatch(new RegExp(`^${name} +0x${byte.repeat(8)}\\b`, "m"));
      }
      expect(said).toMatch(/^r8 +0x808080808080808\b/m);
      expect(said).toContain('"robur core page\\nrobur core page\\n');
      // It stood in run(), and its segments are the ones that the tender set up.
      expect(said).toMatch(/#0 .* in run \(\)/);
      expect(said).toMatch(/^cs +0x8\b/m);
      expect(said).toMatch(/^rsp +0x1ff/m);
    });

    test.skipIf(lacks(needsCommands("gdb")))("after an exception it shows where the guest was", async () => {
      const { path, stdout } = await dump(tender, flagsFor(directory()), "trap");
      const rip = /at rip (0x[0-9a-f]+)/.exec(stdout)?.[1] ?? "none";
      const rsp = /rsp (0x[0-9a-f]+)/.exec(stdout)?.[1] ?? "none";
      const said = gdb(await buildGuest("dumpcore", "hvt"), path, "p/x $rip", "p/x $rsp");
      expect(said).toContain(`= ${rip}\n`);
      expect(said).toContain(`= ${rsp}\n`);
    });

    test.skipIf(lacks(needsCommands("readelf")))("readelf finds nothing wrong with it", async () => {
      const { path } = await dump(tender, flagsFor(directory()));
      const { stdout, stderr } = Bun.spawnSync(["readelf", "-hln", path]);
      expect(stderr.toString()).toBe("");
      for (const words of ["CORE (Core file)", "X86-64", "NT_PRSTATUS (prstatus structure)"]) {
        expect(stdout.toString()).toContain(words);
      }
    });

    test("memory is in it from address 0 on", async () => {
      const { path, stdout } = await dump(tender, flagsFor(directory()));
      const page = Number(/page at (0x[0-9a-f]+)/.exec(stdout)?.[1]);
      const bytes = await Bun.file(path)
        .slice(HEADERS + page, HEADERS + page + 16)
        .text();
      expect(bytes).toBe("robur core page\n");
      // Boot info begins with the size of memory.
      const info = await Bun.file(path)
        .slice(HEADERS + 0x10000, HEADERS + 0x10008)
        .arrayBuffer();
      expect(new DataView(info).getBigUint64(0, true)).toBe(BigInt(MEMORY) << 20n);
    });
  });
}

describe.skipIf(skip)("core files", () => {
  test("solo5-hvt has no such option, only solo5-hvt-debug", async () => {
    const { code, stderr } = await boot("solo5-hvt", "dumpcore", { flags: [`--dumpcore=${scratch}`] });
    expect(code).toBe(1);
    expect(stderr).toContain("Invalid option: --dumpcore=");
  });

  test("a file that is there already is left alone", async () => {
    // The name has the process's id in it, so every one that it may get is taken beforehand.
    const cores = directory();
    const script = 'for i in $(seq $$ $(($$ + 3))); do echo mine >"$0/core.solo5-hvt.$i"; done; exec "$@"';
    const { code, stderr } = await dump("solo5-hvt", {
      as: "solo5-hvt-debug",
      flags: [`--dumpcore=${cores}`],
      under: ["sh", "-c", script, cores],
    });
    expect(code).toBe(255);
    expect(stderr).toContain("File exists");
    for (const name of readdirSync(cores)) expect(await Bun.file(join(cores, name)).text()).toBe("mine\n");
  });

  test.skipIf(lacks(needsRoot(), needsCommands("setpriv")))(
    "a user can't leave one where they may not write",
    async () => {
      const cores = directory();
      chmodSync(cores, 0o755);
      writeFileSync(join(cores, "kept"), "");
      const { code, stderr } = await boot("robur run", "dumpcore", {
        flags: ["--dumpcore", cores],
        under: ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"],
      });
      expect(code).toBe(125);
      expect(stderr).toContain(`cannot write core files to ${cores}`);
      expect(existsSync(join(cores, "kept"))).toBe(true);
    },
  );
});
