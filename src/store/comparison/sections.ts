/**
 * A comparison in the order in which people read it: how the builds ended and what came out first, then what went in,
 * from the packages to the environment, and what that made of the binary. Every form of output is made of these.
 */
import { formatSize } from "../../lib/units.ts";
import { resultText } from "../../protocols/builder/result-text.ts";
import type { Sha256 } from "../api.ts";
import type { Comparison, Part } from "./comparison.ts";
import { elfSections } from "./elf-sections.ts";
import { type KeyedChanges, isNoise } from "./keyed-lines.ts";
import { type Section, type SectionLine, line, section } from "./section.ts";

export type { Section, SectionLine } from "./section.ts";

/** Only the sections that have something to say. */
export function sectionsOf(comparison: Comparison): Section[] {
  return [
    ...resultSections(comparison),
    ...fileSections(comparison),
    ...solo5Sections(comparison),
    ...opamSections(comparison),
    ...duniverseSections(comparison),
    ...keyedSections(comparison.environment, "env", "environment variables", isNoise),
    ...keyedSections(comparison.systemPackages, "pkgs", "system packages", () => false),
    ...elfSections(comparison),
    ...consoleSections(comparison),
  ];
}

/**
 * Nothing is different but what always is: times, paths, console. An input that one of the two lacks, or that can't be
 * read, is a difference.
 */
export function isSame(comparison: Comparison): boolean {
  return sectionsOf(comparison).every(({ count }) => count === 0);
}

function resultSections({ result }: Comparison): Section[] {
  if (result === undefined) return [];
  const text = `${resultText(result.left)} -> ${resultText(result.right)}`;
  return section("result", "How they ended", [line("changed")(text)]);
}

function fileSections({ files }: Comparison): Section[] {
  const { added, removed, changed } = files;
  return section("files", "Files", [
    ...removed.map(({ path, size }) => line("removed")(`${path} ${formatSize(size)}`)),
    ...added.map(({ path, size }) => line("added")(`${path} ${formatSize(size)}`)),
    ...changed.map(({ path, left, right, growth }) =>
      line("changed")(
        `${path} ${short(left.sha256)} -> ${short(right.sha256)}, ${formatGrowth(right.size, growth)}`,
      ),
    ),
  ]);
}

/** `5.1 MiB (+1234 bytes)` */
export function formatGrowth(size: number, growth: number): string {
  if (growth === 0) return `${formatSize(size)} (same size)`;
  return `${formatSize(size)} (${growth > 0 ? "+" : "-"}${Math.abs(growth)} bytes)`;
}

const short = (sha256: Sha256) => sha256.slice(0, 12);

function solo5Sections({ solo5 }: Comparison): Section[] {
  // Packages of an operating system are no unikernels.
  if (solo5.state !== "compared") return [];
  const { added, removed, retyped, abi } = solo5;
  return section("solo5", "What the unikernel wants", [
    ...(abi === undefined ? [] : [line("changed")(`${abi.left} -> ${abi.right}`)]),
    ...removed.map(({ name, type }) => line("removed")(`${name} ${type}`)),
    ...added.map(({ name, type }) => line("added")(`${name} ${type}`)),
    ...retyped.map(({ name, left, right }) => line("changed")(`${name} ${left} -> ${right}`)),
  ]);
}

function opamSections({ opam, inputs }: Comparison): Section[] {
  if (opam.state !== "compared")
    return unavailable("opam-packages", "opam packages", opam, inputs["opam-switch"]);
  const { added, removed, versions, files } = opam;
  return [
    ...section(
      "opam-packages-removed",
      "opam packages removed",
      removed.map(({ name, version }) => line("removed")(`${name}.${version}`)),
    ),
    ...section(
      "opam-packages-installede",
      "opam packages added",
      added.map(({ name, version }) => line("added")(`${name}.${version}`)),
    ),
    ...section(
      "opam-packages-version-diff",
      "opam packages of another version",
      versions.map(({ name, left, right, isUpgrade }) =>
        line("changed")(`${name}.${left} -> ${right}${isUpgrade ? "" : " (older)"}`),
      ),
    ),
    ...section(
      "opam-packages-opam-diff",
      "opam packages of the same version with another opam file",
      [],
      files.map(({ name, version, diff }) => ({ title: `${name}.${version}`, kind: "diff", text: diff })),
    ),
  ];
}

function duniverseSections({ duniverse, opam, inputs }: Comparison): Section[] {
  if (duniverse.state !== "compared") {
    // The packages' section says it already.
    return opam.state === "compared"
      ? unavailable("duniverse-dirs-error", "Vendored sources", duniverse, inputs["opam-switch"])
      : [];
  }
  const { added, removed, changed } = duniverse;
  return [
    ...section(
      "duniverse-dirs-removed",
      "Vendored sources removed",
      removed.map(({ directory, url }) => line("removed")(`${directory} ${url}`)),
    ),
    ...section(
      "duniverse-dirs-installed",
      "Vendored sources added",
      added.map(({ directory, url }) => line("added")(`${directory} ${url}`)),
    ),
    ...section(
      "duniverse-dirs-content-diff",
      "Vendored sources with other content",
      changed.map(({ directory, leftUrl, rightUrl, hashes }) => {
        const url = leftUrl === rightUrl ? leftUrl : `${leftUrl} -> ${rightUrl}`;
        const digests = hashes.map(
          ({ kind, left, right }) =>
            `${kind} ${left?.slice(0, 12) ?? "none"} -> ${right?.slice(0, 12) ?? "none"}`,
        );
        return line("changed")([`${directory} ${url}`, ...digests].join(", "));
      }),
    ),
  ];
}

function keyedSections(
  part: Part<KeyedChanges>,
  anchor: "env" | "pkgs",
  what: string,
  isExpected: (name: string) => boolean,
): Section[] {
  const title = (end: string) => `${what.slice(0, 1).toUpperCase()}${what.slice(1)}${end}`;
  if (part.state !== "compared") return unavailable(anchor, title(""), part, undefined);
  const kind = (name: string, otherwise: SectionLine["kind"]) => line(isExpected(name) ? "noise" : otherwise);
  return [
    ...section(
      `${anchor}-removed`,
      title(" removed"),
      part.removed.map(({ name, value }) => kind(name, "removed")(`${name} ${value}`)),
    ),
    ...section(
      `${anchor}-added`,
      title(" added"),
      part.added.map(({ name, value }) => kind(name, "added")(`${name} ${value}`)),
    ),
    ...section(
      `${anchor}-changed`,
      title(" changed"),
      part.changed.map(({ name, left, right }) => kind(name, "changed")(`${name} ${left} -> ${right}`)),
    ),
  ];
}

/** A console tells of times and places; it is shown where the builds didn't end alike. */
function consoleSections({ console, result }: Comparison): Section[] {
  if (console.state !== "compared" || result === undefined) return [];
  const { firstDifference, leftTail, rightTail } = console;
  const note = line("note");
  const lines =
    firstDifference === undefined
      ? []
      : [
          note(`first difference in line ${firstDifference.line}`),
          note(`left:  ${firstDifference.left ?? "(ends)"}`),
          note(`right: ${firstDifference.right ?? "(ends)"}`),
        ];
  const end = (title: string, tail: readonly string[]) =>
    tail.length === 0 ? [] : [{ title, kind: "text" as const, text: `${tail.join("\n")}\n` }];
  return section("console", "Console", lines, [
    ...end("the end of the left one", leftTail),
    ...end("the end of the right one", rightTail),
  ]);
}

/** `isSameFile`: what can't be read is no difference when it is the same on both sides. */
function unavailable(
  anchor: string,
  title: string,
  part: Exclude<Part<object>, { readonly state: "compared" }>,
  isSameFile: boolean | undefined,
): Section[] {
  if (part.state === "unreadable") {
    const kind = isSameFile === true ? "note" : "changed";
    return section(anchor, title, [
      line(kind)(`can't be read on the ${part.sides.join(" and the ")}: ${part.error}`),
    ]);
  }
  if (part.sides.length === 2) return section(anchor, title, [line("note")("neither side recorded them")]);
  const [side = "left"] = part.sides;
  return section(anchor, title, [
    line(side === "left" ? "added" : "removed")(
      `only the ${side === "left" ? "right" : "left"} side recorded them`,
    ),
  ]);
}
