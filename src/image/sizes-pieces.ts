/**
 * Cuts what a program loads into pieces of which each byte belongs to exactly one: a symbol, or a gap between
 * symbols. OCaml's data has symbols without a size: each reaches to the next.
 */
import { demangleOcaml } from "./ocaml-symbols.ts";
import { SHF_ALLOC, SHF_EXECINSTR, type Section, type SectionTable } from "./sections.ts";
import { type ElfSymbol, readSymbols } from "./symbols.ts";
import type { ImageSource } from "./source.ts";
import { type UnitRanges, findUnits } from "./sizes-units.ts";

export interface Piece {
  readonly section: Section;
  readonly address: number;
  readonly size: number;
  /** Undefined for a gap. */
  readonly symbol: ElfSymbol | undefined;
}

export interface Pieces {
  readonly pieces: readonly Piece[];
  readonly units: UnitRanges;
}

/** Sections whose bytes the program needs, each with bytes in the file (or had, before they were cut off). */
export function loadedSections({ sections }: SectionTable): Section[] {
  // `objcopy --only-keep-debug` leaves the sections there, without their bytes.
  const isDebugOnly = sections.some(
    ({ flags, hasBytes, size }) => (flags & SHF_EXECINSTR) !== 0 && !hasBytes && size > 0,
  );
  return sections.filter(
    ({ flags, size, hasBytes, name }) =>
      (flags & SHF_ALLOC) !== 0 && size > 0 && (hasBytes || (isDebugOnly && !/^\.t?bss\b/.test(name))),
  );
}

/** Cuts all loaded sections. Throws ImageError invalid-elf. */
export function cutPieces(source: ImageSource, table: SectionTable): Pieces {
  const loaded = loadedSections(table);
  const inside = new Map<Section, ElfSymbol[]>(loaded.map((section) => [section, []]));
  const all: ElfSymbol[] = [];
  for (const symbol of readSymbols(source, table)) {
    if (symbol.section === undefined || symbol.type === "section" || symbol.type === "tls") continue;
    if (symbol.name === "" || /^(?:\$[adtx](?:\.|$)|\.L)/.test(symbol.name)) continue;
    all.push(symbol);
    const section = table.sections[symbol.section] ?? loaded.find((one) => isIn(one, symbol.address));
    if (section !== undefined) inside.get(section)?.push(symbol);
  }
  const units = findUnits(all);
  const pieces = loaded.flatMap((section) => cutSection(section, inside.get(section)!, units));
  return { pieces, units };
}

function isIn({ address, size }: Section, at: number): boolean {
  return at >= address && at < address + size;
}

function cutSection(section: Section, symbols: ElfSymbol[], units: UnitRanges): Piece[] {
  symbols.sort((a, b) => a.address - b.address || preference(b) - preference(a) || b.size - a.size);
  const end = section.address + section.size;
  const isCode = (section.flags & SHF_EXECINSTR) !== 0;
  const pieces: Piece[] = [];
  let cursor = section.address;
  const put = (to: number, symbol: ElfSymbol | undefined) => {
    if (to <= cursor) return;
    pieces.push({ section, address: cursor, size: to - cursor, symbol });
    cursor = to;
  };
  for (let i = 0; i < symbols.length; i++) {
    const symbol = symbols[i]!;
    if (symbol.address >= end) break;
    const first = i;
    while (symbols[i + 1]?.address === symbol.address) i++;
    const chosen = bestOf(symbols, first, i);
    const next = Math.min(end, symbols[i + 1]?.address ?? end);
    const reaches = !isCode && isOcaml(chosen, units) ? next : chosen.address;
    const stop = chosen.size > 0 ? chosen.address + chosen.size : reaches;
    if (stop <= chosen.address) continue;
    put(Math.min(chosen.address, end), undefined);
    put(Math.min(stop, end), chosen);
  }
  put(end, undefined);
  return pieces;
}

/** Of several names of one address: the largest, which the others lie in; then the one that says most. */
function bestOf(symbols: readonly ElfSymbol[], first: number, last: number): ElfSymbol {
  let best = symbols[first]!;
  for (let i = first + 1; i <= last; i++) if (symbols[i]!.size > best.size) best = symbols[i]!;
  return best;
}

/** Functions and objects before mere labels, names for all before local ones. */
function preference({ type, isLocal }: ElfSymbol): number {
  return (type === "function" || type === "object" ? 2 : 0) + (isLocal ? 0 : 1);
}

function isOcaml({ name, address }: ElfSymbol, units: UnitRanges): boolean {
  return (
    /^caml(_startup|_system|[A-Z])/.test(name) &&
    (units.at(address) !== undefined || demangleOcaml(name) !== undefined)
  );
}
