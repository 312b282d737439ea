/**
 * Which source line each address was made from: the line programs of .debug_line, versions 2 to 5 of DWARF (its
 * section 6.2), from GCC, LLVM and OCaml's compiler. A unit that makes no sense is left out and counted; the
 * others still count. Every opcode takes a byte, so a hostile program ends with its bytes.
 */
import { MIB } from "../lib/units.ts";
import { type LineUnit, readLineUnit } from "./debug-lines-header.ts";
import { ByteReader } from "./debug-lines-reader.ts";
import { type SectionTable, contentOf, findSection } from "./sections.ts";
import { type ImageSource, bytesSource } from "./source.ts";

export interface SourceLine {
  /** As the compiler was given it, with its folder where that is known. */
  readonly file: string;
  /** 0 where the compiler named none. */
  readonly line: number;
}

export interface LineTable {
  /** The line of exactly the code at an address; undefined where there is none. */
  find(address: number): SourceLine | undefined;
  /** Bytes by source file of the code in [from, to). */
  filesBetween(from: number, to: number): ReadonlyMap<string, number>;
  readonly rows: number;
  /** Units left out because they are damaged or of an unknown kind. */
  readonly damaged: number;
}

/** A unit of OCaml has some hundred KiB at most. */
const LARGEST_UNIT = 64 * MIB;
/** 16 bytes each. */
const MOST_ROWS = 6_000_000;
const MOST_FILES = 200_000;

/** The lines of an ELF file; undefined where it has no .debug_line. Throws ImageError invalid-elf. */
export function readLines(source: ImageSource, table: SectionTable): LineTable | undefined {
  const section = findSection(table, ".debug_line");
  if (section === undefined) return undefined;
  const strings = (name: string) => {
    const found = findSection(table, name);
    return found === undefined ? bytesSource(new Uint8Array(0)) : contentOf(source, found);
  };
  return parseLines(contentOf(source, section), {
    lines: strings(".debug_line_str"),
    all: strings(".debug_str"),
  });
}

/** Strings that version 5 keeps elsewhere: .debug_line_str and .debug_str. */
export interface LineStrings {
  readonly lines: ImageSource;
  readonly all: ImageSource;
}

/** The same over a section's bare content. Never throws for what stands in it. */
export function parseLines(content: ImageSource, strings: LineStrings): LineTable {
  const rows = new Rows();
  let damaged = 0;
  let at = 0;
  while (at + 4 <= content.size && !rows.isFull) {
    const start = new ByteReader(content.read(at, 12));
    const is64 = start.u32() === 0xffff_ffff;
    if (is64 && content.size - at < 12) break;
    const length = is64 ? start.u64() : new ByteReader(content.read(at, 4)).u32();
    const head = is64 ? 12 : 4;
    if (at + head + length > content.size) {
      damaged++;
      break;
    }
    if (length > LARGEST_UNIT || !readUnit(content.read(at + head, length), is64, strings, rows)) damaged++;
    at += head + length;
  }
  return rows.finish(damaged);
}

/** False where the unit is damaged; the sequences before the damage count. */
function readUnit(bytes: Uint8Array, is64: boolean, strings: LineStrings, rows: Rows): boolean {
  const reader = new ByteReader(bytes);
  const unit = readLineUnit(reader, is64, strings);
  if (unit === undefined) return false;
  return runProgram(reader, unit, rows) && !reader.isOver;
}

/** Standard and extended opcodes that are known here; others are skipped by the number of their arguments. */
const OP = {
  copy: 1,
  advancePc: 2,
  advanceLine: 3,
  setFile: 4,
  constAddPc: 8,
  fixedAdvancePc: 9,
} as const;
const EXTENDED = { endSequence: 1, setAddress: 2, defineFile: 3 } as const;

function runProgram(reader: ByteReader, unit: LineUnit, rows: Rows): boolean {
  const { lineBase, lineRange, opcodeBase, step } = unit;
  let address = 0;
  let file = 1;
  let line = 1;
  const advance = (adjusted: number) => {
    address += step * Math.floor(adjusted / lineRange);
  };
  const row = () => rows.add(address, unit, file, line);
  while (!reader.isAtEnd) {
    const opcode = reader.u8();
    if (opcode >= opcodeBase) {
      advance(opcode - opcodeBase);
      line += lineBase + ((opcode - opcodeBase) % lineRange);
      row();
    } else if (opcode === 0) {
      const length = reader.uleb();
      const next = reader.at + length;
      if (length === 0 || next > reader.size) return false;
      const extended = reader.u8();
      if (extended === EXTENDED.endSequence) {
        rows.end(address);
        address = 0;
        file = 1;
        line = 1;
      } else if (extended === EXTENDED.setAddress) {
        address = length === 9 ? reader.u64() : length === 5 ? reader.u32() : 0;
      } else if (extended === EXTENDED.defineFile) {
        unit.define(reader);
      }
      reader.at = next;
    } else if (opcode === OP.copy) row();
    else if (opcode === OP.advancePc) address += step * reader.uleb();
    else if (opcode === OP.advanceLine) line += reader.sleb();
    else if (opcode === OP.setFile) file = reader.uleb();
    else if (opcode === OP.constAddPc) advance(255 - opcodeBase);
    else if (opcode === OP.fixedAdvancePc) address += reader.u16();
    else for (let i = unit.arguments[opcode - 1] ?? 0; i > 0; i--) reader.uleb();
    if (rows.isFull) break;
  }
  rows.drop();
  return true;
}

interface Sequence {
  readonly from: number;
  readonly to: number;
  readonly first: number;
  readonly last: number;
}

/** Collects rows of 16 bytes; those of a sequence follow each other. */
class Rows {
  #addresses = new Float64Array(1 << 14);
  #places = new Uint32Array(1 << 15);
  #count = 0;
  /** Where the sequence that isn't ended yet begins. */
  #begin = 0;
  readonly #sequences: Sequence[] = [];
  readonly #files: string[] = [];
  readonly #fileIds = new Map<string, number>();
  /** The file that came last, which is mostly the next one too. */
  #lastUnit: LineUnit | undefined;
  #lastNumber = 0;
  #lastFile = 0;

  get isFull(): boolean {
    return this.#count >= MOST_ROWS;
  }

  add(address: number, unit: LineUnit, file: number, line: number): void {
    // Addresses only grow in a sequence; one that goes back is nonsense, and what follows can't be searched.
    if (this.#count > this.#begin && address < this.#addresses[this.#count - 1]!) return;
    if (unit !== this.#lastUnit || file !== this.#lastNumber) {
      this.#lastFile = this.#fileId(unit.file(file));
      this.#lastUnit = unit;
      this.#lastNumber = file;
    }
    if (this.#count === this.#addresses.length) this.#grow();
    this.#addresses[this.#count] = address;
    this.#places[this.#count * 2] = this.#lastFile;
    this.#places[this.#count * 2 + 1] = Math.max(0, Math.min(line, 0xffff_ffff));
    this.#count++;
  }

  #fileId(file: string): number {
    const known = this.#fileIds.get(file);
    if (known !== undefined) return known;
    if (this.#files.length >= MOST_FILES) return 0;
    this.#fileIds.set(file, this.#files.length);
    return this.#files.push(file) - 1;
  }

  #grow(): void {
    const addresses = new Float64Array(this.#addresses.length * 2);
    addresses.set(this.#addresses);
    this.#addresses = addresses;
    const places = new Uint32Array(this.#places.length * 2);
    places.set(this.#places);
    this.#places = places;
  }

  /** Code at 0 was thrown away by the linker; its lines stayed. */
  end(to: number): void {
    const from = this.#addresses[this.#begin] ?? 0;
    if (this.#count === this.#begin || from === 0 || to <= from) return this.drop();
    this.#sequences.push({ from, to, first: this.#begin, last: this.#count });
    this.#begin = this.#count;
  }

  /** Forgets rows that no end follows. */
  drop(): void {
    this.#count = this.#begin;
  }

  finish(damaged: number): LineTable {
    const sequences = this.#sequences.sort((a, b) => a.from - b.from);
    const addresses = this.#addresses;
    const places = this.#places;
    const files = this.#files;
    /** The last of [low, high) that isn't beyond `address`, or low - 1. */
    const search = (low: number, high: number, address: number, at: (i: number) => number) => {
      let before = low - 1;
      let after = high;
      while (after - before > 1) {
        const middle = (before + after) >>> 1;
        if (at(middle) <= address) before = middle;
        else after = middle;
      }
      return before;
    };
    const sequenceAt = (address: number) => search(0, sequences.length, address, (i) => sequences[i]!.from);
    return {
      rows: this.#count,
      damaged,
      find(address) {
        const sequence = sequences[sequenceAt(address)];
        if (sequence === undefined || address >= sequence.to) return undefined;
        const row = search(sequence.first, sequence.last, address, (i) => addresses[i]!);
        return { file: files[places[row * 2]!]!, line: places[row * 2 + 1]! };
      },
      filesBetween(from, to) {
        const sizes = new Map<string, number>();
        let cursor = from;
        for (let i = Math.max(0, sequenceAt(from)); i < sequences.length; i++) {
          const { from: start, to: end, first, last } = sequences[i]!;
          if (start >= to) break;
          if (end <= cursor) continue;
          for (
            let row = Math.max(
              first,
              search(first, last, cursor, (i) => addresses[i]!),
            );
            row < last;
            row++
          ) {
            const begins = Math.max(cursor, addresses[row]!);
            if (begins >= to) break;
            const stops = Math.min(to, row + 1 < last ? addresses[row + 1]! : end);
            if (stops <= begins) continue;
            const file = files[places[row * 2]!]!;
            sizes.set(file, (sizes.get(file) ?? 0) + stops - begins);
            cursor = stops;
          }
        }
        return sizes;
      },
    };
  }
}
