import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Architecture } from "../../../src/lib/architecture.ts";
import { HOST_ARCHITECTURE } from "../../../src/lib/architecture.ts";
import { lacks } from "../../needs.ts";
import { codeBytes, launcherCode, reasonTable } from "../../../src/tender/spt/launcher.ts";

const SOURCES = join(import.meta.dir, "../../../src/tender/spt");

/** The GNU tool for a target, where it is installed. */
function tool(architecture: Architecture, name: string): string | undefined {
  const own = architecture === HOST_ARCHITECTURE ? Bun.which(name) : null;
  return own ?? Bun.which(`${architecture}-linux-gnu-${name}`) ?? undefined;
}

describe.each(["x86_64", "aarch64"] as const)("the launcher's code for %s", (architecture) => {
  const as = tool(architecture, "as");
  const objcopy = tool(architecture, "objcopy");
  const needed = architecture === HOST_ARCHITECTURE ? "binutils" : `binutils-${architecture}-linux-gnu`;
  const cannotAssemble = lacks(
    as === undefined || objcopy === undefined
      ? `${needed} is not installed, which assembles its launcher`
      : undefined,
  );

  test.skipIf(cannotAssemble)("is what its source assembles to", () => {
    const directory = mkdtempSync(join(tmpdir(), "launcher-"));
    try {
      const object = join(directory, "launcher.o");
      const binary = join(directory, "launcher.bin");
      const source = join(SOURCES, `launcher-${architecture}.S`);
      for (const command of [
        [as!, "-o", object, source],
        [objcopy!, "-O", "binary", "-j", ".text", object, binary],
      ]) {
        const { exitCode, stderr } = Bun.spawnSync(command);
        expect([exitCode, stderr.toString()]).toEqual([0, ""]);
      }
      expect(codeBytes(architecture).toHex()).toBe(readFileSync(binary).toString("hex"));
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test("has its two addresses behind it", () => {
    const bare = codeBytes(architecture);
    const code = launcherCode(architecture, 0x60_0000_1234, 0x60_0000_5678);
    const view = new DataView(code.buffer);
    expect(code.subarray(0, bare.length)).toEqual(bare);
    expect(view.getBigUint64(bare.length, true)).toBe(0x60_0000_1234n);
    expect(view.getBigUint64(bare.length + 8, true)).toBe(0x60_0000_5678n);
  });
});

test("the reasons are 40 bytes each, their length first", () => {
  const table = reasonTable();
  const reason = (errno: number) => {
    const at = errno * 40;
    return new TextDecoder().decode(table.subarray(at + 1, at + 1 + table[at]!));
  };
  expect(table.length).toBe(41 * 40);
  expect(reason(0)).toBe("cut short\n");
  expect(reason(1)).toBe("Operation not permitted\n");
  expect(reason(12)).toBe("Cannot allocate memory\n");
  expect(reason(40)).toBe("Too many levels of symbolic links\n");
  for (let errno = 0; errno <= 40; errno++) expect(reason(errno)).toMatch(/^[ -~]+\n$/);
});
