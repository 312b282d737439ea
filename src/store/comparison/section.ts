/** A piece of a comparison as people read it. */

export interface SectionLine {
  /** `noise`: a change that any two builds have. `note`: about the section. */
  readonly kind: "added" | "removed" | "changed" | "noise" | "note";
  readonly text: string;
}

export interface Section {
  /** For links; builder-web's own where it has that section. */
  readonly anchor: string;
  readonly title: string;
  /** How many differences there are, without noise. */
  readonly count: number;
  readonly lines: readonly SectionLine[];
  /** A unified diff or lines of a console, shown as they are. */
  readonly blocks: readonly {
    readonly title: string;
    readonly kind: "diff" | "text";
    readonly text: string;
  }[];
}

/** A maker of lines of that kind. */
export const line =
  (kind: SectionLine["kind"]) =>
  (text: string): SectionLine => ({ kind, text });

/** A list of one, or of none where there is nothing to say. */
export function section(
  anchor: string,
  title: string,
  lines: readonly SectionLine[],
  blocks: Section["blocks"] = [],
): Section[] {
  if (lines.length === 0 && blocks.length === 0) return [];
  const count = lines.filter(({ kind }) => kind !== "noise" && kind !== "note").length;
  return [
    { anchor, title, count: count + blocks.filter(({ kind }) => kind === "diff").length, lines, blocks },
  ];
}
