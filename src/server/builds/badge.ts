/** How a job stands, as a small picture for other people's pages. Pure. */
import type { Reproducibility } from "../../../web/components/builds.tsx";
import type { BuildSummary } from "../../store/api.ts";

export interface Badge {
  readonly label: string;
  readonly word: string;
  readonly tone: "good" | "bad" | "plain";
}

/** The words of the newest run. `reproduced`: what other builds say of it. */
export function badgeOf(
  label: string,
  newest: BuildSummary | undefined,
  reproduced: Reproducibility | undefined,
): Badge {
  if (newest === undefined) return { label, word: "no builds", tone: "plain" };
  switch (reproduced?.kind) {
    case undefined:
      return { label, word: "failed", tone: "bad" };
    case "differs":
      return { label, word: "not reproducible", tone: "bad" };
    case "unconfirmed":
      return { label, word: "built", tone: "good" };
    case "reproduced":
      return { label, word: `reproduced ×${reproduced.builds + reproduced.rebuilds}`, tone: "good" };
  }
}

const COLOURS: Readonly<Record<Badge["tone"], string>> = {
  good: "#48662f",
  bad: "#a72c1c",
  plain: "#5a5e4e",
};
/** Pixels of the height, beside a text, and of a letter on average; browsers then fit the text to the room. */
const HEIGHT = 20;
const BESIDE = 7;
const LETTER = 6.4;

/** An SVG that needs nothing else. */
export function badgeSvg({ label, word, tone }: Badge): string {
  const widths = [label, word].map((text) => Math.round(text.length * LETTER) + 2 * BESIDE);
  const [left = 0, right = 0] = widths;
  const text = (at: number, width: number, words: string) =>
    `<text x="${at + BESIDE}" y="14" textLength="${width - 2 * BESIDE}">${Bun.escapeHTML(words)}</text>`;
  const title = Bun.escapeHTML(`${label}: ${word}`);
  const width = left + right;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${HEIGHT}" viewBox="0 0 ${width} ${HEIGHT}" role="img" aria-label="${title}"><title>${title}</title><rect width="${width}" height="${HEIGHT}" rx="4" fill="#20241a"/><path d="M${left} 0h${right - 4}a4 4 0 0 1 4 4v${HEIGHT - 8}a4 4 0 0 1-4 4h-${right - 4}z" fill="${COLOURS[tone]}"/><g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">${text(0, left, label)}${text(left, right, word)}</g></svg>
`;
}
