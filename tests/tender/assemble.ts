// Machine code by the GNU assembler, to hold hand-written bytes against.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Architecture, HOST_ARCHITECTURE } from "../../src/lib/architecture.ts";

/** The name of a binutils program for an architecture, or undefined where it isn't installed. */
function tool(name: string, architecture: Architecture): string | undefined {
  const own = architecture === HOST_ARCHITECTURE ? [name] : [];
  return [...own, `${architecture}-linux-gnu-${name}`].find((candidate) => Bun.which(candidate) !== null);
}

/** Why `assemble` can't be used for an architecture; undefined where it can. */
export function needsAssembler(architecture: Architecture): string | undefined {
  const found = ["as", "objcopy"].every((name) => tool(name, architecture) !== undefined);
  return found ? undefined : `not installed: binutils for ${architecture}`;
}

/** The bytes that the assembler makes of a source whose text is in .text. */
export function assemble(source: string, architecture: Architecture): Uint8Array {
  const directory = mkdtempSync(join(tmpdir(), "robur as "));
  try {
    const [input, object, output] = ["code.s", "code.o", "code.bin"].map((name) => join(directory, name));
    writeFileSync(input!, source);
    for (const command of [
      [tool("as", architecture)!, "-o", object!, input!],
      [tool("objcopy", architecture)!, "-O", "binary", "-j", ".text", object!, output!],
    ]) {
      const { exitCode, stderr } = Bun.spawnSync(command);
      if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.toString()}`);
    }
    return new Uint8Array(readFileSync(output!));
  } finally {
    rmSync(directory, { recursive: true });
  }
}
