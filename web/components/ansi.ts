/**
 * Colours of a terminal (ECMA-48's SGR) as class names, so that no style stands in a page. The text comes from
 * `printable`, which has let nothing but these sequences through. Each line begins without colours.
 */
export interface Run {
  readonly text: string;
  /** Class names with spaces between them; empty for plain text. */
  readonly classes: string;
}

interface Pen {
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
  fore: number | undefined;
  back: number | undefined;
}

const plainPen = (): Pen => ({
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  fore: undefined,
  back: undefined,
});

/** A line in runs of equal look. Pure. */
export function ansiRuns(line: string): Run[] {
  const runs: Run[] = [];
  const pen = plainPen();
  let at = 0;
  // oxlint-disable-next-line no-control-regex
  for (const match of line.matchAll(/\x1b\[([\d;]{0,32})m/g)) {
    push(runs, line.slice(at, match.index), pen);
    applyCodes(pen, (match[1] ?? "").split(";").map(Number));
    at = match.index + match[0].length;
  }
  push(runs, line.slice(at), pen);
  return runs;
}

function push(runs: Run[], text: string, pen: Pen): void {
  if (text === "") return;
  const classes = classesOf(pen);
  const last = runs.at(-1);
  if (last !== undefined && last.classes === classes)
    runs[runs.length - 1] = { text: last.text + text, classes };
  else runs.push({ text, classes });
}

function classesOf({ bold, dim, italic, underline, fore, back }: Pen): string {
  const names = [
    bold && "a-bold",
    dim && "a-dim",
    italic && "a-italic",
    underline && "a-underline",
    fore !== undefined && `a-f${fore}`,
    back !== undefined && `a-b${back % 8}`,
  ];
  return names.filter((name) => name !== false).join(" ");
}

function applyCodes(pen: Pen, codes: readonly number[]): void {
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i]!;
    if (code === 0) Object.assign(pen, plainPen());
    else if (code === 1) pen.bold = true;
    else if (code === 2) pen.dim = true;
    else if (code === 3) pen.italic = true;
    else if (code === 4) pen.underline = true;
    else if (code === 22) pen.bold = pen.dim = false;
    else if (code === 23) pen.italic = false;
    else if (code === 24) pen.underline = false;
    else if (code >= 30 && code <= 37) pen.fore = code - 30;
    else if (code === 39) pen.fore = undefined;
    else if (code >= 40 && code <= 47) pen.back = code - 40;
    else if (code === 49) pen.back = undefined;
    else if (code >= 90 && code <= 97) pen.fore = code - 82;
    else if (code >= 100 && code <= 107) pen.back = code - 92;
    else if (code === 38 || code === 48) {
      const { color, used } = extended(codes.slice(i + 1));
      if (code === 38) pen.fore = color;
      else pen.back = color;
      i += used;
    }
  }
}

/** `5;N` of 256 colours or `2;R;G;B`, as the nearest of sixteen. */
function extended(codes: readonly number[]): { color: number | undefined; used: number } {
  const [kind, a = 0, b = 0, c = 0] = codes;
  if (kind === 2) return { color: nearest(a, b, c), used: 4 };
  if (kind !== 5) return { color: undefined, used: 0 };
  if (a < 16) return { color: a, used: 2 };
  if (a >= 232) return { color: nearest(...grey(a)), used: 2 };
  const level = (n: number) => (n === 0 ? 0 : 55 + 40 * n);
  const cube = a - 16;
  const [red, green, blue] = [Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6];
  return { color: nearest(level(red), level(green), level(blue)), used: 2 };
}

function grey(index: number): [number, number, number] {
  const level = 8 + 10 * (index - 232);
  return [level, level, level];
}

function nearest(red: number, green: number, blue: number): number {
  const high = Math.max(red, green, blue);
  if (high < 64) return 0;
  const bit = (value: number) => (value > high / 2 ? 1 : 0);
  const hue = bit(red) + 2 * bit(green) + 4 * bit(blue);
  if (hue === 7 && high < 160) return 8;
  return hue + (high > 200 && hue !== 0 ? 8 : 0);
}
