/**
 * Writes opam's file syntax in opam's own style, so that an export that opam wrote comes back byte for byte. Where
 * opam's printer writes what its parser reads otherwise (empty lists, blanks at the beginning of a long text, a line
 * that ends in CR), this one writes what means the same.
 */
import { Layout } from "./layout.ts";
import type { OpamFile, OpamItem, OpamValue } from "./syntax.ts";

/** The whole file, with a newline at its end. */
export function printOpam(file: OpamFile): string {
  const layout = new Layout();
  printItems(layout, file.items);
  return `${layout.finish()}\n`;
}

/** One value alone, as opam would break it over lines. */
export function printValue(value: OpamValue): string {
  const layout = new Layout();
  print(layout, value);
  return layout.finish();
}

function printItems(layout: Layout, items: readonly OpamItem[]): void {
  layout.open("vertical");
  for (const [i, item] of items.entries()) {
    if (i > 0) layout.break(0);
    printItem(layout, item);
  }
  layout.close();
}

function printItem(layout: Layout, item: OpamItem): void {
  if (item.kind === "section") {
    layout.open("vertical");
    layout.text(item.type);
    layout.text(" ");
    if (item.name !== undefined) layout.text(`"${escaped(item.name)}" `);
    layout.text("{");
    layout.break(0, 2);
    printItems(layout, item.items);
    layout.break(0);
    layout.text("}");
    layout.close();
    return;
  }
  const { name, value } = item;
  layout.open(boxOf(value), value.kind === "list" || isLong(value) ? 0 : 2);
  layout.text(name);
  if (value.kind === "list") {
    const isOnePerLine = boxOf(value) === "vertical";
    layout.text(": [");
    if (value.values.length > 0) {
      layout.break(0, 2);
      layout.open(isOnePerLine ? "vertical" : "all-or-none");
      printAll(layout, value.values);
      layout.close();
      layout.break(0);
    }
    layout.text("]");
  } else {
    layout.text(":");
    if (isLong(value)) layout.text(" ");
    else layout.break(1);
    print(layout, value);
  }
  layout.close();
}

/** Lists with something in brackets or braces have an element a line. */
function boxOf(value: OpamValue): "vertical" | "all-or-none" | "fill" {
  if (value.kind !== "list") return "fill";
  const isNested = value.values.some(
    (element) => element.kind === "list" || (element.kind === "option" && element.options.length > 0),
  );
  return isNested ? "vertical" : "all-or-none";
}

const isLong = (value: OpamValue) => value.kind === "string" && value.value.includes("\n");

function printAll(layout: Layout, values: readonly OpamValue[]): void {
  for (const [i, value] of values.entries()) {
    if (i > 0) layout.break(1);
    print(layout, value);
  }
}

function print(layout: Layout, value: OpamValue): void {
  switch (value.kind) {
    case "boolean":
    case "integer":
      return layout.text(String(value.value));
    case "identifier":
      return layout.text(value.name);
    case "string":
      return printString(layout, value.value);
    case "list":
      layout.open("all-or-none");
      layout.text("[");
      layout.break(0, 2);
      layout.open("all-or-none");
      printAll(layout, value.values);
      layout.close();
      layout.break(0);
      layout.text("]");
      return layout.close();
    case "group":
      layout.open("all-or-none");
      layout.text("(");
      printAll(layout, value.values);
      layout.text(")");
      return layout.close();
    case "option":
      layout.open("fill", 2);
      print(layout, value.value);
      layout.break(1);
      layout.text("{");
      layout.open("all-or-none");
      printAll(layout, value.options);
      layout.close();
      layout.text("}");
      return layout.close();
    case "and":
    case "or":
      return printOperands(layout, value.operands, value.kind === "and" ? "&" : "|");
    case "prefix":
      layout.open("flat");
      layout.text(value.operator);
      print(layout, value.value);
      return layout.close();
    case "constraint":
      return printFlat(layout, value.operator, undefined, value.value);
    case "relation":
      return printFlat(layout, value.operator, value.left, value.right);
    case "assignment":
      return printFlat(layout, value.operator, value.target, value.value);
  }
}

/** `((a & b) & c)`: a box for each pair, opened in one loop, so that long chains need no deep stack. */
function printOperands(layout: Layout, operands: readonly OpamValue[], sign: string): void {
  for (let i = 1; i < operands.length; i++) layout.open("all-or-none");
  for (const [i, operand] of operands.entries()) {
    if (i > 0) {
      layout.text(" ");
      layout.text(sign);
      layout.break(1);
    }
    print(layout, operand);
    if (i > 0) layout.close();
  }
}

function printFlat(layout: Layout, operator: string, left: OpamValue | undefined, right: OpamValue): void {
  layout.open("flat");
  if (left !== undefined) {
    print(layout, left);
    layout.text(" ");
  }
  layout.text(operator);
  layout.break(1);
  print(layout, right);
  layout.close();
}

function printString(layout: Layout, text: string): void {
  if (!text.includes("\n")) {
    layout.text(`"${escaped(text)}"`);
    return;
  }
  const isFirstLineEmpty = text.startsWith("\n");
  // The parser skips blanks behind a newline that a backslash takes away.
  const [first = ""] = text;
  const blank = first === " " ? "\\ " : first === "\t" ? "\\t" : "";
  layout.text('"""');
  layout.text(isFirstLineEmpty ? "" : "\\\n");
  layout.text(blank + escapedLines(blank === "" ? text : text.slice(1)));
  layout.text('"""');
}

/** A line's end in CR LF would be read as LF alone. */
const escaped = (text: string) => text.replaceAll(/["\\]/g, "\\$&").replaceAll("\r\n", "\\r\n");

/** Between triple quotes: three quotes in a row, and one at the end, would end the text too early. */
const escapedLines = (text: string) => text.replaceAll(/"(?="")|"$|\\/g, "\\$&").replaceAll("\r\n", "\\r\n");
