/** `robur image diff`: what differs between two binaries. Like diff(1) it exits with 1 where something does. */
import {
  type ByteDifference,
  type ElfComparison,
  type SizeChange,
  compareElf,
} from "../image/elf-comparison.ts";
import { nameFile } from "../image/image-error.ts";
import { readSections } from "../image/sections.ts";
import { formatSize } from "../lib/units.ts";
import { print } from "../linux/libc.ts";
import { findImage } from "./find-image.ts";
import { formatTable } from "./table.ts";

const MOST_SHOWN = 20;

/** Prints a comparison. Throws ImageFileError, ImageError. */
export function printDiff(leftFile: string, rightFile: string, isJson: boolean): void {
  const left = findImage(leftFile).source;
  const right = findImage(rightFile).source;
  // So that an error names the file that is at fault.
  nameFile(leftFile, () => readSections(left));
  nameFile(rightFile, () => readSections(right));
  const comparison = compareElf(left, right);
  if (!comparison.isSame) process.exitCode = 1;
  if (isJson) print(`${JSON.stringify({ left: leftFile, right: rightFile, ...comparison }, null, 2)}\n`);
  else print(describe(comparison));
}

function describe(comparison: ElfComparison): string {
  const { files, isSame } = comparison;
  if (isSame) return `the same, byte for byte: ${formatSize(files.left.size)}, sha256 ${files.left.sha256}\n`;
  return [
    `size    ${files.left.size} -> ${files.right.size} bytes (${signed(files.right.size - files.left.size)})\n`,
    `sha256  ${files.left.sha256}\n     -> ${files.right.sha256}\n`,
    ...identity(comparison),
    ...sections(comparison),
    ...changes("sizes of modules", comparison.sizes.modules, comparison.sizes.modules.length),
    ...changes("sizes of functions and values", comparison.sizes.symbols, comparison.sizes.symbolCount),
    ...texts(comparison),
  ].join("");
}

function identity({ buildId, solo5 }: ElfComparison): string[] {
  const lines: string[] = [];
  if (buildId.left !== buildId.right)
    lines.push(`build id  ${buildId.left ?? "none"} -> ${buildId.right ?? "none"}\n`);
  if (!solo5.isSame) {
    const write = (side: typeof solo5.left) =>
      side === undefined
        ? "no unikernel"
        : `${side.target}, ABI version ${side.abiVersion}, ${side.devices.map(({ name, type }) => `${name} (${type})`).join(", ") || "no devices"}`;
    lines.push(`solo5     ${write(solo5.left)}\n       -> ${write(solo5.right)}\n`);
  }
  return lines;
}

function sections({ sections }: ElfComparison): string[] {
  const differing = sections.filter(({ state }) => state !== "same");
  if (differing.length === 0) return ["\nno section differs: headers or padding do\n"];
  const size = (side: { readonly size: number } | undefined) => (side === undefined ? "" : String(side.size));
  return [
    `\nsections: ${differing.length} of ${sections.length} differ\n`,
    formatTable(
      [
        { title: "SECTION", text: ({ name }) => name },
        { title: "LEFT", text: ({ left }) => size(left), isRight: true },
        { title: "RIGHT", text: ({ right }) => size(right), isRight: true },
        { title: "FROM", text: ({ first }) => (first === undefined ? "" : `0x${first.offset.toString(16)}`) },
        { title: "BYTES THERE", text: ({ first }) => (first === undefined ? "" : bytesThere(first)) },
      ],
      differing,
    ),
  ];
}

/** A few bytes of both sides from where they part. */
function bytesThere({ offset, from, left, right }: ByteDifference): string {
  const part = (hex: string) => hex.slice((offset - from) * 2, (offset - from) * 2 + 12) || "end";
  return `${part(left)} -> ${part(right)}`;
}

function changes(title: string, list: readonly SizeChange[], count: number): string[] {
  if (list.length === 0) return [];
  return [
    `\n${title}: ${count} changed${count > MOST_SHOWN ? `, the largest ${MOST_SHOWN} are` : ""}\n`,
    formatTable(
      [
        { title: "CHANGE", text: ({ left, right }) => signed(right - left), isRight: true },
        { title: "LEFT", text: ({ left }) => String(left), isRight: true },
        { title: "RIGHT", text: ({ right }) => String(right), isRight: true },
        { title: "PART", text: ({ path }) => path.join(" / ") },
      ],
      list.slice(0, MOST_SHOWN),
    ),
  ];
}

function texts({ strings }: ElfComparison): string[] {
  const kinds = [
    ["paths", strings.paths],
    ["dates", strings.dates],
    ["host names", strings.hosts],
  ] as const;
  return kinds.flatMap(([title, found]) =>
    found.length === 0
      ? []
      : [
          `\n${title} that only one of them has\n`,
          formatTable(
            [
              { title: "WHICH", text: ({ side }) => side },
              { title: "TEXT", text: ({ text }) => text },
            ],
            found.slice(0, MOST_SHOWN),
          ),
        ],
  );
}

const signed = (bytes: number) => `${bytes > 0 ? "+" : ""}${bytes}`;
