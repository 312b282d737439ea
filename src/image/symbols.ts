/**
 * The table of symbols (.symtab) of an ELF file, read piece by piece. A hostile one may have millions of symbols
 * whose names all lie over each other: what is read in all is bounded. Names are those of elf(5).
 */
import { MIB } from "../lib/units.ts";
import { ImageError } from "./image-error.ts";
import { SHT_SYMTAB, type SectionTable, contentOf, textAt } from "./sections.ts";
import { type ImageSource, fieldsOf, u64 } from "./source.ts";

const SYMBOL_SIZE = 24;
/** Symbols read in one go. */
const PIECE = 1 << 14;
/** Twenty times what the largest unikernels have. */
const MOST_SYMBOLS = 2_000_000;
const LONGEST_NAME = 4096;
const LARGEST_NAMES = 256 * MIB;

const STT_FILE = 4;
const SHN_LORESERVE = 0xff00;
const SHN_XINDEX = 0xffff;

export type SymbolType = "none" | "object" | "function" | "section" | "tls" | "other";
/** By the number in the file. 10 is a function that finds its code as the program starts (STT_GNU_IFUNC). */
const TYPES: Readonly<Record<number, SymbolType>> = {
  0: "none",
  1: "object",
  2: "function",
  3: "section",
  6: "tls",
  10: "function",
};

export interface ElfSymbol {
  readonly name: string;
  readonly address: number;
  /** Zero where the assembler was told none. */
  readonly size: number;
  readonly type: SymbolType;
  readonly isLocal: boolean;
  /** The index of its section; undefined for absolute and missing ones. */
  readonly section: number | undefined;
  /** Of a local symbol: the source file's name, without its folder, where the linker noted it. */
  readonly file: string | undefined;
}

/** Whether there are names at all; `strip` takes them away. */
export function hasSymbols({ sections }: SectionTable): boolean {
  return sections.some(({ type, size, hasBytes }) => type === SHT_SYMTAB && hasBytes && size > SYMBOL_SIZE);
}

/** All symbols but file names, in the file's order. Throws ImageError invalid-elf. */
export function* readSymbols(source: ImageSource, table: SectionTable): Generator<ElfSymbol, void> {
  const symbols = table.sections.find(({ type, hasBytes }) => type === SHT_SYMTAB && hasBytes);
  if (symbols === undefined) return;
  const count = Math.floor(symbols.size / SYMBOL_SIZE);
  if (count > MOST_SYMBOLS) invalid(`${count} symbols, more than ${MOST_SYMBOLS}`);
  const strings = readNames(source, table, symbols.link);
  const entries = contentOf(source, symbols);
  let file: string | undefined;
  let named = 0;
  for (let first = 0; first < count; first += PIECE) {
    const length = Math.min(PIECE, count - first) * SYMBOL_SIZE;
    const bytes = entries.read(first * SYMBOL_SIZE, length);
    if (bytes.length < length) invalid("the file ends inside its symbols");
    const view = fieldsOf(bytes);
    for (let at = 0; at < length; at += SYMBOL_SIZE) {
      const name = textAt(strings, view.getUint32(at, true), LONGEST_NAME);
      named += name.length;
      if (named > LARGEST_NAMES) invalid("the names of its symbols lie over each other");
      const info = bytes[at + 4]!;
      const isLocal = info >> 4 === 0;
      if ((info & 15) === STT_FILE) {
        file = name === "" ? undefined : name;
        continue;
      }
      const index = view.getUint16(at + 6, true);
      yield {
        name,
        address: u64(view, at + 8),
        size: u64(view, at + 16),
        type: TYPES[info & 15] ?? "other",
        isLocal,
        section: index === 0 || (index >= SHN_LORESERVE && index !== SHN_XINDEX) ? undefined : index,
        file: isLocal ? file : undefined,
      };
    }
  }
}

function readNames(source: ImageSource, { sections }: SectionTable, index: number): Uint8Array {
  const strings = sections[index];
  if (strings === undefined || !strings.hasBytes) return invalid("the names of its symbols are missing");
  if (strings.size > LARGEST_NAMES) invalid("the names of its symbols take more than 256 MiB");
  const content = contentOf(source, strings);
  return content.read(0, content.size);
}

function invalid(what: string): never {
  throw new ImageError("invalid-elf", `invalid ELF file: ${what}`);
}
