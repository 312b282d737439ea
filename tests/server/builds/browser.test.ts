/** The pages of builds in a real browser: whole, accessible, on a phone as well, and deaf to what builds say. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { complaintsOf, needsBrowser, openBrowser } from "../../browser.ts";
import { lacks } from "../../needs.ts";
import { PASSWORD, type Served, serveBuilds } from "./served.ts";
import { fillWorld } from "./world.ts";

const isWithout = lacks(needsBrowser());

/** The longest names that are taken, without a place to break them. */
const LONG_JOB = "j".repeat(128);
const LONG_PLATFORM = "p".repeat(128);

/** Whatever a builder may say, as somebody would who means harm. */
const EVIL = `<img src=x onerror="document.title='hacked'"><script>document.title='hacked'</script>`;
const EVIL_README = `# ${EVIL}
[click](javascript:document.title='hacked') ![x](javascript:alert(1)) [d](data:text/html,x) [v](vbscript:x)
<svg onload="document.title='hacked'"></svg>
<iframe src="https://evil.example/"></iframe>

<div onclick="x">

\`<b>code</b>\` [${EVIL}](https://ok.example/"onmouseover="x)

| ${EVIL} | b |
|---|---|
| ![](https://evil.example/x.png) | <style>*{display:none}</style> |

[a]: https://evil.example/
[ref][a]
`;

describe.skipIf(isWithout)("the pages of builds", () => {
  let served: Served;
  let browser: Browser;
  let evil = "";
  const paths: Record<string, string> = {};
  const send = (path: string, body: FormData) =>
    fetch(`http://robur${path}`, { method: "POST", body, unix: served.socket } as RequestInit);

  beforeAll(async () => {
    served = await serveBuilds();
    browser = await openBrowser();
    await fillWorld(send, Date.now());
    const form = new FormData();
    form.append(
      "build",
      JSON.stringify({ platform: "p", result: { kind: "message", text: EVIL }, worker: EVIL, script: EVIL }),
    );
    form.append("console", new Blob([`0.1s:${EVIL}\n\x1b]0;x\x07${EVIL}\n`]), "c");
    form.append("bin/a", new Blob([EVIL]), "f");
    form.append("file", new Blob([EVIL]), "doc/x.html");
    form.append("opam-switch", new Blob([`opam-version: "2.0"\n${EVIL}`]), "f");
    form.append("build-environment", new Blob([`${EVIL}=${EVIL}\n`]), "f");
    form.append("README.md", new Blob([EVIL_README]), "f");
    const answer = await send("/api/v1/jobs/evil/builds", form);
    expect(answer.status).toBe(201);
    evil = ((await answer.json()) as { build: { id: string } }).build.id;
    const long = new FormData();
    long.append("build", JSON.stringify({ platform: LONG_PLATFORM, result: { kind: "exited", code: 0 } }));
    long.append("console", new Blob([`0.1s:${"y".repeat(3000)}\n`]), "c");
    long.append("file", new Blob(["x"]), `bin/${"x".repeat(200)}`);
    long.append("file", new Blob(["y"]), `doc/\u202egnp.${"d".repeat(200)}`);
    const longAnswer = await send(`/api/v1/jobs/${LONG_JOB}/builds`, long);
    expect(longAnswer.status).toBe(201);
    const longId = ((await longAnswer.json()) as { build: { id: string } }).build.id;
    const ids = async (kind: string) => {
      const list = await fetch(`${served.base}/api/v1/jobs/dns-primary-git/builds?kind=${kind}`);
      return ((await list.json()) as { builds: { id: string }[] }).builds.map(({ id }) => id);
    };
    const good = await ids("successful");
    const [failed] = await ids("failed");
    Object.assign(paths, {
      index: "/",
      all: "/all-builds?order=size&q=a",
      none: "/all-builds?q=zzz",
      job: "/job/dns-primary-git?platform=debian-12",
      "failed runs": "/job/tlstunnel/failed",
      build: `/job/dns-primary-git/build/${good[0]}`,
      "failed build": `/job/dns-primary-git/build/${failed}`,
      compare: `/compare/${good[9]}/${good[0]}`,
      choose: "/compare?job=dns-primary-git",
      "failed builds": "/failed-builds",
      search: "/search?q=dns",
      "no search": "/search?q=x509+%3C",
      log: `/job/dns-primary-git/build/${failed}/log`,
      missing: "/job/nothing",
      "search help": "/search",
      "search for another hash": `/search?q=${"ab".repeat(64)}`,
      "long job": `/job/${LONG_JOB}`,
      "long build": `/job/${LONG_JOB}/build/${longId}`,
      "long log": `/job/${LONG_JOB}/build/${longId}/log`,
      "long compare": `/compare/${longId}/${good[0]}`,
      "evil job": "/job/evil",
      "evil build": `/job/evil/build/${evil}`,
      "evil log": `/job/evil/build/${evil}/log?q=img`,
      "evil compare": `/compare/${evil}/${good[0]}`,
      "evil search": `/search?q=${encodeURIComponent(EVIL)}`,
      "evil filter": `/all-builds?q=${encodeURIComponent(EVIL)}&section=${encodeURIComponent(EVIL)}`,
    });
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await served?.stop();
  });

  /** Goes through all pages; answers what was wrong. */
  async function walk(options: BrowserContextOptions, look: (page: Page, name: string) => Promise<string[]>) {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const faults: string[] = [];
    page.on("pageerror", (error) => faults.push(`${page.url()}: ${error.message}`));
    page.on("request", (request) => {
      if (!request.url().startsWith(served.base)) faults.push(`${page.url()} asks for ${request.url()}`);
    });
    page.on("console", (message) => {
      const isStatus = message.text().includes("status of 404");
      if (message.type() === "error" && !isStatus) faults.push(`${page.url()}: ${message.text()}`);
    });
    for (const [name, path] of Object.entries(paths)) {
      await page.goto(served.base + path);
      if ((await page.title()) === "hacked") faults.push(`${name}: a script ran`);
      faults.push(...(await look(page, name)));
    }
    await context.close();
    return faults;
  }

  async function complaints(page: Page, name: string): Promise<string[]> {
    // What is folded is a part of the page as well.
    await page.evaluate(
      "for (const d of document.querySelectorAll('details:not(.picture):not(.menu)')) d.open = true",
    );
    // A phone's own innerWidth grows with what is too wide.
    const width = page.viewportSize()?.width ?? 0;
    const overflow = await page.evaluate(`document.documentElement.scrollWidth - ${width}`);
    return [
      ...(await complaintsOf(page)).map((complaint) => `${name}: ${complaint}`),
      ...(Number(overflow) > 0 ? [`${name} is ${String(overflow)} pixels too wide`] : []),
      ...(await squeezed(page, name)),
    ];
  }

  /** Text that stands in a column of single letters, or that the edge of its card cuts off. */
  async function squeezed(page: Page, name: string): Promise<string[]> {
    return await page
      .evaluate(
        `(() => {
      const bad = [];
      for (const e of document.querySelectorAll("main :is(td, dd, h1, h2, p), main li:not(.strip li)")) {
        const { width, height, right } = e.getBoundingClientRect();
        if (width === 0 || height === 0 || e.querySelector(".strip") !== null) continue;
        if (width < 30 && e.textContent.trim().length > 5) bad.push("squeezed: " + e.textContent.trim().slice(0, 40));
        const card = e.closest(".table-card")?.getBoundingClientRect();
        if (card !== undefined && right > card.right + 1) bad.push("cut off: " + e.textContent.trim().slice(0, 40));
      }
      return bad.slice(0, 3);
    })()`,
      )
      .then((found) => (found as string[]).map((text) => `${name}: ${text}`));
  }

  test("are accessible, fit a desktop, and run nothing that a build says", async () => {
    const options = { viewport: { width: 1280, height: 900 }, colorScheme: "light" } as const;
    expect(await walk(options, complaints)).toEqual([]);
  }, 180_000);

  test("are accessible and fit a phone, in the dark", async () => {
    const options = {
      viewport: { width: 390, height: 844 },
      colorScheme: "dark",
      isMobile: true,
      hasTouch: true,
    } as const;
    expect(await walk(options, complaints)).toEqual([]);
  }, 180_000);

  test("fit a tablet, where the bar leaves little room", async () => {
    const look = async (page: Page, name: string) => {
      const overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
      const tooWide = Number(overflow) > 0 ? [`${name} is ${String(overflow)} pixels too wide`] : [];
      return [...tooWide, ...(await squeezed(page, name))];
    };
    expect(await walk({ viewport: { width: 820, height: 1180 } }, look)).toEqual([]);
  }, 120_000);

  test("show the end of a console first, and what binaries say when it is there", async () => {
    const context = await browser.newContext({ viewport: { width: 390, height: 844 } });
    const page = await context.newPage();
    await page.goto(served.base + paths["failed build"]!);
    const isEndSeen = await page.evaluate(`(() => {
      const box = document.querySelector(".console.tail");
      const { bottom } = box.querySelector(".line:last-child").getBoundingClientRect();
      return box.scrollHeight > box.clientHeight && bottom <= box.getBoundingClientRect().bottom;
    })()`);
    expect(isEndSeen).toBe(true);
    await page.goto(served.base + paths["compare"]!);
    await page.locator("#inside h2", { hasText: "Sections of" }).waitFor();
    await context.close();
  }, 60_000);

  test("are whole without scripts: everything is found by links and forms", async () => {
    const context = await browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    await page.goto(served.base);
    await page.selectOption("select[name=status]", "failing");
    await page.click("form.filter button");
    const names = await page.locator("td.name > a").allTextContents();
    expect(names.sort()).toEqual(["dns-primary-git", "never-good", "tlstunnel"]);
    await page.click("text=dns-primary-git");
    await page.locator("input[name=left]").last().check();
    await page.click("text=Compare the chosen two");
    expect(await page.locator("h1").textContent()).toBe("Comparing builds");
    expect(await page.locator("#opam-packages-version-diff li").count()).toBeGreaterThan(0);
    await page.goto(`${served.base}/search?q=tlstunnel`);
    expect(await page.locator("tbody tr").count()).toBe(16);
    await context.close();
  }, 60_000);

  test("an administrator keeps a build, and removes one", async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(`${served.base}/sign-in`);
    await page.fill("#user", "root");
    await page.fill("#password", PASSWORD);
    await page.click("button:has-text('Sign in')");
    await page.waitForURL(`${served.base}/`);
    // The start shows how builds are doing.
    expect(await page.locator(".home-builds li").count()).toBeGreaterThan(3);
    await page.setViewportSize({ width: 390, height: 844 });
    expect(await page.evaluate<number>("document.documentElement.scrollWidth")).toBeLessThanOrEqual(390);
    await page.goto(`${served.base}/job/evil/build/${evil}`);
    await page.click("text=Keep for good");
    expect(await page.locator(".badges").textContent()).toContain("kept");
    await page.click("text=Remove this build");
    await page.click("text=Remove for good");
    const { status } = await fetch(`${served.base}/job/evil/build/${evil}`);
    expect(status).toBe(404);
    await context.close();
  }, 60_000);
});
