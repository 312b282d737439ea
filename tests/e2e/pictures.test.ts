/** Pictures of builds in a real browser, drawn by the compiled server: opened, searched and walked through by keys. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { Browser } from "playwright-core";
import { complaintsOf, needsBrowser, openBrowser } from "../browser.ts";
import { TestServer } from "../commands/client-server.ts";
import { compileC } from "../image/compiled.ts";
import { lacks, needsCommands } from "../needs.ts";
import { generateExport } from "../opam/generate-export.ts";
import { temporaryDirectory } from "../robur.ts";
import { recordBytes } from "../store/builds/lab.ts";

const PATH = "/job/hello/build/08455214-8a9b-413a-b116-a65353dc0743";
const isWithout = lacks(needsBrowser() ?? needsCommands("gcc"));

describe.skipIf(isWithout)("pictures in a browser", () => {
  const here = temporaryDirectory();
  let server: TestServer;
  let browser: Browser;
  const faults: string[] = [];

  async function open(path: string, options: { readonly width?: number; readonly scripts?: boolean } = {}) {
    const { width = 1280, scripts = true } = options;
    const page = await browser.newPage({ viewport: { width, height: 844 }, javaScriptEnabled: scripts });
    page.setDefaultTimeout(10_000);
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") faults.push(message.text());
    });
    await page.goto(server.address + path);
    return page;
  }

  beforeAll(async () => {
    server = await TestServer.start();
    const binary = new Uint8Array(readFileSync(compileC(here, "-g", "-static")));
    const body = await recordBytes({
      files: [
        ["bin/hello.hvt", binary],
        ["hello.hvt.debug", binary],
        ["opam-switch", generateExport()],
      ],
    });
    const answer = await fetch("http://localhost/upload", { unix: server.socket, method: "POST", body });
    expect([answer.status, await answer.text()]).toEqual([201, ""]);
    browser = await openBrowser();
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    await server?.[Symbol.asyncDispose]();
  });

  test.each(["viztreemap", "viztreemap?fine", "vizdependencies", "vizdependencies?at=lib-3"])(
    "%s has nothing in the way of those who can't see it",
    async (path) => {
      const page = await open(`${PATH}/${path}`);
      await page.getByRole("searchbox").waitFor();
      expect(await complaintsOf(page)).toEqual([]);
      await page.close();
    },
  );

  test("a box opens where it is clicked, and Escape goes back", async () => {
    const page = await open(`${PATH}/viztreemap`);
    await page.getByRole("searchbox").waitFor();
    await page
      .locator(".wide [data-name='C']")
      .first()
      .click({ position: { x: 20, y: 8 } });
    await page.locator(".treemap-path b", { hasText: "C" }).waitFor();
    expect(new URL(page.url()).search).toBe("");
    await page.getByRole("searchbox").fill("mpn_double");
    await page.locator(".treemap-path a").first().focus();
    await page.keyboard.press("Escape");
    await page.locator(".treemap-path b", { hasText: "All that is loaded" }).waitFor();
    await page.close();
    expect(faults).toEqual([]);
  });

  test("what is pointed at is told, and what is looked for is marked", async () => {
    const page = await open(`${PATH}/viztreemap?fine`);
    await page.getByRole("searchbox").fill("counters");
    await page.getByText(/^[1-9]\d* found$/).waitFor();
    expect(await page.locator(".wide .found").count()).toBeGreaterThan(0);
    await page.locator(".wide .found").first().hover();
    await page.locator(".treemap-note", { hasText: "counters" }).waitFor();
    await page.close();
    expect(faults).toEqual([]);
  });

  test("without scripts links do the same", async () => {
    const page = await open(`${PATH}/viztreemap`, { scripts: false });
    await page
      .locator(".wide [data-name='C']")
      .first()
      .click({ position: { x: 20, y: 8 } });
    expect(new URL(page.url()).search).toBe("?at=C");
    await page.goto(`${server.address}${PATH}/vizdependencies`);
    await page.locator(".package[data-name='lib-3']").click();
    expect(new URL(page.url()).search).toBe("?at=lib-3");
    expect(await page.locator(".graph-note").textContent()).toContain("Needed by");
    await page.close();
    expect(faults).toEqual([]);
  });

  test("a package shows its lines by the pointer and by keys, and is chosen in place", async () => {
    const page = await open(`${PATH}/vizdependencies`);
    await page.getByRole("searchbox").waitFor();
    const root = page.locator(".package").first();
    await root.hover();
    expect(await page.locator(".edge.down").count()).toBeGreaterThan(0);
    await page.locator("h1").hover();
    expect(await page.locator(".edge.down").count()).toBe(0);
    await root.focus();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.locator(".graph-note", { hasText: "Depends on" }).waitFor();
    expect(await page.locator(".package.chosen").count()).toBe(1);
    await page.keyboard.press("Escape");
    await page.locator(".package.chosen").waitFor({ state: "detached" });
    await page.close();
    expect(faults).toEqual([]);
  });

  test("on a phone nothing is wider than the page", async () => {
    for (const path of ["viztreemap", "viztreemap?fine", "vizdependencies"]) {
      const page = await open(`${PATH}/${path}`, { width: 390 });
      await page.getByRole("searchbox").waitFor();
      expect(await page.evaluate<number>("document.documentElement.scrollWidth")).toBeLessThanOrEqual(390);
      await page.close();
    }
    expect(faults).toEqual([]);
  });
});
