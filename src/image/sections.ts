/**
 * Section headers of a 64-bit little-endian ELF file of any kind: tenders run images without looking at them, but
 * they say where names, line numbers and debug data lie. Every field is hostile. Names are those of elf(5).
 */
import { inflateSync, zstdDecompressSync } from "node:zlib";
import { MIB, formatSize } from "../lib/units.ts";
import { ImageError } from "./image-error.ts";
import { type ImageSource, bytesSource, fieldsOf, u64 } from "./source.ts";

export const SHT_SYMTAB = 2;
export const SHT_NOBITS = 8;
/** Bits of `flags`. */
export const SHF_ALLOC = 2;
export const SHF_EXECINSTR = 4;
const SHF_COMPRESSED = 0x800;

const HEADER_SIZE = 64;
const SECTION_HEADER_SIZE = 64;
const COMPRESSION_HEADER_SIZE = 24;
const COMPRESSED_BY = { zlib: 1, zstd: 2 } as const;
/** The index that says that the real one is in the first section's link. */
const SHN_XINDEX = 0xffff;

/** Linkers make a few dozen; a file with all functions in sections of their own has some ten thousand. */
const MOST_SECTIONS = 1 << 17;
const LARGEST_NAMES = 16 * MIB;
const LONGEST_NAME = 1024;
/** No debug section of a unikernel comes near this, unpacked. */
const LARGEST_UNPACKED = 256 * MIB;

export interface Section {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly address: number;
  readonly offset: number;
  /** In memory, and in the file too where `hasBytes`. */
  readonly size: number;
  /** Another section, by index: the names' for a table of symbols. */
  readonly link: number;
  /** False for zeros that only take memory: .bss. */
  readonly hasBytes: boolean;
}

export interface SectionTable {
  /** The number of e_machine. */
  readonly machine: number;
  /** By index. The first is a placeholder without a name; none at all where they were stripped. */
  readonly sections: readonly Section[];
}

/**
 * Reads all section headers; every section that has bytes lies within the file.
 * Throws ImageError not-elf, unsupported-elf, invalid-elf.
 */
export function readSections(source: ImageSource): SectionTable {
  const bytes = source.read(0, HEADER_SIZE);
  if (bytes.length < HEADER_SIZE || fieldsOf(bytes).getUint32(0, false) !== 0x7f_45_4c_46)
    throw new ImageError("not-elf", "not an ELF file");
  if (bytes[4] !== 2 || bytes[5] !== 1)
    throw new ImageError("unsupported-elf", "not a 64-bit little-endian ELF file");
  const header = fieldsOf(bytes);
  const machine = header.getUint16(18, true);
  const offset = u64(header, 40);
  if (offset === 0) return { machine, sections: [] };
  if (header.getUint16(58, true) !== SECTION_HEADER_SIZE) invalid("the section headers are not of 64 bytes");
  const first = source.read(offset, SECTION_HEADER_SIZE);
  if (first.length < SECTION_HEADER_SIZE) invalid("the file ends before its section headers");
  const count = header.getUint16(60, true) || u64(fieldsOf(first), 32);
  if (count > MOST_SECTIONS) invalid(`${count} sections, more than ${MOST_SECTIONS}`);
  const table = source.read(offset, count * SECTION_HEADER_SIZE);
  if (table.length < count * SECTION_HEADER_SIZE)
    invalid(`the file ends inside its ${count} section headers`);
  const named = header.getUint16(62, true);
  const names = named === SHN_XINDEX ? fieldsOf(first).getUint32(40, true) : named;
  return { machine, sections: parseTable(source, table, names) };
}

function parseTable(source: ImageSource, table: Uint8Array, namesIndex: number): Section[] {
  const view = fieldsOf(table);
  const found: (Omit<Section, "name"> & { readonly nameAt: number })[] = [];
  for (let at = 0; at < table.length; at += SECTION_HEADER_SIZE) {
    const type = view.getUint32(at + 4, true);
    const section = {
      nameAt: view.getUint32(at, true),
      type,
      flags: view.getUint32(at + 8, true),
      address: u64(view, at + 16),
      offset: u64(view, at + 24),
      // A placeholder's size is the number of sections, where that is a large one.
      size: at === 0 ? 0 : u64(view, at + 32),
      link: view.getUint32(at + 40, true),
      hasBytes: type !== SHT_NOBITS && type !== 0,
    };
    if (section.hasBytes && section.offset + section.size > source.size)
      invalid(`section ${found.length} lies outside of the file`);
    if (section.address + section.size > Number.MAX_SAFE_INTEGER)
      invalid(`section ${found.length} is larger than any memory`);
    found.push(section);
  }
  const strings = found[namesIndex];
  const names =
    strings === undefined || !strings.hasBytes
      ? new Uint8Array(0)
      : source.read(strings.offset, Math.min(strings.size, LARGEST_NAMES));
  return found.map(({ nameAt, ...section }) => ({ name: textAt(names, nameAt, LONGEST_NAME), ...section }));
}

/** The text from an offset up to its NUL; empty outside, cut at `most` bytes. */
export function textAt(strings: Uint8Array, offset: number, most: number): string {
  if (offset >= strings.length) return "";
  const nul = strings.indexOf(0, offset);
  const end = Math.min(nul === -1 ? strings.length : nul, offset + most);
  return Buffer.from(strings.buffer, strings.byteOffset + offset, end - offset).toString("utf8");
}

/** The first section of that name with bytes, for debug data also by its old compressed name (.zdebug_line). */
export function findSection({ sections }: SectionTable, name: string): Section | undefined {
  return (
    sections.find((section) => section.name === name && section.hasBytes) ??
    (name.startsWith(".debug_")
      ? sections.find((section) => section.name === `.z${name.slice(1)}` && section.hasBytes)
      : undefined)
  );
}

/**
 * A section's content. What isn't compressed stays in the file and is read from there piece by piece; what is, is
 * unpacked into memory. Throws ImageError invalid-elf.
 */
export function contentOf(source: ImageSource, section: Section): ImageSource {
  if ((section.flags & SHF_COMPRESSED) !== 0) {
    const header = source.read(section.offset, COMPRESSION_HEADER_SIZE);
    if (section.size < COMPRESSION_HEADER_SIZE) invalid(`${section.name} ends inside its compression header`);
    const view = fieldsOf(header);
    return unpack(source, section, {
      kind: view.getUint32(0, true),
      size: u64(view, 8),
      skip: COMPRESSION_HEADER_SIZE,
    });
  }
  if (section.name.startsWith(".zdebug_") && section.size >= 12) {
    const header = fieldsOf(source.read(section.offset, 12));
    if (header.getUint32(0, false) === 0x5a_4c_49_42) {
      const size = header.getUint32(4, false) * 0x1_0000_0000 + header.getUint32(8, false);
      return unpack(source, section, { kind: COMPRESSED_BY.zlib, size, skip: 12 });
    }
  }
  return {
    size: section.size,
    read: (offset, length) =>
      offset >= section.size
        ? new Uint8Array(0)
        : source.read(section.offset + offset, Math.min(length, section.size - offset)),
  };
}

function unpack(
  source: ImageSource,
  { name, offset, size: packedSize }: Section,
  { kind, size, skip }: { readonly kind: number; readonly size: number; readonly skip: number },
): ImageSource {
  if (size > LARGEST_UNPACKED)
    invalid(`${name} says that it has ${size} bytes unpacked, more than ${formatSize(LARGEST_UNPACKED)}`);
  if (size === 0) return bytesSource(new Uint8Array(0));
  if (kind !== COMPRESSED_BY.zlib && kind !== COMPRESSED_BY.zstd)
    throw new ImageError("unsupported-elf", `${name} is compressed in an unknown way (${kind})`);
  const packed = source.read(offset + skip, packedSize - skip);
  const bytes = inflate(name, packed, kind === COMPRESSED_BY.zlib ? inflateSync : zstdDecompressSync, size);
  // A cut off zstd frame isn't noticed by the library.
  if (bytes.length !== size) invalid(`${name} has ${bytes.length} bytes unpacked and says ${size}`);
  return bytesSource(bytes);
}

function inflate(
  name: string,
  packed: Uint8Array,
  how: typeof inflateSync | typeof zstdDecompressSync,
  size: number,
): Uint8Array {
  try {
    return how(packed, { maxOutputLength: size });
  } catch (error) {
    throw new ImageError("invalid-elf", `invalid ELF file: ${name} can't be unpacked`, { cause: error });
  }
}

function invalid(what: string): never {
  throw new ImageError("invalid-elf", `invalid ELF file: ${what}`);
}
