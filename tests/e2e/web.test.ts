/**
 * The pages in a real browser, against the compiled server with real guests: set up, look, deploy, watch, stop,
 * remove; with scripts and without, on a desktop and on a phone.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { complaintsOf, needsBrowser, openBrowser } from "../browser.ts";
import { buildGuest } from "../guests/build.ts";
import { lacks } from "../needs.ts";
import { command, environment, temporaryDirectory, until } from "../robur.ts";

const PASSWORD = "correct horse battery";

const isWithout = lacks(needsBrowser());

interface World {
  readonly browser: Browser;
  readonly context: BrowserContext;
  readonly page: Page;
  readonly base: string;
  readonly setupUrl: string;
  /** What a page must not do: errors, refused files, requests to other hosts. */
  readonly faults: string[];
  readonly end: () => Promise<void>;
}

async function startWorld(): Promise<World> {
  const directory = temporaryDirectory();
  const server = Bun.spawn(
    await command([
      "serve",
      "--data-dir",
      directory,
      "--listen",
      "127.0.0.1:0",
      "--socket",
      join(directory, "s.sock"),
      "--stop-unikernels",
    ]),
    { stdin: "ignore", stdout: "pipe", stderr: "inherit", env: environment({ NOTIFY_SOCKET: undefined }) },
  );
  let output = "";
  void (async () => {
    for await (const piece of server.stdout) output += new TextDecoder().decode(piece);
  })();
  const setupUrl = await until("the set-up link", () => /http:\/\/\S+\/setup#\S+/.exec(output)?.[0]);
  const browser = await openBrowser();
  const context = await browser.newContext();
  const page = await context.newPage();
  const faults: string[] = [];
  const base = new URL(setupUrl).origin;
  watch(page, base, faults);
  const end = async () => {
    await browser.close();
    server.kill("SIGTERM");
    await server.exited;
  };
  return { browser, context, page, base, setupUrl, faults, end };
}

function watch(page: Page, base: string, faults: string[]): void {
  page.on("pageerror", (error) => faults.push(`${page.url()}: ${error.message}`));
  page.on("console", (message) => {
    // The browser itself reports every answer that isn't a success; the tests ask for some.
    const isStatus = message
      .text()
      .startsWith("Failed to load resource: the server responded with a status of 4");
    const isNotSetUp = message.text().includes("status of 503");
    if (message.type() === "error" && !isStatus && !isNotSetUp)
      faults.push(`${page.url()}: ${message.text()}`);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(base) && !request.url().startsWith("data:"))
      faults.push(`asks for ${request.url()}`);
  });
}

async function signIn(page: Page, base: string): Promise<void> {
  await page.goto(`${base}/sign-in`);
  await page.fill("#user", "hannes");
  await page.fill("#password", PASSWORD);
  await page.click("button:has-text('Sign in')");
  await page.waitForURL(`${base}/`);
}

describe.skipIf(isWithout)("the pages", () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld();
  }, 60_000);
  afterAll(async () => {
    await world?.end();
  });

  test("before set-up say how it is done, and the link does it", async () => {
    const { page, base, setupUrl } = world;
    await page.goto(base);
    expect(await page.textContent("main")).toContain("robur setup-url");
    await page.goto(setupUrl);
    // The secret doesn't stay in the browser's history.
    await until("the address without the secret", () => !page.url().includes("#"));
    expect(await page.isVisible("#secret")).toBe(false);
    await page.fill("#user", "hannes");
    await page.fill("#password", PASSWORD);
    await page.click("button[type=submit] >> text=Set up");
    await page.waitForURL(`${base}/`);
    expect(await page.locator(".choice").count()).toBe(3);
  });

  test("run the sample, and show its console", async () => {
    const { page } = world;
    await page.click("text=Run hello");
    await page.waitForURL(/\/unikernels\/hello$/);
    await page.waitForSelector(".console .line:has-text('Hello!')");
    await page.waitForSelector(".state:has-text('stopped')");
  });

  test("deploy an image that is uploaded, by a form that is made of it, and follow it live", async () => {
    const { page, base } = world;
    await page.goto(`${base}/deploy`);
    await page.setInputFiles("#image", await buildGuest("tick", "spt"));
    await page.click("button:has-text('Upload')");
    await page.waitForURL(/\/deploy\/[0-9a-f]{64}$/);
    expect(await page.textContent("main")).toContain("It wants no devices");
    await page.fill("#name", "not a name");
    await page.click("button:has-text('Create and start')");
    await page.waitForSelector("#name-error");
    await page.fill("#name", "clock");
    await page.fill("#args", "every=50");
    await page.click("button:has-text('Create and start')");
    await page.waitForURL(/\/unikernels\/clock$/);
    await page.waitForSelector(".live.on");
    const last = async () =>
      Number(/tick (\d+)$/.exec((await page.textContent(".console .line:last-child")) ?? "")?.[1]);
    const before = await last();
    await until("ten more lines", async () => (await last()) > before + 10);
    const numbers = await page.$$eval(".console .line", (lines) =>
      lines.map((line) => Number(/(\d+)$/.exec(line.textContent ?? "")?.[1])),
    );
    // Nothing twice and nothing left out where the page ends and the stream begins.
    expect(numbers).toEqual(Array.from(numbers, (_, i) => numbers[0]! + i));
  });

  test("stop, start and restart it, and show the state without being loaded again", async () => {
    const { page, context, base } = world;
    const other = await context.newPage();
    watch(other, base, world.faults);
    await other.goto(`${base}/unikernels`);
    await other.waitForSelector("tr:has-text('clock') .state:has-text('running')");
    await page.click("button[aria-label='Stop clock']");
    await page.waitForSelector(".page-head .state:has-text('stopped')");
    await other.waitForSelector("tr:has-text('clock') .state:has-text('stopped')", { timeout: 5000 });
    await other.click("button[aria-label='Start clock']");
    await other.waitForSelector("tr:has-text('clock') .state:has-text('running')");
    expect(other.url()).toBe(`${base}/unikernels`);
    await page.waitForSelector(".page-head .state:has-text('running')", { timeout: 5000 });
    await other.close();
  });

  test("keep the colours that were chosen, on the page and after it", async () => {
    const { page, base } = world;
    await page.goto(`${base}/unikernels`);
    const ground = () => page.evaluate("getComputedStyle(document.documentElement).backgroundColor");
    await page.emulateMedia({ colorScheme: "light" });
    const light = await ground();
    await page.click("button:has-text('Dark')");
    const dark = await ground();
    expect(dark).not.toBe(light);
    await page.waitForTimeout(200);
    await page.reload();
    expect(await ground()).toBe(dark);
    expect(await page.getAttribute("button:has-text('Dark')", "aria-pressed")).toBe("true");
    await page.click("button:has-text('Auto')");
    expect(await ground()).toBe(light);
  });

  test("fit a phone, are accessible in light and dark, and nothing on them fails", async () => {
    const { page, base } = world;
    const { sha256 } = (await page.evaluate(
      "fetch('/api/v1/images').then((r) => r.json()).then(({ images }) => images[0])",
    )) as { sha256: string };
    const paths = [
      "/",
      "/unikernels",
      "/unikernels/clock",
      "/unikernels/clock/console",
      "/unikernels/clock/remove",
      "/deploy",
      `/deploy/${sha256}`,
      "/reference",
      "/nothing",
    ];
    const complaints: string[] = [];
    for (const path of paths) {
      for (const width of [390, 1280]) {
        await page.setViewportSize({ width, height: 844 });
        await page.emulateMedia({ colorScheme: width === 390 ? "dark" : "light", reducedMotion: "reduce" });
        await page.goto(`${base}${path}`);
        const over = await page.evaluate(
          "document.documentElement.scrollWidth - document.documentElement.clientWidth",
        );
        if (over !== 0) complaints.push(`${path} is ${String(over)} pixels too wide for ${width}`);
        complaints.push(...(await complaintsOf(page)));
      }
    }
    expect(complaints).toEqual([]);
  }, 120_000);

  test("work without scripts, for reading and for forms", async () => {
    const { browser, base } = world;
    const context = await browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    await signIn(page, base);
    await page.goto(`${base}/unikernels/clock`);
    expect(await page.textContent(".console")).toContain("tick");
    await page.click("button[aria-label='Stop clock']");
    await page.waitForSelector(".page-head .state:has-text('stopped')");
    await page.click("text=All lines");
    expect(await page.textContent(".console")).toContain("tick 1");
    await page.goto(`${base}/deploy`);
    await page.setInputFiles("#image", await buildGuest("hello", "spt"));
    await page.click("button:has-text('Upload')");
    await page.fill("#name", "plain");
    await page.click("button:has-text('Create and start')");
    await page.waitForURL(/\/unikernels\/plain$/);
    await page.click("text=Remove …");
    await page.click("main button");
    await page.waitForURL(`${base}/unikernels`);
    expect(await page.textContent("main")).not.toContain("plain");
    await page.click("button:has-text('Sign out')");
    await page.waitForURL(`${base}/sign-in`);
    await page.goto(`${base}/unikernels`);
    expect(page.url()).toBe(`${base}/sign-in?next=%2Funikernels`);
    expect(await page.textContent("main")).toContain("Password");
    await context.close();
  });

  test("ask before they remove, and then it is gone", async () => {
    const { page, base } = world;
    await page.goto(`${base}/unikernels/clock/remove`);
    await page.click("main button");
    await page.waitForURL(`${base}/unikernels`);
    expect(await page.locator("tr:has-text('clock')").count()).toBe(0);
  });

  test("did nothing all the while that a page must not do", () => {
    expect(world.faults).toEqual([]);
  });
});
