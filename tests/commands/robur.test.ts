// The command `robur` itself: its help, its version, and names that don't exist.
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { writeFileSync } from "node:fs";
import { run, temporaryDirectory } from "../robur.ts";

describe("robur", () => {
  test("--help lists the commands on standard output, with status 0", async () => {
    for (const flag of ["--help", "-h"]) {
      const { code, stdout, stderr } = await run([flag]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      for (const command of ["run", "tender", "image", "doctor"]) expect(stdout).toContain(`\n  ${command} `);
      expect(stdout).toContain("robur run hello.hvt");
    }
  });

  test("without arguments prints the same on standard error, with status 2", async () => {
    const { code, stdout, stderr } = await run([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("robur COMMAND");
  });

  test("--version prints version and commit", async () => {
    for (const args of [["--version"], ["version"]]) {
      const { code, stdout, stderr } = await run(args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toMatch(/^robur \d+\.\d+\.\d+ \(commit ([0-9a-f]{40}(-dirty)?|unknown)\)\n$/);
    }
  });

  test("suggests the command that was meant, with status 2", async () => {
    for (const [typed, meant] of [
      ["rnu", "run"],
      ["docter", "doctor"],
      ["imgae", "image"],
    ] as const) {
      const { code, stdout, stderr } = await run([typed]);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toContain(`Did you mean ${meant}?`);
    }
  });

  test("a name that resembles none is an error with status 2", async () => {
    for (const args of [["frobnicate"], ["--frobnicate"], ["hello.hvt"], ["constructor"], ["__proto__"]]) {
      const { code, stdout, stderr } = await run(args);
      expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: "" });
      expect(stderr).toStartWith("error: ");
      expect(stderr).not.toContain("fault in robur itself");
    }
  });

  test("reads no settings of the directory it is called in", async () => {
    const here = temporaryDirectory();
    writeFileSync(join(here, ".env"), "ROBUR_DATA_DIR=/from/dotenv\n");
    writeFileSync(join(here, "bunfig.toml"), 'preload = ["./missing.ts"]\n');
    writeFileSync(join(here, "package.json"), "{ broken");
    const { code, stdout } = await run(["doctor"], { cwd: here, env: { ROBUR_DATA_DIR: undefined } });
    expect(code).toBeLessThan(2);
    expect(stdout).not.toContain("/from/dotenv");
  });

  test("tender names its kinds", async () => {
    const help = await run(["tender", "--help"]);
    expect(help.code).toBe(0);
    expect(help.stdout).toContain("robur tender hvt");
    for (const args of [["tender"], ["tender", "xen"]]) {
      const { code, stderr } = await run(args);
      expect(code).toBe(2);
      expect(stderr).toContain("try: robur tender hvt --help");
    }
  });
});
