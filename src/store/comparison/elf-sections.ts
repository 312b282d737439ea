/** Two binaries from within: which sections, libraries, functions and texts made them differ. */
import {
  type ByteDifference,
  type SectionComparison,
  type SizeChange,
  compareElf,
} from "../../image/elf-comparison.ts";
import { ImageError } from "../../image/image-error.ts";
import type { ImageSource } from "../../image/source.ts";
import { formatSize } from "../../lib/units.ts";
import type { Comparison } from "./comparison.ts";
import { type Section, type SectionLine, line, section } from "./section.ts";

export interface NamedBinary {
  readonly path: string;
  readonly source: ImageSource;
}

/** Adds what the binaries say; without it where one of them is no ELF file. It reads all of both. */
export function withBinaries(comparison: Comparison, left: NamedBinary, right: NamedBinary): Comparison {
  try {
    const elf = compareElf(left.source, right.source);
    return { ...comparison, elf, elfFiles: { left: left.path, right: right.path } };
  } catch (error) {
    if (error instanceof ImageError) return comparison;
    throw error;
  }
}

/** Modules, and functions, that grew or shrank, at most. */
const MOST_SIZES = 30;
/** What an unstripped file has beside the program. It follows from the program, and differs wherever that does. */
const BESIDE = /^\.(?:z?debug_|symtab$|strtab$|shstrtab$)/;

/** The anchors of these sections, and no others, begin so. */
export const BINARY_ANCHOR = "binary-";

export function elfSections({ elf, elfFiles }: Comparison): Section[] {
  if (elf === undefined || elf.isSame) return [];
  const { buildId, first, sections, sizes, strings } = elf;
  const file = elfFiles?.right ?? "the main binary";
  const note = line("note");
  const texts = [...strings.paths, ...strings.dates, ...strings.hosts];
  return [
    ...section(`${BINARY_ANCHOR}sections`, `Sections of ${file}`, [
      ...(first === undefined ? [] : [note(firstByte(first))]),
      ...(buildId.left === buildId.right
        ? []
        : [note(`build id ${buildId.left ?? "none"} -> ${buildId.right ?? "none"}`)]),
      ...sections.flatMap(sectionLine),
    ]),
    // Without names there are sections only, which are above.
    ...section(
      `${BINARY_ANCHOR}sizes`,
      "Libraries and modules that grew or shrank",
      sizes.hasSymbols ? sizeLines(sizes.modules, sizes.modules.length) : [],
    ),
    ...section(
      `${BINARY_ANCHOR}symbols`,
      "Functions and values that grew or shrank",
      sizes.hasSymbols ? sizeLines(sizes.symbols, sizes.symbolCount) : [],
    ),
    ...section(`${BINARY_ANCHOR}strings`, "Paths, dates and host names that only one of them has", [
      ...texts.map(({ side, text }) => line(side === "left" ? "removed" : "added")(text)),
      ...(strings.isCut ? [note("and more of them")] : []),
    ]),
  ];
}

/** Where the files part, and what is there: as text where it is text. */
function firstByte({ offset, from, left, right }: ByteDifference): string {
  const there = (hex: string) => {
    const bytes = Buffer.from(hex, "hex");
    const text = bytes.toString("latin1");
    if (/^[\x20-\x7e]{9,}$/.test(text)) return JSON.stringify(text);
    return (
      bytes
        .subarray(offset - from)
        .subarray(0, 8)
        .toString("hex") || "the end"
    );
  };
  return `the first differing byte is at ${offset}: ${there(left)} -> ${there(right)}`;
}

function sizeLines(changes: readonly SizeChange[], count: number): SectionLine[] {
  const shown = changes.slice(0, MOST_SIZES);
  return [
    ...shown.map(({ path, left, right }) => {
      const name = path.join(" / ");
      if (left === 0) return line("added")(`${name} ${formatSize(right)}`);
      if (right === 0) return line("removed")(`${name} ${formatSize(left)}`);
      const growth = right - left;
      const sizes = `${formatSize(left)} -> ${formatSize(right)}`;
      return line("changed")(`${name} ${sizes} (${growth > 0 ? "+" : ""}${growth} bytes)`);
    }),
    ...(count > shown.length ? [line("note")(`and ${count - shown.length} smaller changes`)] : []),
  ];
}

function sectionLine({ name, state, left, right, first }: SectionComparison): SectionLine[] {
  const as = (kind: SectionLine["kind"]) => line(BESIDE.test(name) ? "noise" : kind);
  switch (state) {
    case "same":
      return [];
    case "only-left":
      return [as("removed")(`${name} ${formatSize(left?.size ?? 0)}`)];
    case "only-right":
      return [as("added")(`${name} ${formatSize(right?.size ?? 0)}`)];
    case "differs": {
      const where = first === undefined ? "" : `, from byte ${first.offset} on`;
      return [as("changed")(`${name} ${left?.size ?? 0} -> ${right?.size ?? 0} bytes${where}`)];
    }
  }
}
