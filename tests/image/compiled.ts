/** Programs of known sources, compiled here and now, and what binutils say of them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ImageSource, bytesSource } from "../../src/image/source.ts";

const SOURCES = join(import.meta.dir, "../vectors/elf");
let count = 0;

function perform(command: string[], cwd = SOURCES): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { cwd, stdin: "ignore" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.toString()}`);
  return stdout.toString();
}

/** parts.c as an executable in a folder. */
export function compileC(out: string, ...flags: string[]): string {
  const path = join(out, `parts-${(count += 1)}`);
  perform(["gcc", "-O1", "-o", path, "parts.c", ...flags]);
  return path;
}

/** words.ml and start.ml as a native executable. */
export function compileOcaml(out: string): string {
  const path = join(out, `words-${(count += 1)}`);
  perform(["sh", "-c", 'cp "$0"/*.ml "$1"', SOURCES, out]);
  perform(["ocamlopt", "-g", "-o", path, "words.ml", "start.ml"], out);
  return path;
}

/** What objcopy makes of a file. */
export function objcopy(path: string, ...flags: string[]): string {
  const copy = `${path}-copy-${(count += 1)}`;
  perform(["objcopy", ...flags, path, copy]);
  return copy;
}

export const sourceOf = (path: string): ImageSource => bytesSource(readFileSync(path));

export interface ListedSymbol {
  readonly name: string;
  readonly address: number;
  readonly size: number;
  readonly type: string;
  readonly section: string;
}

/** The symbols that readelf lists. */
export function readelfSymbols(path: string): ListedSymbol[] {
  return perform(["readelf", "-sW", path])
    .split(".symtab")
    .at(-1)!
    .split("\n")
    .flatMap((line) => {
      const [number, address, size, type, , , section, name] = line.trim().split(/\s+/);
      if (!/^\d+:$/.test(number ?? "") || name === undefined) return [];
      return { name, address: Number(`0x${address}`), size: Number(size), type: type!, section: section! };
    });
}

/** Names and sizes of the sections that readelf lists. */
export function readelfSections(path: string): { readonly name: string; readonly size: number }[] {
  return [
    ...perform(["readelf", "-SW", path]).matchAll(
      /^ +\[ *\d+\] (\.?\S+) +\S+ +[0-9a-f]+ [0-9a-f]+ ([0-9a-f]+)/gm,
    ),
  ].map(([, name, size]) => ({ name: name!, size: Number(`0x${size}`) }));
}

/** `file:line` for each address, as addr2line has it; the folder is left out. */
export function addr2line(path: string, addresses: readonly number[]): string[] {
  return perform(["addr2line", "-s", "-e", path, ...addresses.map((address) => `0x${address.toString(16)}`)])
    .trim()
    .split("\n")
    .map((line) => line.replace(/ \(discriminator \d+\)$/, ""));
}
