/** What differs in two ELF files: sections, the function or value that the first difference lies in, and texts. Pure. */
import type { ByteDifference } from "../../image/elf-comparison-bytes.ts";
import { type ElfComparison, type SectionComparison, compareElf } from "../../image/elf-comparison.ts";
import { ImageError } from "../../image/image-error.ts";
import { demangleOcaml, modulesOf } from "../../image/ocaml-symbols.ts";
import { readSections } from "../../image/sections.ts";
import type { ImageSource } from "../../image/source.ts";
import { symbolsAt } from "../../image/symbols-at.ts";

export interface ElfExplanation {
  readonly findings: readonly string[];
  /** The first difference that isn't only a consequence of others; undefined where no section's bytes differ. */
  readonly place: { readonly first: ByteDifference; readonly within: string } | undefined;
}

const MODULES = 5;
const TEXTS = 4;
/** Sums over the rest of the file: they differ because the rest does. */
const SUMS = new Set([".note.gnu.build-id", ".gnu_debuglink"]);
const WORDS = { dates: "date", paths: "path", hosts: "host name" } as const;
const WHICH = { left: "original", right: "rebuilt file" } as const;

/** Undefined where one of them is no ELF file. */
export function explainElf(left: ImageSource, right: ImageSource): ElfExplanation | undefined {
  try {
    const compared = compareElf(left, right);
    return { findings: findingsOf(compared, symbolsIn(left, compared)), place: placeOf(compared) };
  } catch (error) {
    if (error instanceof ImageError) return undefined;
    throw error;
  }
}

/** Of sections whose bytes differ, in what: by the section's address. */
function symbolsIn(left: ImageSource, { sections }: ElfComparison): Map<number, string> {
  const addresses = sections.flatMap(({ first, left: side }) =>
    first === undefined || side === undefined || side.address === 0 ? [] : [side.address + first.offset],
  );
  return symbolsAt(left, readSections(left), addresses);
}

function placeOf({ sections }: ElfComparison): ElfExplanation["place"] {
  const different = sections.flatMap(({ name, first, left }) =>
    first === undefined ? [] : [{ first, within: name, isLoaded: left !== undefined && left.address !== 0 }],
  );
  const chosen =
    different.find(({ within, isLoaded }) => isLoaded && !SUMS.has(within)) ??
    different.find(({ within }) => !SUMS.has(within)) ??
    different[0];
  return chosen === undefined ? undefined : { first: chosen.first, within: chosen.within };
}

function findingsOf(
  { sections, buildId, sizes, strings }: ElfComparison,
  symbols: ReadonlyMap<number, string>,
): string[] {
  const findings = sections.flatMap((section) => sectionFinding(section, symbols));
  if (buildId.left !== buildId.right) {
    findings.push(`build id ${buildId.left ?? "none"} is ${buildId.right ?? "none"} now`);
  }
  for (const { path, left: was, right: is } of sizes.modules.slice(0, MODULES)) {
    findings.push(`${path.join(".")}: ${was} bytes are ${is} now`);
  }
  for (const kind of ["dates", "paths", "hosts"] as const) {
    for (const { side, text } of strings[kind].slice(0, TEXTS)) {
      findings.push(`the ${WORDS[kind]} ${JSON.stringify(text)} is only in the ${WHICH[side]}`);
    }
  }
  return findings;
}

function sectionFinding(
  { name, state, first, left, right }: SectionComparison,
  symbols: ReadonlyMap<number, string>,
): string[] {
  if (state === "same") return [];
  if (state === "only-left") return [`section ${name} is gone`];
  if (state === "only-right") return [`section ${name} is new`];
  const symbol = first === undefined ? undefined : symbols.get(left!.address + first.offset);
  const where = first === undefined ? "" : ` from its byte ${first.offset} on`;
  const inside = symbol === undefined ? "" : `, in ${nameOf(symbol)}`;
  const size = left!.size === right!.size ? "" : `, ${left!.size} bytes are ${right!.size} now`;
  return [`section ${name} differs${where}${inside}${size}`];
}

/** As its author knows it. */
function nameOf(symbol: string): string {
  const ocaml = demangleOcaml(symbol);
  if (ocaml === undefined) return symbol;
  const path = [...modulesOf(ocaml.unit), ocaml.name].filter((part) => part !== "");
  return `${path.join(".")} (${symbol})`;
}
