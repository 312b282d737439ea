/**
 * Two ELF files beside each other: what of them differs, and where it comes from. It tells why a build isn't
 * reproducible, and what an update brings. Both may be any 64-bit little-endian ELF files; unstripped ones say more.
 */
import type { Sha256 } from "../lib/sha256.ts";
import { readAbi } from "./abi.ts";
import { readElf } from "./elf.ts";
import { type ByteDifference, hashOf, hexOf, firstDifference } from "./elf-comparison-bytes.ts";
import { type StringDifferences, compareStrings } from "./elf-comparison-strings.ts";
import { type SizeChanges, compareSizes } from "./elf-comparison-sizes.ts";
import { ImageError } from "./image-error.ts";
import { devicesOf, readManifest } from "./manifest.ts";
import { type Section, type SectionTable, readSections } from "./sections.ts";
import { type ImageSource, fieldsOf } from "./source.ts";

export type { ByteDifference } from "./elf-comparison-bytes.ts";
export type { SizeChange, SizeChanges } from "./elf-comparison-sizes.ts";
export type { StringDifference, StringDifferences, StringKind } from "./elf-comparison-strings.ts";

/** A value of each side, undefined where that side has none. */
export interface Sides<T> {
  readonly left: T | undefined;
  readonly right: T | undefined;
}

export interface SectionSide {
  readonly size: number;
  readonly address: number;
  /** Undefined for zeros that take memory only. */
  readonly sha256: Sha256 | undefined;
}

export interface SectionComparison extends Sides<SectionSide> {
  readonly name: string;
  readonly state: "same" | "differs" | "only-left" | "only-right";
  /** Where the contents part; undefined unless both have bytes that differ. */
  readonly first: ByteDifference | undefined;
}

/** What the Solo5 notes say. */
export interface Solo5Side {
  readonly target: string;
  readonly abiVersion: number;
  readonly devices: readonly { readonly name: string; readonly type: string }[];
}

export interface ElfComparison {
  /** Whether the files are the same, byte for byte. */
  readonly isSame: boolean;
  readonly files: { readonly left: FileSide; readonly right: FileSide };
  /** Where the files part. */
  readonly first: ByteDifference | undefined;
  /** Hexadecimal. */
  readonly buildId: Sides<string>;
  readonly solo5: Sides<Solo5Side> & { readonly isSame: boolean };
  /** In the left file's order, then those that only the right one has. */
  readonly sections: readonly SectionComparison[];
  /** What is loaded, by library, module and function. */
  readonly sizes: SizeChanges;
  /** Texts that only one side has and that look like something of the machine or the day. */
  readonly strings: StringDifferences;
}

export interface FileSide {
  readonly size: number;
  readonly sha256: Sha256;
}

/** Compares two files. Throws ImageError not-elf, unsupported-elf, invalid-elf: whose it is, `readSections` tells. */
export function compareElf(left: ImageSource, right: ImageSource): ElfComparison {
  const tables = { left: readSections(left), right: readSections(right) };
  const files = {
    left: { size: left.size, sha256: hashOf(left, 0, left.size) },
    right: { size: right.size, sha256: hashOf(right, 0, right.size) },
  };
  const isSame = files.left.sha256 === files.right.sha256;
  const sections = compareSections(left, right, tables);
  const solo5 = { left: solo5Of(left), right: solo5Of(right) };
  return {
    isSame,
    files,
    first: isSame ? undefined : firstDifference(left, right, whole(left), whole(right)),
    buildId: { left: buildIdOf(left, tables.left), right: buildIdOf(right, tables.right) },
    solo5: { ...solo5, isSame: Bun.deepEquals(solo5.left, solo5.right) },
    sections,
    sizes: compareSizes(left, right),
    strings: isSame ? { paths: [], dates: [], hosts: [], isCut: false } : compareStrings(left, right),
  };
}

const whole = ({ size }: ImageSource) => ({ offset: 0, size });

function compareSections(
  left: ImageSource,
  right: ImageSource,
  tables: { readonly left: SectionTable; readonly right: SectionTable },
): SectionComparison[] {
  const rights = byName(tables.right);
  const compared = [...byName(tables.left)].map(([key, section]) => {
    const other = rights.get(key);
    rights.delete(key);
    return compareSection(left, right, section, other);
  });
  return [
    ...compared,
    ...[...rights.values()].map((section) => compareSection(left, right, undefined, section)),
  ];
}

/** Sections of one name are told apart by their order. */
function byName({ sections }: SectionTable): Map<string, Section> {
  const counts = new Map<string, number>();
  const found = new Map<string, Section>();
  for (const section of sections) {
    if (section.type === 0) continue;
    const count = counts.get(section.name) ?? 0;
    counts.set(section.name, count + 1);
    found.set(`${section.name}\0${count}`, section);
  }
  return found;
}

function compareSection(
  left: ImageSource,
  right: ImageSource,
  a: Section | undefined,
  b: Section | undefined,
): SectionComparison {
  const sides = { left: sectionSide(left, a), right: sectionSide(right, b) };
  const name = (a ?? b)!.name;
  if (a === undefined) return { name, state: "only-right", ...sides, first: undefined };
  if (b === undefined) return { name, state: "only-left", ...sides, first: undefined };
  const isSame = sides.left!.size === sides.right!.size && sides.left!.sha256 === sides.right!.sha256;
  return {
    name,
    state: isSame ? "same" : "differs",
    ...sides,
    first: isSame || !a.hasBytes || !b.hasBytes ? undefined : firstDifference(left, right, a, b),
  };
}

function sectionSide(source: ImageSource, section: Section | undefined): SectionSide | undefined {
  if (section === undefined) return undefined;
  const { size, address, offset, hasBytes } = section;
  return { size, address, sha256: hasBytes ? hashOf(source, offset, size) : undefined };
}

const LARGEST_BUILD_ID = 64;

/** The note that linkers make of a hash: 12 bytes of sizes and type, `GNU` with its NUL, the hash. */
function buildIdOf(source: ImageSource, { sections }: SectionTable): string | undefined {
  const note = sections.find(({ name, hasBytes }) => name === ".note.gnu.build-id" && hasBytes);
  if (note === undefined || note.size < 17) return undefined;
  const bytes = source.read(note.offset, Math.min(note.size, 16 + LARGEST_BUILD_ID));
  const length = fieldsOf(bytes).getUint32(4, true);
  return length > bytes.length - 16 ? undefined : hexOf(bytes.subarray(16, 16 + length));
}

/** Undefined where it isn't a sound unikernel. */
function solo5Of(source: ImageSource): Solo5Side | undefined {
  try {
    const elf = readElf(source);
    const abi = readAbi(source, elf);
    if (abi === undefined) return undefined;
    const devices = devicesOf(readManifest(source, elf));
    return {
      target: abi.target,
      abiVersion: abi.version,
      devices: devices.map(({ device: { name, type } }) => ({ name, type })),
    };
  } catch (error) {
    if (error instanceof ImageError) return undefined;
    throw error;
  }
}
