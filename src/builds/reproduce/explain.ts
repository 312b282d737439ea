/**
 * Why two files that should be the same are not: where they part, in which section and which symbol's module, in which
 * member of which archive, and which strings only one of them has. Pure but for unpacking.
 */
import { type ByteDifference, firstDifference } from "../../image/elf-comparison-bytes.ts";
import { compareElf } from "../../image/elf-comparison.ts";
import { ImageError } from "../../image/image-error.ts";
import { type ImageSource, bytesSource } from "../../image/source.ts";
import { MIB } from "../../lib/units.ts";
import { ArchiveError, type Member, readMembers } from "./archive-members.ts";
import { type StringsOfOneSide, stringsOfOneSide } from "./other-strings.ts";

export interface Explanation {
  /** A file, or `package.deb: data.tar: ./usr/bin/hello`. */
  readonly path: string;
  readonly kind: "elf" | "archive" | "text" | "bytes";
  /** One sentence each: what differs, from the outside to the inside. */
  readonly findings: readonly string[];
  readonly first: ByteDifference | undefined;
  readonly strings: StringsOfOneSide;
  /** Of archives: the members that differ. */
  readonly members: readonly Explanation[];
}

/** Archives within archives: a .deb has two levels. */
const DEEPEST = 4;
/** Larger archives are compared as bytes. */
const ARCHIVE_MAX = 128 * MIB;
const MEMBERS_SHOWN = 20;
const TEXT_MAX = 4 * MIB;

/** Explains the difference of two files that aren't the same. */
export async function explainDifference(
  path: string,
  left: ImageSource,
  right: ImageSource,
  depth = 0,
): Promise<Explanation> {
  const first = firstDifference(left, right, whole(left), whole(right));
  const sizes = left.size === right.size ? [] : [`${left.size} bytes are ${right.size} now`];
  const base = { path, first, strings: stringsOfOneSide(left, right), members: [] };
  const elf = explainElf(left, right);
  if (elf !== undefined) return { ...base, kind: "elf", findings: [...sizes, ...elf] };
  const archive = await explainArchive(path, left, right, depth);
  if (archive !== undefined) return { ...base, kind: "archive", ...archive };
  const line = explainText(left, right);
  if (line !== undefined) return { ...base, kind: "text", findings: [...sizes, line] };
  const at = first === undefined ? [] : [`they part at byte ${first.offset}`];
  return { ...base, kind: "bytes", findings: [...sizes, ...at] };
}

const whole = ({ size }: ImageSource) => ({ offset: 0, size });

/** Undefined where one of them is no ELF file. */
function explainElf(left: ImageSource, right: ImageSource): string[] | undefined {
  try {
    const { sections, buildId, sizes, strings } = compareElf(left, right);
    const findings = sections.flatMap(({ name, state, first, left: a, right: b }): string[] => {
      if (state === "same") return [];
      if (state === "only-left") return [`section ${name} is gone`];
      if (state === "only-right") return [`section ${name} is new`];
      const size = a!.size === b!.size ? "" : `, ${a!.size} bytes are ${b!.size} now`;
      return [
        `section ${name} differs${first === undefined ? "" : ` from its byte ${first.offset} on`}${size}`,
      ];
    });
    if (buildId.left !== buildId.right) findings.push(`build id ${buildId.left} is ${buildId.right} now`);
    for (const { path, left: was, right: is } of sizes.modules.slice(0, 5)) {
      findings.push(`${path.join(".")}: ${was} bytes are ${is} now`);
    }
    for (const kind of ["dates", "paths", "hosts"] as const) {
      for (const { side, text } of strings[kind].slice(0, 4)) {
        findings.push(`the ${WORDS[kind]} ${JSON.stringify(text)} is only in the ${WHICH[side]}`);
      }
    }
    return findings;
  } catch (error) {
    if (error instanceof ImageError) return undefined;
    throw error;
  }
}

const WORDS = { dates: "date", paths: "path", hosts: "host name" } as const;
const WHICH = { left: "original", right: "rebuilt file" } as const;

async function explainArchive(
  path: string,
  left: ImageSource,
  right: ImageSource,
  depth: number,
): Promise<Pick<Explanation, "findings" | "members"> | undefined> {
  if (depth >= DEEPEST || Math.max(left.size, right.size) > ARCHIVE_MAX) return undefined;
  let sides: (Member[] | undefined)[];
  try {
    sides = [await readMembers(left.read(0, left.size)), await readMembers(right.read(0, right.size))];
  } catch (error) {
    if (error instanceof ArchiveError) return undefined;
    throw error;
  }
  const [a, b] = sides;
  if (a === undefined || b === undefined) return undefined;
  const findings = [...compareNames(a, b), ...compareAbout(a, b)];
  const others = new Map(b.map((member) => [member.name, member]));
  const members: Explanation[] = [];
  for (const member of a) {
    const other = others.get(member.name);
    if (other === undefined || other.sha256 === member.sha256 || members.length >= MEMBERS_SHOWN) continue;
    const sources = [bytesSource(member.content), bytesSource(other.content)] as const;
    members.push(await explainDifference(`${path}: ${member.name}`, ...sources, depth + 1));
  }
  if (findings.length + members.length === 0)
    findings.push("the members are the same, their packing differs");
  return { findings, members };
}

function compareNames(a: readonly Member[], b: readonly Member[]): string[] {
  const [left, right] = [a.map(({ name }) => name), b.map(({ name }) => name)];
  const [inLeft, inRight] = [new Set(left), new Set(right)];
  const gone = left.filter((name) => !inRight.has(name)).map((name) => `member ${name} is gone`);
  const added = right.filter((name) => !inLeft.has(name)).map((name) => `member ${name} is new`);
  if (gone.length + added.length > 0) return [...gone, ...added].slice(0, MEMBERS_SHOWN);
  return left.some((name, i) => name !== right[i]) ? ["the members are in another order"] : [];
}

function compareAbout(a: readonly Member[], b: readonly Member[]): string[] {
  const others = new Map(b.map((member) => [member.name, member]));
  return a
    .flatMap(({ name, about }) => {
      const other = others.get(name)?.about ?? about;
      return Object.keys(about)
        .filter((key) => about[key] !== other[key])
        .map((key) => `member ${name}: its ${key} ${about[key]} is ${other[key]} now`);
    })
    .slice(0, MEMBERS_SHOWN);
}

/** The first line that differs, of two files without control characters; undefined for others. */
function explainText(left: ImageSource, right: ImageSource): string | undefined {
  if (Math.max(left.size, right.size) > TEXT_MAX) return undefined;
  const [a, b] = [textOf(left), textOf(right)];
  if (a === undefined || b === undefined) return undefined;
  const [was, is] = [a.split("\n"), b.split("\n")];
  const at = was.findIndex((line, i) => line !== is[i]);
  const number = at === -1 ? was.length : at;
  return `line ${number + 1}: ${quote(was[number])} is ${quote(is[number])} now`;
}

function textOf(source: ImageSource): string | undefined {
  const text = Buffer.from(source.read(0, source.size)).toString("utf8");
  // oxlint-disable-next-line no-control-regex
  return /[\0-\x08\x0e-\x1a\ufffd]/.test(text) ? undefined : text;
}

function quote(line: string | undefined): string {
  if (line === undefined) return "nothing";
  return JSON.stringify(line.length > 160 ? `${line.slice(0, 160)}…` : line);
}

/** The explanation as lines for a terminal, the innermost furthest to the right. */
export function formatExplanation(explanation: Explanation, indent = ""): string[] {
  const { path, findings, first, strings, members, kind } = explanation;
  const lines = [`${indent}${path}`, ...findings.map((text) => `${indent}  ${text}`)];
  if (first !== undefined && kind !== "archive" && kind !== "text") {
    lines.push(`${indent}  at ${first.from}: ${first.left}`, `${indent}  is now: ${first.right}`);
  }
  if (kind !== "text" && kind !== "archive") {
    for (const text of strings.left.slice(0, 4)) lines.push(`${indent}  - ${text}`);
    for (const text of strings.right.slice(0, 4)) lines.push(`${indent}  + ${text}`);
  }
  return [...lines, ...members.flatMap((member) => formatExplanation(member, `${indent}  `))];
}
