/** Tables for terminals: two spaces between columns, nothing at the ends of lines, measured as a terminal shows it. */

export interface Column<Row> {
  readonly title: string;
  readonly text: (row: Row) => string;
  /** Numbers stand at the right. */
  readonly isRight?: boolean;
}

/** The lines of a table with its titles, each ended by a newline. Control characters can't reach the terminal. */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ text }) => printable(text(row)))),
  ];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => Bun.stringWidth(line[i]!))));
  const format = (line: readonly string[]) =>
    line
      .map((cell, i) => {
        const space = " ".repeat(widths[i]! - Bun.stringWidth(cell));
        return columns[i]!.isRight === true ? space + cell : cell + space;
      })
      .join("  ")
      .trimEnd();
  return cells.map((line) => `${format(line)}\n`).join("");
}

/** Text that other people wrote, safe to show. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Bidi_Control}]/gu, "?");
}

/** A time as the user's clock shows it: 2026-01-31 09:05. */
export function formatTime(milliseconds: number): string {
  return new Date(milliseconds).toLocaleString("sv-SE").slice(0, "2026-01-31 09:05".length);
}
