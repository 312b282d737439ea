/**
 * Why two files that should be the same are not: where they part, in which section and which symbol's module, in which
 * member of which archive, and which strings only one of them has. Pure but for unpacking.
 */
import { type ByteDifference, firstDifference } from "../../image/elf-comparison-bytes.ts";
import { type ImageSource, bytesSource } from "../../image/source.ts";
import { MIB } from "../../lib/units.ts";
import { ArchiveError, type Member, type MemberFacts } from "./archive-member.ts";
import { type Archive, readArchive } from "./archive-members.ts";
import { explainElf } from "./explain-elf.ts";
import { explainText } from "./explain-text.ts";
import { type StringsOfOneSide, stringsOfOneSide } from "./other-strings.ts";

export interface Explanation {
  /** A file, or `package.deb: data.tar: ./usr/bin/hello`. */
  readonly path: string;
  readonly kind: "elf" | "archive" | "text" | "bytes";
  /** One sentence each: what differs, from the outside to the inside. */
  readonly findings: readonly string[];
  readonly first: ByteDifference | undefined;
  /** The section whose bytes `first` counts; undefined: it counts the file's. */
  readonly within: string | undefined;
  readonly strings: StringsOfOneSide;
  /** Of archives: the members that differ. */
  readonly members: readonly Explanation[];
}

/** Archives within archives: a .deb has two levels. */
const DEEPEST = 4;
/** Larger archives are compared as bytes. */
const ARCHIVE_MAX = 128 * MIB;
const MEMBERS_SHOWN = 20;

/** Explains the difference of two files that aren't the same. */
export async function explainDifference(
  path: string,
  left: ImageSource,
  right: ImageSource,
  depth = 0,
): Promise<Explanation> {
  const first = firstDifference(left, right, whole(left), whole(right));
  const sizes = left.size === right.size ? [] : [`${left.size} bytes are ${right.size} now`];
  const base = { path, first, within: undefined, strings: stringsOfOneSide(left, right), members: [] };
  const elf = explainElf(left, right);
  if (elf !== undefined) {
    const { findings, place } = elf;
    return { ...base, kind: "elf", findings: [...sizes, ...findings], ...place };
  }
  const archive = await explainArchive(path, left, right, depth);
  if (archive?.members !== undefined) return { ...base, kind: "archive", ...archive };
  const line = explainText(left, right);
  if (line !== undefined) return { ...base, kind: "text", findings: [...sizes, line] };
  const at = first === undefined ? [] : [`they part at byte ${first.offset}`];
  return { ...base, kind: "bytes", findings: [...sizes, ...at, ...(archive?.findings ?? [])] };
}

const whole = ({ size }: ImageSource) => ({ offset: 0, size });

/** Undefined for what is no archive; without members for one that can't be looked into here. */
async function explainArchive(
  path: string,
  left: ImageSource,
  right: ImageSource,
  depth: number,
): Promise<{ readonly findings: readonly string[]; readonly members?: readonly Explanation[] } | undefined> {
  if (depth >= DEEPEST || Math.max(left.size, right.size) > ARCHIVE_MAX) return undefined;
  let sides: (Archive | undefined)[];
  try {
    sides = [await readArchive(left.read(0, left.size)), await readArchive(right.read(0, right.size))];
  } catch (error) {
    if (!(error instanceof ArchiveError)) throw error;
    return error.code === "no-program" ? { findings: [error.message] } : undefined;
  }
  const [a, b] = sides;
  if (a === undefined || b === undefined) return undefined;
  const findings = [
    ...compareFacts(a.about, b.about).map((fact) => `the packing: ${fact}`),
    ...compareNames(a.members, b.members),
    ...compareAbout(a.members, b.members),
  ];
  const others = byName(b.members);
  const members: Explanation[] = [];
  for (const [name, member] of byName(a.members)) {
    const other = others.get(name);
    if (other === undefined || other.sha256 === member.sha256 || members.length >= MEMBERS_SHOWN) continue;
    const sources = [bytesSource(member.content), bytesSource(other.content)] as const;
    members.push(await explainDifference(`${path}: ${name}`, ...sources, depth + 1));
  }
  if (findings.length + members.length === 0)
    findings.push("the members are the same, their packing differs");
  return { findings, members };
}

/** An archive may have several members of one name: the last one is what unpacking it leaves. */
const byName = (members: readonly Member[]) => new Map(members.map((member) => [member.name, member]));

function compareNames(a: readonly Member[], b: readonly Member[]): string[] {
  const [left, right] = [a.map(({ name }) => name), b.map(({ name }) => name)];
  const [inLeft, inRight] = [new Set(left), new Set(right)];
  const gone = left.filter((name) => !inRight.has(name)).map((name) => `member ${name} is gone`);
  const added = right.filter((name) => !inLeft.has(name)).map((name) => `member ${name} is new`);
  if (gone.length + added.length > 0) return [...gone, ...added].slice(0, MEMBERS_SHOWN);
  return left.some((name, i) => name !== right[i]) ? ["the members are in another order"] : [];
}

/** What many members have in common is said once. */
function compareAbout(a: readonly Member[], b: readonly Member[]): string[] {
  const others = byName(b);
  const names = new Map<string, string[]>();
  for (const [name, { about }] of byName(a)) {
    for (const fact of compareFacts(about, others.get(name)?.about ?? about)) {
      names.set(fact, [...(names.get(fact) ?? []), name]);
    }
  }
  return [...names]
    .map(([fact, members]) => {
      const [first, ...more] = members;
      return more.length === 0
        ? `member ${first}: ${fact}`
        : `member ${first} and ${more.length} more: ${fact}`;
    })
    .slice(0, MEMBERS_SHOWN);
}

function compareFacts(was: MemberFacts, is: MemberFacts): string[] {
  return Object.keys(was)
    .filter((key) => was[key] !== is[key])
    .map((key) => `its ${key} ${was[key]} is ${is[key]} now`);
}

/** The explanation as lines for a terminal, the innermost furthest to the right. */
export function formatExplanation(explanation: Explanation, indent = ""): string[] {
  const { path, findings, first, within, strings, members, kind } = explanation;
  const lines = [`${indent}${path}`, ...findings.map((text) => `${indent}  ${text}`)];
  if (first !== undefined && kind !== "archive" && kind !== "text") {
    const place = `at ${within === undefined ? "" : `${within} + `}${first.from}:`;
    lines.push(
      `${indent}  ${place} ${withText(first.left)}`,
      `${indent}  ${"is now:".padEnd(place.length)} ${withText(first.right)}`,
    );
  }
  if (kind !== "text" && kind !== "archive") {
    for (const text of strings.left.slice(0, 4)) lines.push(`${indent}  - ${text}`);
    for (const text of strings.right.slice(0, 4)) lines.push(`${indent}  + ${text}`);
  }
  return [...lines, ...members.flatMap((member) => formatExplanation(member, `${indent}  `))];
}

/** Bytes as hexdump shows them: what is text in them beside it. */
function withText(hex: string): string {
  const text = Buffer.from(hex, "hex")
    .toString("latin1")
    .replace(/[^\x20-\x7e]/g, ".");
  return `${hex}  |${text}|`;
}
