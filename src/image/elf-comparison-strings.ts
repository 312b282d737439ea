/**
 * Texts in two files that look like paths, dates or host names and that only one of them has: what makes a build
 * differ from machine to machine and from day to day.
 */
import { MIB } from "../lib/units.ts";
import type { ImageSource } from "./source.ts";

export type StringKind = "paths" | "dates" | "hosts";

export interface StringDifference {
  readonly side: "left" | "right";
  readonly text: string;
}

export interface StringDifferences extends Readonly<Record<StringKind, readonly StringDifference[]>> {
  /** Whether there were more than are shown. */
  readonly isCut: boolean;
}

/** What is kept of each kind and side while reading, and shown of each kind in the end. */
const MOST_KEPT = 20_000;
const MOST_SHOWN = 100;
const LONGEST = 200;
const OVERLAP = 1024;

/** All of them are looked for in runs of printable characters. */
const RUN = /[\x20-\x7e]{6,1024}/g;
const KINDS: Readonly<Record<StringKind, RegExp>> = {
  paths: /(?:^|[\s"'=:,;(])(\/(?:[\w.+@~-]+\/)+[\w.+@~-]*)/g,
  dates:
    /\b(\d{4}-[01]\d-[0-3]\d(?:[T ]\d\d:\d\d(?::\d\d)?)?|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}\d{1,2},? \d{4}|\d\d:\d\d:\d\d)\b/g,
  hosts:
    /\b([\w.+-]{1,64}@[a-z0-9][a-z0-9.-]{0,100}[a-z0-9]|[a-z0-9][a-z0-9-]{0,62}(?:\.[a-z0-9-]{1,62}){0,4}\.(?:local|lan|home|internal|localdomain))\b/g,
};
const NAMES = Object.keys(KINDS) as StringKind[];

/** Compares the texts of whole files. What both have isn't shown, wherever it stands. */
export function compareStrings(left: ImageSource, right: ImageSource): StringDifferences {
  const lefts = findStrings(left);
  const rights = findStrings(right);
  let isCut = lefts.isCut || rights.isCut;
  const only = (kind: StringKind): StringDifference[] => {
    const of = (side: "left" | "right", mine: Set<string>, other: Set<string>) =>
      [...mine]
        .filter((text) => !other.has(text))
        .sort()
        .map((text): StringDifference => ({ side, text }));
    const a = of("left", lefts.found[kind], rights.found[kind]);
    const b = of("right", rights.found[kind], lefts.found[kind]);
    if (a.length > MOST_SHOWN || b.length > MOST_SHOWN) isCut = true;
    return [...a.slice(0, MOST_SHOWN), ...b.slice(0, MOST_SHOWN)];
  };
  const [paths, dates, hosts] = [only("paths"), only("dates"), only("hosts")];
  return { paths, dates, hosts, isCut };
}

function findStrings(source: ImageSource): {
  readonly found: Record<StringKind, Set<string>>;
  readonly isCut: boolean;
} {
  const found = { paths: new Set<string>(), dates: new Set<string>(), hosts: new Set<string>() };
  let isCut = false;
  for (let at = 0; at < source.size; at += MIB) {
    // A run belongs to the piece that it begins in, and is found whole there thanks to the overlap. One byte before
    // the piece tells whether its first run began earlier.
    const before = at === 0 ? 0 : 1;
    const bytes = source.read(at - before, before + MIB + OVERLAP);
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
    for (const run of text.matchAll(RUN)) {
      if (run.index < before) continue;
      if (run.index >= before + MIB) break;
      for (const kind of NAMES) {
        for (const match of run[0].matchAll(KINDS[kind])) {
          if (found[kind].size >= MOST_KEPT) isCut = true;
          else found[kind].add(match[1]!.slice(0, LONGEST));
        }
      }
    }
  }
  return { found, isCut };
}
