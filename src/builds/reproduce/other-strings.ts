/** The readable strings that only one of two files has: what to read first when a build isn't reproducible. Pure. */
import type { ImageSource } from "../../image/source.ts";
import { MIB } from "../../lib/units.ts";

export interface StringsOfOneSide {
  /** The telling ones first: dates, times, paths. */
  readonly left: readonly string[];
  readonly right: readonly string[];
}

/** Only so much of a file is looked through. */
const SEARCHED = 64 * MIB;
const SHOWN = 12;
const LONGEST = 160;
const KEPT = 400_000;
const OPEN_MAX = 4096;

/** Strings of at least six characters. */
export function stringsOfOneSide(left: ImageSource, right: ImageSource): StringsOfOneSide {
  const [a, b] = [stringsOf(left), stringsOf(right)];
  return { left: only(a, b), right: only(b, a) };
}

function only(mine: ReadonlySet<string>, other: ReadonlySet<string>): string[] {
  return [...mine]
    .filter((text) => !other.has(text))
    .toSorted((x, y) => telling(y) - telling(x))
    .slice(0, SHOWN)
    .map((text) => (text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text));
}

function telling(text: string): number {
  if (/\b(19|20)\d\d-?[01]\d-?[0-3]\d\b|\b\d\d:\d\d(:\d\d)?\b|\b1[5-9]\d{8}\b/.test(text)) return 3;
  if (/(^|[^\w/])\/(tmp|home|build|root|usr|opt|nix|var)\b/.test(text)) return 2;
  return /^[\w ./:=@+-]+$/.test(text) ? 1 : 0;
}

function stringsOf(source: ImageSource): Set<string> {
  const found = new Set<string>();
  let open = "";
  const keep = () => {
    if (open.length >= 6 && found.size < KEPT) found.add(open);
    open = "";
  };
  for (let at = 0; at < Math.min(source.size, SEARCHED); at += MIB) {
    const text = Buffer.from(source.read(at, MIB)).toString("latin1");
    const [first = "", ...rest] = text.split(/[^\t\x20-\x7e]+/);
    open += first;
    for (const part of rest) {
      keep();
      open = part;
    }
    if (open.length > OPEN_MAX) open = open.slice(0, OPEN_MAX);
  }
  keep();
  return found;
}
