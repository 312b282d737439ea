/** Two main binaries from within: which sections, libraries and texts made them differ. */
import { type ElfComparison, type SectionComparison, compareElf } from "../../image/elf-comparison.ts";
import { ImageError } from "../../image/image-error.ts";
import type { ImageSource } from "../../image/source.ts";
import { formatSize } from "../../lib/units.ts";
import type { Comparison } from "./comparison.ts";
import { type Section, type SectionLine, line, section } from "./section.ts";

/** Adds what the main binaries say; without it where one of them is no ELF file. It reads all of both. */
export function withBinaries(comparison: Comparison, left: ImageSource, right: ImageSource): Comparison {
  try {
    return { ...comparison, elf: compareElf(left, right) };
  } catch (error) {
    if (error instanceof ImageError) return comparison;
    throw error;
  }
}

/** Modules that grew or shrank, at most. */
const MOST_MODULES = 30;

export function elfSections(elf: ElfComparison | undefined): Section[] {
  if (elf === undefined || elf.isSame) return [];
  const { buildId, first, sections, sizes, strings } = elf;
  const note = line("note");
  const modules = sizes.modules.slice(0, MOST_MODULES);
  const texts = [...strings.paths, ...strings.dates, ...strings.hosts];
  return [
    ...section("binary-sections", "Sections of the main binary", [
      ...(first === undefined ? [] : [note(`the first differing byte is at ${first.offset}`)]),
      ...(buildId.left === buildId.right
        ? []
        : [note(`build id ${buildId.left ?? "none"} -> ${buildId.right ?? "none"}`)]),
      ...sections.flatMap(sectionLine),
    ]),
    ...section("binary-sizes", "Parts of the main binary that grew or shrank", [
      ...modules.map(({ path, left, right }) => {
        const growth = right - left;
        const sizeText = `${formatSize(left)} -> ${formatSize(right)}`;
        return line("changed")(`${path.join(" / ")} ${sizeText} (${growth > 0 ? "+" : ""}${growth} bytes)`);
      }),
      ...(sizes.modules.length > modules.length
        ? [note(`and ${sizes.modules.length - modules.length} smaller changes`)]
        : []),
    ]),
    ...section("binary-strings", "Paths, dates and host names in only one main binary", [
      ...texts.map(({ side, text }) => line(side === "left" ? "removed" : "added")(text)),
      ...(strings.isCut ? [note("and more of them")] : []),
    ]),
  ];
}

function sectionLine({ name, state, left, right, first }: SectionComparison): SectionLine[] {
  switch (state) {
    case "same":
      return [];
    case "only-left":
      return [line("removed")(`${name} ${formatSize(left?.size ?? 0)}`)];
    case "only-right":
      return [line("added")(`${name} ${formatSize(right?.size ?? 0)}`)];
    case "differs": {
      const where = first === undefined ? "" : `, from byte ${first.offset} on`;
      return [line("changed")(`${name} ${left?.size ?? 0} -> ${right?.size ?? 0} bytes${where}`)];
    }
  }
}
