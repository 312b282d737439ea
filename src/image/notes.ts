/**
 * Solo5's ELF notes: ABI1 (which tender runs this image) and MFT1 (which devices it wants).
 *
 * A note's content begins at its structure's alignment after the 20 bytes of header and padded name, and that
 * padding is counted in the note's own size: 0 bytes for ABI1, 4 for MFT1.
 */
import { type Elf, PT_NOTE } from "./elf.ts";
import { ImageError } from "./image-error.ts";
import { type ImageSource, fieldsOf } from "./source.ts";

const HEADER = 20;
/** The smallest PT_NOTE that is a note at all: three words. */
const SMALLEST = 12;
/** "Solo5" and its NUL. */
const OWNER = [0x53, 0x6f, 0x6c, 0x6f, 0x35, 0];

interface NoteKind {
  readonly name: string;
  /** The four letters of its name, read as a little-endian word. */
  readonly type: number;
  readonly align: number;
  /** The largest content accepted, padding included. */
  readonly most: number;
}

const ABI1: NoteKind = { name: "ABI1", type: 0x31494241, align: 4, most: 32 };
const MFT1: NoteKind = { name: "MFT1", type: 0x3154464d, align: 8, most: 12 + 64 * 104 };

/** The content of a note, or undefined where the image has none. Only the first note of a segment counts. */
function findNote(source: ImageSource, elf: Elf, kind: NoteKind): Uint8Array | undefined {
  for (const segment of elf.programHeaders) {
    if (segment.type !== PT_NOTE) continue;
    if (segment.fileSize < SMALLEST) invalid("a note segment is smaller than a note");
    if (segment.fileSize < HEADER) continue;
    const bytes = source.read(segment.offset, HEADER);
    if (bytes.length < HEADER) invalid("the file ends inside a note");
    const header = fieldsOf(bytes);
    if (header.getUint32(0, true) !== OWNER.length) continue;
    if (!OWNER.every((byte, i) => bytes[12 + i] === byte)) continue;
    if (header.getUint32(8, true) !== kind.type) continue;
    return readContent(source, segment.offset, segment.fileSize, header.getUint32(4, true), kind);
  }
  return undefined;
}

function readContent(
  source: ImageSource,
  at: number,
  room: number,
  size: number,
  kind: NoteKind,
): Uint8Array {
  const padding = (kind.align - (HEADER % kind.align)) % kind.align;
  if (size <= padding || size > kind.most || HEADER + size > room) {
    invalid(`the ${kind.name} note does not fall within valid size (it says ${size} bytes)`);
  }
  const content = source.read(at + HEADER + padding, size - padding);
  if (content.length < size - padding) invalid(`the file ends inside the ${kind.name} note`);
  return content;
}

function invalid(what: string): never {
  throw new ImageError("invalid-note", `invalid executable: ${what}`);
}

/** The content of the ABI1 note. Throws ImageError invalid-note. */
export const findAbiNote = (source: ImageSource, elf: Elf) => findNote(source, elf, ABI1);

/** The content of the MFT1 note. Throws ImageError invalid-note. */
export const findManifestNote = (source: ImageSource, elf: Elf) => findNote(source, elf, MFT1);
