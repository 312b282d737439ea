/** Where the code and the data of each OCaml compilation unit lie, as the compiler's marks say. */
import { unitMark } from "./ocaml-symbols.ts";
import type { ElfSymbol } from "./symbols.ts";

export interface UnitRange {
  readonly unit: string;
  readonly part: "code" | "data";
  readonly from: number;
  readonly to: number;
}

export interface UnitRanges {
  readonly names: ReadonlySet<string>;
  /** The unit that an address lies in. */
  at(address: number): UnitRange | undefined;
}

/** Finds them among all symbols. A mark without its other one, or with it on the wrong side, says nothing. */
export function findUnits(symbols: readonly ElfSymbol[]): UnitRanges {
  const begins = new Map<string, number>();
  const ends: { readonly unit: string; readonly part: "code" | "data"; readonly to: number }[] = [];
  for (const { name, address } of symbols) {
    const mark = unitMark(name);
    if (mark === undefined) continue;
    if (mark.edge === "begin") begins.set(`${mark.part} ${mark.unit}`, address);
    else ends.push({ unit: mark.unit, part: mark.part, to: address });
  }
  const ranges: UnitRange[] = [];
  for (const { unit, part, to } of ends) {
    const from = begins.get(`${part} ${unit}`);
    if (from !== undefined && to > from) ranges.push({ unit, part, from, to });
  }
  ranges.sort((a, b) => a.from - b.from);
  return {
    names: new Set(ranges.map(({ unit }) => unit)),
    at(address) {
      let low = 0;
      let high = ranges.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (ranges[middle]!.from <= address) low = middle + 1;
        else high = middle;
      }
      const range = ranges[low - 1];
      return range !== undefined && address < range.to ? range : undefined;
    },
  };
}
