import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { readDeployForm } from "../../src/server/pages/deploy-form.ts";
import { groupId } from "../../src/server/listen.ts";
import { parseListen, reachableUrls } from "../../src/server/addresses.ts";
import { formatMetrics } from "../../src/server/routes/metrics.ts";
import { formatLine } from "../../src/server/log.ts";
import { ansiRuns } from "../../web/components/ansi.ts";
import { niceCeiling } from "../../web/components/chart.tsx";
import { relative, span } from "../../web/components/format.ts";
import { IMAGE, SHA, line, view } from "./fake-orchestrator.ts";
import { createHarness } from "./harness.ts";

const PAGES = [
  "/",
  "/unikernels",
  "/unikernels/alice:web",
  "/unikernels/alice:web?course=day",
  "/unikernels/alice:web/console",
  "/unikernels/alice:web/remove",
  "/deploy",
  `/deploy/${SHA}`,
  "/reference",
  "/sign-in",
  "/nothing",
];

describe("pages", () => {
  test("have no script and no style in them, and load nothing from elsewhere", async () => {
    const harness = createHarness();
    const cookie = harness.cookie(harness.user("root", "admin"));
    for (const path of PAGES) {
      const text = await (await harness.ask(path, { page: true, cookie })).text();
      expect(text).not.toMatch(/<script(?![^>]*\bsrc="\/assets\/)/);
      expect(text).not.toMatch(/<style|\sstyle=|\son\w+=|javascript:/);
      expect(text).not.toMatch(/(?:src|action)="(?:https?:)?\/\//);
      expect(text).not.toContain("undefined");
      expect(text).not.toContain("[object");
    }
  });

  test("show what guests and users write as text", async () => {
    const harness = createHarness();
    const evil = `<img src=x onerror=alert(1)>"'&\x1b[31m<b>red\x1b[0m`;
    harness.orchestrator.lines.splice(0, 3, line(9, evil));
    harness.orchestrator.unikernels.push(
      view("web", { reason: evil, config: { ...view("x").config, args: [evil] } }),
    );
    for (const path of ["/unikernels/web", "/unikernels/web/console", "/"]) {
      const text = await (await harness.ask(path, { page: true, socket: true })).text();
      expect(text).not.toContain("<img src=x");
      expect(text).not.toContain("<b>red");
    }
    const text = await (await harness.ask("/unikernels/web", { page: true, socket: true })).text();
    expect(text).toContain('<span class="a-f1">&lt;b>red</span>');
  });

  test("lead who isn't signed in to do that, and back", async () => {
    const harness = createHarness();
    harness.user("root", "admin");
    const answer = await harness.ask("/unikernels/a:b?course=day", { page: true });
    expect([answer.status, answer.headers.get("location")]).toEqual([
      303,
      `/sign-in?next=${encodeURIComponent("/unikernels/a:b?course=day")}`,
    ]);
  });

  test("keep the colours that were chosen", async () => {
    const harness = createHarness();
    harness.user("root", "admin");
    const chosen = await harness.ask("/theme", { form: { theme: "dark", back: "/deploy" } });
    expect([chosen.status, chosen.headers.get("location")]).toEqual([303, "/deploy"]);
    const cookie = chosen.headers.get("set-cookie")!.split(";")[0]!;
    expect(await (await harness.ask("/sign-in", { page: true, cookie })).text()).toContain(
      'data-theme="dark"',
    );
    expect(await (await harness.ask("/sign-in", { page: true })).text()).not.toContain("data-theme");
  });

  test("offer nothing that their visitor may not do", async () => {
    const harness = createHarness();
    const token = harness.token(harness.user("alice"), "read");
    const text = await (await harness.ask("/unikernels/alice:web", { page: true, token })).text();
    expect(text).not.toMatch(/action="\/unikernels|\/remove"|href="\/deploy"/);
  });

  test("the browser's files are kept for ever under names of their content", async () => {
    const harness = createHarness();
    harness.user("root", "admin");
    const text = await (await harness.ask("/sign-in", { page: true })).text();
    const files = [...text.matchAll(/"(\/assets\/[^"]+)"/g)].map(([, file]) => file!);
    expect(files.length).toBeGreaterThan(2);
    for (const file of files) {
      const answer = await harness.ask(file, { headers: { "accept-encoding": "gzip" } });
      expect(answer.status).toBe(200);
      expect(answer.headers.get("cache-control")).toContain("immutable");
      expect(answer.headers.get("content-encoding")).toBe("gzip");
    }
    expect((await harness.ask("/assets/../robur.db")).status).toBe(404);
    expect((await harness.ask("/assets/constructor")).status).toBe(404);
  });
});

describe("the form of a new unikernel", () => {
  const fields = { name: "web", memory: "32", "net.service": "robur0", "block.data": "vol" };

  test("becomes a request", () => {
    const result = readDeployForm(
      {
        ...fields,
        args: " --a=1 \r\n\r\n--b=2 3",
        cpus: "0, 1",
        publish: "8080:80\n53:53/udp",
        restart: "no",
      },
      IMAGE,
    );
    expect(result).toEqual({
      ok: true,
      wanted: {
        name: "web" as never,
        replace: false,
        config: {
          args: ["--a=1", "--b=2 3"],
          memoryMb: 32,
          priority: 50,
          cpus: [0, 1],
          networks: [{ device: "service", network: "robur0", mac: null, address: null }],
          blocks: [{ device: "data", volume: "vol", sectorSize: null }],
          publish: [
            { protocol: "tcp", hostAddress: null, hostPort: 8080, guestPort: 80 },
            { protocol: "udp", hostAddress: null, hostPort: 53, guestPort: 53 },
          ],
          restart: { kind: "no" },
        },
      },
    });
  });

  test("says at each field what is wrong with it", () => {
    const wrong = { name: "-", memory: "0", cpus: "x", publish: "80", priority: "1001" };
    const result = readDeployForm(wrong, IMAGE);
    expect(result.ok).toBe(false);
    if (result.ok) return;
    const named = ["name", "memory", "cpus", "publish", "priority", "net.service", "block.data"];
    expect(Object.keys(result.errors).sort()).toEqual(named.sort());
  });

  test("shown again it has what was typed, and what is wrong beside it", async () => {
    const harness = createHarness();
    const form = { ...fields, name: "bad name", args: "--kept=1" };
    const answer = await harness.ask(`/deploy/${SHA}`, { form, socket: true, page: true });
    const text = await answer.text();
    expect(answer.status).toBe(422);
    expect(text).toContain('value="bad name"');
    expect(text).toContain("--kept=1");
    expect(text).toContain('id="name-error"');
    expect(text).toContain('aria-invalid="true"');
  });
});

describe("colours of a console", () => {
  test("become class names, and nothing of the escape sequence is left", () => {
    expect(ansiRuns("a\x1b[1;31mb\x1b[0mc")).toEqual([
      { text: "a", classes: "" },
      { text: "b", classes: "a-bold a-f1" },
      { text: "c", classes: "" },
    ]);
    expect(ansiRuns("\x1b[38;5;196mx\x1b[39my")).toEqual([
      { text: "x", classes: "a-f9" },
      { text: "y", classes: "" },
    ]);
    expect(ansiRuns("\x1b[38;2;10;200;20;1mx")).toEqual([{ text: "x", classes: "a-bold a-f2" }]);
  });

  test("keep all text, in order, whatever comes", () => {
    const sequence = fc.stringMatching(/^[\d;]{0,12}$/).map((codes) => `\x1b[${codes}m`);
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), sequence)), (parts) => {
        const whole = parts.join("");
        const text = ansiRuns(whole)
          .map((run) => run.text)
          .join("");
        // oxlint-disable-next-line no-control-regex
        expect(text).toBe(whole.replaceAll(/\x1b\[[\d;]{0,32}m/g, ""));
      }),
    );
  });
});

describe("small things", () => {
  test("axes end at a round number not below the highest value", () => {
    fc.assert(
      fc.property(fc.double({ min: 0.001, max: 1e9, noNaN: true }), (value) => {
        expect(niceCeiling(value, "percent")).toBeGreaterThanOrEqual(value * 0.99);
        expect(niceCeiling(value, "size")).toBeGreaterThanOrEqual(value);
      }),
    );
    expect(niceCeiling(0.34, "percent")).toBeCloseTo(0.5);
  });

  test("spans of time", () => {
    expect([59_999, 60_000, 7_200_000, 200_000_000].map(span)).toEqual(["59 s", "1 min", "2 h", "2 d"]);
    expect([relative(0, 1000), relative(0, 61_000), relative(90_000, 0)]).toEqual([
      "just now",
      "1 min ago",
      "in 1 min",
    ]);
  });

  test("addresses to listen on", () => {
    expect(parseListen("127.0.0.1:8080")).toEqual({ host: "127.0.0.1", port: 8080 });
    expect(parseListen("[::1]:80")).toEqual({ host: "::1", port: 80 });
    expect(parseListen(":9000")).toEqual({ host: "0.0.0.0", port: 9000 });
    expect(parseListen("9000")).toEqual({ host: "127.0.0.1", port: 9000 });
    for (const wrong of ["", "a", "1:99999", "::1:80", "127.0.0.1:"])
      expect(() => parseListen(wrong)).toThrow("--listen");
  });

  test("a set-up link is printed for each address that a browser can reach", () => {
    const entry = (address: string, family: "IPv4" | "IPv6", internal = false) =>
      ({ address, family, internal, netmask: "", mac: "", cidr: null, scopeid: 0 }) as never;
    const interfaces = {
      lo: [entry("127.0.0.1", "IPv4", true)],
      eth0: [entry("192.0.2.4", "IPv4"), entry("fe80::1", "IPv6"), entry("2001:db8::4", "IPv6")],
    };
    expect(reachableUrls({ host: "0.0.0.0", port: 80 }, interfaces)).toEqual([
      "http://127.0.0.1:80",
      "http://192.0.2.4:80",
    ]);
    expect(reachableUrls({ host: "::", port: 80 }, interfaces)).toContain("http://[2001:db8::4]:80");
    expect(reachableUrls({ host: "127.0.0.1", port: 80 }, interfaces)).toEqual(["http://127.0.0.1:80"]);
  });

  test("groups, metrics and log lines", () => {
    expect(groupId("root:x:0:\nrobur:x:990:a,b\n", "robur")).toBe(990);
    expect(groupId("robur2:x:990:\n", "robur")).toBeUndefined();
    const metric = { name: "m", type: "gauge", help: "h.", values: [[{ name: 'a"\\\n' }, 1]] } as const;
    expect(formatMetrics([metric])).toBe('# HELP m h.\n# TYPE m gauge\nm{name="a\\"\\\\\\n"} 1\n');
    expect(formatLine("a\n  b", { k: "v w", n: 1, none: undefined })).toBe('a | b k="v w" n=1');
  });
});
