/** A real browser for tests of pages: Debian's Chromium, started so that it asks nobody else for anything. */
import axe from "axe-core";
import { existsSync } from "node:fs";
import { type Browser, type Page, chromium } from "playwright-core";

const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((path) => existsSync(path));
const FLAGS = [
  ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
];

export function needsBrowser(): string | undefined {
  return CHROMIUM === undefined ? "there is no chromium: apt-get install chromium" : undefined;
}

export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM!, args: FLAGS });
}

/** What is in the way of those who can't see the page, or don't use a mouse. */
export async function complaintsOf(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const found = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })");
  const { violations } = found as axe.AxeResults;
  return violations.map(
    ({ id, nodes }) => `${page.url()}: ${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`,
  );
}
