/** The header of a line program: how its opcodes are to be read, and its tables of folders and files. */
import type { LineStrings } from "./debug-lines.ts";
import type { ByteReader } from "./debug-lines-reader.ts";
import { textAt } from "./sections.ts";
import type { ImageSource } from "./source.ts";

export interface LineUnit {
  /** Least bytes of an instruction: 1 on x86, 4 on arm64. */
  readonly step: number;
  readonly lineBase: number;
  readonly lineRange: number;
  readonly opcodeBase: number;
  /** How many numbers follow each standard opcode, by its number less one. */
  readonly arguments: Uint8Array;
  /** A file by its number in the program. */
  file(index: number): string;
  /** Takes one more file, as the opcode of version 3 brings it. */
  define(reader: ByteReader): void;
}

interface FileEntry {
  readonly name: () => string;
  readonly folder: number;
}

const LONGEST_TEXT = 1024;

/** Leaves the reader at the program's first opcode. Undefined where the header is damaged or of another version. */
export function readLineUnit(reader: ByteReader, is64: boolean, strings: LineStrings): LineUnit | undefined {
  const version = reader.u16();
  if (version < 2 || version > 5) return undefined;
  // Size of an address, size of a segment selector.
  if (version >= 5) reader.skip(2);
  const length = is64 ? reader.u64() : reader.u32();
  const program = reader.at + length;
  if (program > reader.size) return undefined;
  const step = reader.u8();
  if (version >= 4) reader.skip(1);
  reader.skip(1);
  const base = reader.u8();
  const lineRange = reader.u8();
  const opcodeBase = reader.u8();
  if (lineRange === 0 || opcodeBase === 0) return undefined;
  const counts = Uint8Array.from({ length: opcodeBase - 1 }, () => reader.u8());
  const tables = version >= 5 ? readTables(reader, is64, strings) : readOldTables(reader);
  if (tables === undefined || reader.isOver) return undefined;
  reader.at = program;
  const { folders, files, firstFile } = tables;
  const paths = new Map<number, string>();
  const resolve = (index: number) => {
    const file = files[index - firstFile];
    if (file === undefined) return "";
    const name = file.name();
    if (name === "" || name.startsWith("/")) return name;
    const folder = folders[file.folder]?.() ?? "";
    const rooted = folder.startsWith("/") || file.folder === 0 ? folder : join(folders[0]?.() ?? "", folder);
    return join(rooted, name);
  };
  return {
    step,
    lineBase: base < 128 ? base : base - 256,
    lineRange,
    opcodeBase,
    arguments: counts,
    file(index) {
      const known = paths.get(index);
      if (known !== undefined) return known;
      const path = resolve(index);
      paths.set(index, path);
      return path;
    },
    define: (from) => void files.push(readOldFile(from, from.text(LONGEST_TEXT))),
  };
}

interface Tables {
  readonly folders: (() => string)[];
  readonly files: FileEntry[];
  /** The number of the first file: 1 up to version 4. */
  readonly firstFile: number;
}

/** Folder 0 is where the compiler ran, which only .debug_info says. */
function readOldTables(reader: ByteReader): Tables {
  const folders: (() => string)[] = [() => ""];
  for (let text = reader.text(LONGEST_TEXT); text !== ""; text = reader.text(LONGEST_TEXT)) {
    const folder = text;
    folders.push(() => folder);
  }
  const files: FileEntry[] = [];
  for (let name = reader.text(LONGEST_TEXT); name !== ""; name = reader.text(LONGEST_TEXT))
    files.push(readOldFile(reader, name));
  return { folders, files, firstFile: 1 };
}

function readOldFile(reader: ByteReader, name: string): FileEntry {
  const folder = reader.uleb();
  reader.uleb();
  reader.uleb();
  return { name: () => name, folder };
}

/** Of an entry's parts. */
const CONTENT = { path: 1, folder: 2 } as const;

function readTables(reader: ByteReader, is64: boolean, strings: LineStrings): Tables | undefined {
  const folders = readEntries(reader, is64, strings);
  const files = readEntries(reader, is64, strings);
  if (folders === undefined || files === undefined) return undefined;
  return { folders: folders.map(({ name }) => name), files, firstFile: 0 };
}

function readEntries(reader: ByteReader, is64: boolean, strings: LineStrings): FileEntry[] | undefined {
  const format: { readonly content: number; readonly form: number }[] = [];
  for (let left = reader.u8(); left > 0; left--) format.push({ content: reader.uleb(), form: reader.uleb() });
  const count = reader.uleb();
  // Each form takes a byte at least, so that the bytes bound the entries.
  if (count > 0 && format.length === 0) return undefined;
  const entries: FileEntry[] = [];
  for (let i = 0; i < count; i++) {
    let name = () => "";
    let folder = 0;
    for (const { content, form } of format) {
      const value = readForm(reader, form, is64, strings);
      if (value === undefined || reader.isOver) return undefined;
      if (content === CONTENT.path && typeof value === "function") name = value;
      if (content === CONTENT.folder && typeof value === "number") folder = value;
    }
    entries.push({ name, folder });
  }
  return entries;
}

/** A number, or how to get a text; texts elsewhere are read when a line needs them. Undefined: an unknown form. */
function readForm(
  reader: ByteReader,
  form: number,
  is64: boolean,
  strings: LineStrings,
): number | (() => string) | undefined {
  const offset = () => (is64 ? reader.u64() : reader.u32());
  switch (form) {
    case 0x08: {
      const text = reader.text(LONGEST_TEXT);
      return () => text;
    }
    case 0x0e:
      return elsewhere(strings.all, offset());
    case 0x1f:
      return elsewhere(strings.lines, offset());
    case 0x0b:
      return reader.u8();
    case 0x05:
      return reader.u16();
    case 0x06:
      return reader.u32();
    case 0x07:
      return reader.u64();
    case 0x0f:
      return reader.uleb();
    case 0x1e:
      return skipped(reader, 16);
    case 0x09:
      return skipped(reader, reader.uleb());
    case 0x0a:
      return skipped(reader, reader.u8());
    default:
      return undefined;
  }
}

function skipped(reader: ByteReader, length: number): number {
  reader.skip(length);
  return 0;
}

const elsewhere = (strings: ImageSource, offset: number) => () =>
  textAt(strings.read(offset, LONGEST_TEXT), 0, LONGEST_TEXT);

function join(folder: string, name: string): string {
  return folder === "" || folder === "." ? name : `${folder}/${name}`;
}
