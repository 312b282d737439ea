/** The parts of pages that are pure: READMEs, groups of runs, commands, feeds, filters. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { formatDuration } from "../../../src/lib/duration.ts";
import { disposition, typeOfPath } from "../../../src/server/builds/content-types.ts";
import { atomFeed } from "../../../src/server/builds/feed.ts";
import { chooseJobs, choicesOf, readJobsQuery } from "../../../src/server/builds/job-list.ts";
import { decodePath, filePath } from "../../../src/server/builds/paths.ts";
import { readmeHtml } from "../../../src/server/builds/readme.ts";
import { runCommands } from "../../../src/server/builds/run-commands.ts";
import { groupRuns } from "../../../src/server/builds/run-groups.ts";
import { readRange } from "../../../src/server/builds/serve-content.ts";
import type {
  BuildId,
  BuildSummary,
  JobName,
  JobOverview,
  Platform,
  Sha256,
} from "../../../src/store/api.ts";
import { resultWords, sizeDelta, streakText } from "../../../web/components/builds.tsx";

let count = 0;
function run(output: string | undefined, more: Partial<BuildSummary> = {}): BuildSummary {
  count += 1;
  return {
    id: `00000000-0000-4000-8000-${String(count).padStart(12, "0")}` as BuildId,
    job: "hello" as JobName,
    platform: "debian-12" as Platform,
    startedAt: 1_700_000_000_000 - count * 86_400_000,
    finishedAt: 1_700_000_000_000 - count * 86_400_000 + 1000,
    result: { kind: "exited", code: output === undefined ? 2 : 0 },
    inputId: undefined,
    main:
      output === undefined
        ? undefined
        : { path: "bin/hello.hvt", sha256: output.repeat(64).slice(0, 64) as Sha256, size: 4, isKept: true },
    solo5: undefined,
    isPinned: false,
    ...more,
  };
}

describe("a README", () => {
  test("has headings below the page's, with anchors, and nothing of HTML", () => {
    expect(readmeHtml("# Hello world")).toBe(
      `<h3 id="readme-hello-world"><a class="anchor" aria-hidden="true" tabindex="-1" href="#readme-hello-world"></a>Hello world</h3>\n`,
    );
    expect(readmeHtml("#### Deep")).toStartWith("<h6 ");
    expect(readmeHtml("# A\n# A")).toContain('id="readme-a-1"');
    expect(readmeHtml("a <b>bold</b> `<b>code</b>`")).toBe(
      "<p>a bold <code>&lt;b&gt;code&lt;/b&gt;</code></p>\n",
    );
    expect(readmeHtml("<script>alert(1)</script>")).toBe("");
    expect(readmeHtml("1 < 2 & 3")).toBe("<p>1 &lt; 2 &amp; 3</p>\n");
  });

  test("is read soon, however deep its lists and quotations are", () => {
    for (const markers of [">", "> ", "- ", "1. ", "> - ", " 12) > "]) {
      const start = performance.now();
      const html = readmeHtml(`${markers.repeat(60_000)}the end`);
      // Unbounded it takes minutes.
      expect(performance.now() - start).toBeLessThan(5000);
      expect(html.match(/<(?:blockquote|ul|ol)>/g)!.length).toBeLessThanOrEqual(102);
    }
  });

  test("leads to the web and to itself only", () => {
    expect(readmeHtml("[a](https://x.example/?a=1&b)")).toContain('href="https://x.example/?a=1&amp;b"');
    expect(readmeHtml("[a](#hello)")).toContain('href="#readme-hello"');
    for (const href of [
      "javascript:x",
      "JaVaScRiPt:x",
      "data:text/html,x",
      "vbscript:x",
      "//evil.example",
      "doc/x.md",
      "\\u0001javascript:x",
    ]) {
      expect(readmeHtml(`[a](${href})`)).not.toContain("href=");
    }
    const picture = readmeHtml('![an "alt"](https://x.example/i.png)');
    expect(picture).not.toContain("<img");
    expect(picture).toContain("picture: an &quot;alt&quot;");
  });

  test("is made of our own tags, whatever stands in it", () => {
    const allowed =
      /^(?:[^<>]|<\/?(?:p|h[3-6]|a|em|strong|del|code|pre|ul|ol|li|hr|blockquote|div|span|table|thead|tbody|tr|th|td)(?: (?:id|class|aria-hidden|tabindex|href|rel|title|scope)="[^"<>]*")*>)*$/;
    const piece = fc.oneof(
      fc.constantFrom(
        "<script>",
        "</a>",
        "<img src=x onerror=y>",
        "`",
        "```\n",
        "[",
        "](",
        ")",
        "![",
        "# ",
        "\n",
        "<!--",
        "-->",
        "&lt;",
        "|a|\n|-|\n|",
        "*",
        "<",
        ">",
        '"',
        "javascript:",
        "https://a/",
        "\u{E000}",
        "\u{E001}",
      ),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        expect(readmeHtml(pieces.join(""))).toMatch(allowed);
      }),
      { numRuns: 400 },
    );
  });
});

describe("runs", () => {
  test("stand under what came of them", () => {
    const freebsd = { platform: "freebsd-14" as Platform };
    const runs = [
      run("a"),
      run(undefined, freebsd),
      run("a"),
      run(undefined, freebsd),
      run("b"),
      run("b", freebsd),
      run(undefined, freebsd),
      run("a"),
    ];
    const groups = groupRuns(runs).map(({ kind, runs: of }) => [kind, of.map((one) => runs.indexOf(one))]);
    expect(groups).toEqual([
      ["output", [0, 2, 7]],
      ["failed", [1, 3]],
      ["output", [4, 5]],
      ["failed", [6]],
    ]);
  });

  test("no run is lost or doubled", () => {
    const some = fc.array(
      fc.record({
        output: fc.option(fc.constantFrom("a", "b", "c"), { nil: undefined }),
        platform: fc.constantFrom("p", "q"),
      }),
    );
    fc.assert(
      fc.property(some, (list) => {
        const runs = list.map(({ output, platform }) => run(output, { platform: platform as Platform }));
        const groups = groupRuns(runs);
        expect(groups.flatMap(({ runs: of }) => of).toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual(runs);
        const places = groups.map(({ runs: of }) => runs.indexOf(of[0]!));
        expect(places).toEqual(places.toSorted((a, b) => a - b));
      }),
    );
  });

  test("are told of in words", () => {
    const page = { now: 1_700_000_000_000 } as never;
    expect(streakText([run("a")], page)).toBeUndefined();
    expect(streakText([run(undefined), run(undefined)], page)).toBe("none of 2 was good");
    expect(streakText([run(undefined), run("a")], page)).toStartWith("failed, first ");
    expect(resultWords({ kind: "signalled", signal: -7 })).toBe("killed by SIGKILL");
    expect(resultWords({ kind: "message", text: "timeout" })).toBe("timed out");
    expect([sizeDelta(10, 10), sizeDelta(10, 12), sizeDelta(12, 10)]).toEqual(["same size", "+2 B", "−2 B"]);
    expect([400, 12_000, 200_000, 7_500_000].map(formatDuration)).toEqual([
      "0.4 s",
      "12 s",
      "3 min 20 s",
      "2 h 5 min",
    ]);
  });
});

describe("commands", () => {
  test("are quoted for a shell", () => {
    const main = { path: "bin/it's $(x).hvt", sha256: "ab".repeat(32) as Sha256, size: 1, isKept: true };
    const solo5 = {
      manifest: {
        type: "solo5.manifest",
        version: 1,
        devices: [
          { name: "service", type: "NET_BASIC" },
          { name: "da;ta", type: "BLOCK_BASIC" },
        ],
      },
      abi: { type: "solo5.abi", target: "hvt", version: 2 },
    } as const;
    const groups = runCommands(run("a", { main, solo5 }), "http://x.example");
    const script = groups.map(({ text }) => text).join("\n");
    for (const command of ["curl", "sha256sum", "robur", "solo5-hvt", "albatross-client"])
      expect(script).toContain(command);
    const shell = Bun.spawnSync([
      "sh",
      "-c",
      `show() { for a; do printf '[%s]' "$a"; done; }\nshow ${groups[1]!.text}\nshow ${groups[2]!.text}`,
    ]);
    // Networks come by themselves, and volumes are made.
    expect(shell.stdout.toString()).toBe(
      "[robur][run][--block][da;ta=da;ta][--size][64M][it's $(x).hvt]" +
        "[solo5-hvt][--net:service=tap100][--block:da;ta=da;ta.img][--][it's $(x).hvt]",
    );
  });

  test("of a package are for apt, whatever the server is called", () => {
    const main = { path: "bin/hello.deb", sha256: "a".repeat(64) as Sha256, size: 1, isKept: true };
    const [, apt] = runCommands(run("a", { main }), "http://$(x)'.example");
    const [, source = ""] = apt!.text.split("\n");
    const shell = Bun.spawnSync(["sh", "-c", source.replace(/ \| sudo tee .*/, "")]);
    expect(shell.stdout.toString()).toBe(
      "deb [signed-by=/etc/apt/keyrings/robur.asc] http://$(x)'.example/deb debian-12 main\n",
    );
  });
});

describe("addresses and types", () => {
  test("every path that can be stored can be asked for", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (text) => {
        fc.pre(text.isWellFormed() && !text.split("/").some((part) => part === "." || part === ".."));
        const encoded = filePath(run("a"), text).split("/f/").slice(1).join("/f/");
        expect(decodePath(encoded)).toBe(text);
      }),
    );
    expect(decodePath("%zz")).toBeUndefined();
  });

  test("types are the original's", () => {
    expect(typeOfPath("bin/x.txt")).toBe("application/octet-stream");
    expect(typeOfPath("opam-switch")).toBe("text/plain; charset=utf-8");
    expect(typeOfPath("doc/opam-switch")).toBe("application/octet-stream");
    expect(typeOfPath("x.html")).toBe("text/html; charset=utf-8");
    expect(typeOfPath("x.constructor")).toBe("application/octet-stream");
    expect(disposition('a/b"\r\nx.txt', "text/plain")).toBe(
      `inline; filename="b___x.txt"; filename*=UTF-8''b%22%0D%0Ax.txt`,
    );
  });

  test("a range lies within the bytes", () => {
    fc.assert(
      fc.property(fc.nat(100), fc.option(fc.nat(120)), fc.option(fc.nat(120)), (size, from, to) => {
        const range = readRange(`bytes=${from ?? ""}-${to ?? ""}`, size);
        if (typeof range === "string") return;
        expect(range.start).toBeGreaterThanOrEqual(0);
        expect(range.end).toBeLessThanOrEqual(size);
        expect(range.end).toBeGreaterThan(range.start);
      }),
    );
  });

  test("a feed is XML, whatever a build says", () => {
    const job = {
      name: "hello",
      section: undefined,
      synopsis: undefined,
      description: undefined,
      readme: undefined,
      platforms: [],
    } as never;
    const bad = run(undefined, { result: { kind: "message", text: "<b>&\0\u{FFFF}]]>" } });
    const text = atomFeed(job, [bad, run("a")], "https://x.example");
    expect(text).toContain("&lt;b&gt;&amp;\u{FFFD}\u{FFFD}]]&gt;");
    expect(text.match(/<entry>/g)).toHaveLength(2);
    expect(text).toContain(`<id>urn:uuid:${bad.id}</id>`);
  });
});

describe("the index", () => {
  const overview = (name: string, section: string | undefined, runs: BuildSummary[]): JobOverview => {
    const newest = runs.find(({ main }) => main !== undefined);
    return {
      ...{ name: name as JobName, section, synopsis: `about ${name}`, newest },
      latest: newest === undefined ? [] : [newest],
      recent: [{ platform: "debian-12" as Platform, builds: runs }],
    };
  };
  const jobs = [
    overview("bee", "Unikernels", [run("a")]),
    overview("a", undefined, [run(undefined), run("b")]),
  ];

  test("is filtered and ordered by what is asked for", () => {
    const names = (query: string) =>
      chooseJobs(jobs, readJobsQuery(new URLSearchParams(query))).map(({ name }) => String(name));
    expect(names("")).toEqual(["a", "bee"]);
    expect(names("q=ABOUT+BEE")).toEqual(["bee"]);
    expect(names("section=Uncategorized")).toEqual(["a"]);
    expect(names("status=failing")).toEqual(["a"]);
    expect(names("status=good&order=nonsense")).toEqual(["bee"]);
    expect(names("order=age")).toEqual(["bee", "a"]);
    expect(names("target=hvt")).toEqual([]);
    expect(choicesOf(jobs)).toEqual({
      sections: ["Uncategorized", "Unikernels"],
      platforms: ["debian-12"],
      targets: [],
    });
  });
});
