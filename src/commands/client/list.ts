/** Lists: the same flags, columns and formats for every one. */
import type { Argv } from "yargs";
import { UsageError } from "../../lib/errors.ts";
import { print } from "../../linux/libc.ts";
import { type Column, formatTable } from "../table.ts";

const FORMATS = ["table", "json", "jsonl"] as const;

export interface ListColumn<Row> extends Column<Row> {
  /** As in JSON; what --columns takes. */
  readonly key: string;
  /** Shown only when --columns names it. */
  readonly isExtra?: boolean;
  /** Longest text in a table; --no-trunc shows all of it. */
  readonly cut?: number;
}

export interface ListFlags {
  readonly format: (typeof FORMATS)[number];
  readonly json: boolean;
  readonly quiet: boolean;
  readonly noTrunc: boolean;
  readonly columns: string | undefined;
}

/** Adds the flags to a parser. */
export function withListFlags<T>(parser: Argv<T>) {
  return parser
    .option("format", { choices: FORMATS, default: "table" as const, describe: "how to print it" })
    .option("json", { type: "boolean", default: false, describe: "the same as --format json" })
    .option("quiet", { alias: "q", type: "boolean", default: false, describe: "names only" })
    .option("no-trunc", { type: "boolean", default: false, describe: "don't cut long texts" })
    .option("columns", { type: "string", requiresArg: true, describe: "which columns: name,state,…" });
}

/** The text of a list. `nameOf`: what -q prints of a row. Pure. Throws UsageError for a column that isn't one. */
export function formatList<Row extends object>(
  columns: readonly ListColumn<Row>[],
  rows: readonly Row[],
  nameOf: (row: Row) => string,
  { format, json, quiet, noTrunc, columns: wanted }: ListFlags,
): string {
  if (quiet) return rows.map((row) => `${nameOf(row)}\n`).join("");
  const chosen = chooseColumns(columns, wanted);
  if (json || format !== "table") {
    const shown = wanted === undefined ? rows : rows.map((row) => pick(row, chosen));
    if (format === "jsonl") return shown.map((row) => `${JSON.stringify(row)}\n`).join("");
    return `${JSON.stringify(shown, null, 2)}\n`;
  }
  return formatTable(
    chosen.map(({ text, cut, ...column }) => ({
      ...column,
      text: (row: Row) => (cut === undefined || noTrunc ? text(row) : shorten(text(row), cut)),
    })),
    rows,
  );
}

/** The same, printed. */
export function printList<Row extends object>(
  columns: readonly ListColumn<Row>[],
  rows: readonly Row[],
  nameOf: (row: Row) => string,
  flags: ListFlags,
): void {
  print(formatList(columns, rows, nameOf, flags));
}

function chooseColumns<Row>(
  columns: readonly ListColumn<Row>[],
  wanted: string | undefined,
): readonly ListColumn<Row>[] {
  if (wanted === undefined) return columns.filter(({ isExtra }) => isExtra !== true);
  return wanted.split(",").map((name) => {
    const key = name.trim().toLowerCase();
    const column = columns.find((column) => column.key.toLowerCase() === key);
    if (column !== undefined) return column;
    throw new UsageError(`there is no column ${name}`, {
      hint: `--columns ${columns.map(({ key }) => key).join(",")}`,
    });
  });
}

function pick<Row extends object>(row: Row, columns: readonly ListColumn<Row>[]): object {
  const all = row as Readonly<Record<string, unknown>>;
  return Object.fromEntries(columns.map(({ key, text }) => [key, key in all ? all[key] : text(row)]));
}

/** At most `width` as a terminal shows it, with a sign of what was cut. */
function shorten(text: string, width: number): string {
  if (Bun.stringWidth(text) <= width) return text;
  let short = "";
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (Bun.stringWidth(short + segment) > width - 1) break;
    short += segment;
  }
  return `${short}…`;
}

/** How long ago, or how long: 5 s, 3 min, 2 h, 4 d. Pure. */
export function formatSpan(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} d`;
}
