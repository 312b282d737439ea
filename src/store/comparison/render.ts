/** A comparison as text for a terminal, and as Markdown for a comment on a change. */
import { formatDuration } from "../../lib/duration.ts";
import { visible } from "../../lib/errors.ts";
import { formatSize } from "../../lib/units.ts";
import type { ComparedBuild, Comparison } from "./comparison.ts";
import { type Section, type SectionLine, formatGrowth, isSame, sectionsOf } from "./sections.ts";
import { resultText } from "../../protocols/builder/result-text.ts";

const MARKS: Readonly<Record<SectionLine["kind"], string>> = {
  added: "+",
  removed: "-",
  changed: "!",
  noise: " ",
  note: " ",
};
const COLOURS: Readonly<Record<SectionLine["kind"], string>> = {
  added: "\x1b[32m",
  removed: "\x1b[31m",
  changed: "\x1b[33m",
  noise: "\x1b[2m",
  note: "",
};
const BOLD = "\x1b[1m";
const PLAIN = "\x1b[0m";

/** The summary first, then each section. Control characters in other people's text are spelled out. */
export function renderText(comparison: Comparison, options: { readonly isColoured: boolean }): string {
  const paint = (colour: string, text: string) =>
    options.isColoured && colour !== "" ? `${colour}${text}${PLAIN}` : text;
  const sections = sectionsOf(comparison);
  const out = [
    `${paint(BOLD, "left")}   ${visible(describe(comparison.left))}`,
    `${paint(BOLD, "right")}  ${visible(describe(comparison.right))}`,
    "",
    ...summary(comparison, sections).map(visible),
  ];
  for (const { title, lines, blocks } of sections) {
    out.push("", paint(BOLD, title));
    for (const { kind, text } of lines) out.push(paint(COLOURS[kind], `  ${MARKS[kind]} ${visible(text)}`));
    for (const block of blocks) {
      out.push(paint(BOLD, `  ${visible(block.title)}`));
      for (const text of visible(block.text).trimEnd().split("\n"))
        out.push(`    ${block.kind === "diff" ? paint(diffColour(text), text) : text}`);
    }
  }
  return `${out.join("\n")}\n`;
}

function diffColour(text: string): string {
  if (text.startsWith("+")) return COLOURS.added;
  if (text.startsWith("-")) return COLOURS.removed;
  return text.startsWith("@@") ? "\x1b[36m" : "";
}

/** Characters; a comment on GitHub takes 65536. */
const MARKDOWN_LIMIT = 60_000;

/** The summary, then each section in a part that unfolds. */
export function renderMarkdown(comparison: Comparison): string {
  const sections = sectionsOf(comparison);
  let out = [
    `### ${isSame(comparison) ? "Same" : "Different"}: ${code(comparison.left.name)} and ${code(comparison.right.name)}`,
    "",
    ...summary(comparison, sections).map((text) => `- ${escapeMarkdown(text)}`),
    "",
  ].join("\n");
  for (const { title, count, lines, blocks } of sections) {
    const body = [
      ...lines.map(({ kind, text }) => `${MARKS[kind]} ${visible(text).replaceAll("\n", "\\n")}`),
      ...blocks.flatMap((block) => ["", visible(block.text).trimEnd()]),
    ].join("\n");
    const fence = "`".repeat(Math.max(3, longestRun(body) + 1));
    const heading = count === 0 ? title : `${title} (${count})`;
    const part = `\n<details><summary>${Bun.escapeHTML(heading)}</summary>\n\n${fence}diff\n${body.replace(/^\n+/, "")}\n${fence}\n\n</details>\n`;
    if (out.length + part.length <= MARKDOWN_LIMIT) out += part;
    else out += `\n${escapeMarkdown(heading)}: too long to be shown here.\n`;
  }
  return out;
}

const longestRun = (text: string) =>
  (text.match(/`+/g) ?? []).reduce((longest, run) => Math.max(longest, run.length), 0);

function code(text: string): string {
  const fence = "`".repeat(longestRun(text) + 1);
  const space = text.startsWith("`") || text.endsWith("`") ? " " : "";
  return `${fence}${space}${visible(text).replaceAll("\n", " ")}${space}${fence}`;
}

const escapeMarkdown = (text: string) => visible(text).replaceAll(/[\\`*_{}[\]<>#|~&@]/g, "\\$&");

function describe({ name, platform, startedAt, result }: ComparedBuild): string {
  const facts = [
    ...(platform === undefined ? [] : [platform]),
    ...(startedAt === undefined
      ? []
      : [`${new Date(startedAt).toISOString().slice(0, 16).replace("T", " ")} UTC`]),
    ...(result === undefined ? [] : [resultText(result)]),
  ];
  return facts.length === 0 ? name : `${name}  ${facts.join(", ")}`;
}

const INPUTS = ["opam-switch", "build-environment", "system-packages"] as const;

/** The answer first: is it the same; then how many differences there are of each kind. */
function summary(comparison: Comparison, sections: readonly Section[]): string[] {
  const counted = sections.filter(({ count }) => count > 0);
  const { left, right, isSameOutput, duration } = comparison;
  const lines: string[] = [];
  if (isSameOutput === true) lines.push(`same output: ${left.main?.path} ${left.main?.sha256.slice(0, 12)}`);
  else if (isSameOutput === false && left.main !== undefined && right.main !== undefined) {
    const size = formatGrowth(right.main.size, right.main.size - left.main.size);
    lines.push(`other output: ${right.main.path}, ${size}`);
    // By name: what isn't known has no place in JSON.
    if (INPUTS.every((path) => comparison.inputs[path] === true))
      lines.push("the inputs are the same: this is not reproducible");
  } else if (left.main !== undefined || right.main !== undefined) {
    const [side, main] = left.main === undefined ? ["right", right.main] : ["left", left.main];
    lines.push(`only the ${side} one has a main binary: ${main?.path}, ${formatSize(main?.size ?? 0)}`);
  }
  if (duration !== undefined)
    lines.push(`duration: ${formatDuration(duration.left)} -> ${formatDuration(duration.right)}`);
  if (counted.length === 0) lines.push("no differences but those of time and place");
  return [...lines, ...counted.map(({ title, count }) => `${title}: ${count}`)];
}
