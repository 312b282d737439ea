/** What the pages of builds tell: of hashes, badges, jobs that were never built, failures, and builds made again. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { badgeOf, badgeSvg } from "../../../src/server/builds/badge.ts";
import type { BuildSummary } from "../../../src/store/api.ts";
import type { Comparison } from "../../../src/store/comparison/comparison.ts";
import { sha256Of } from "../../../src/lib/sha256-of.ts";
import { signEnvelope } from "../../../src/trust/envelope.ts";
import { keepAttestation, ownKey } from "../../../src/trust/records.ts";
import { keepReproduction } from "../../../src/trust/reproductions.ts";
import { compileC, objcopy } from "../../image/compiled.ts";
import { lacks, needsCommands } from "../../needs.ts";
import { temporaryDirectory } from "../../robur.ts";
import { type SampleRecord, recordBytes } from "../../store/builds/lab.ts";
import { type Harness, createHarness } from "../harness.ts";
import { ID, PATH, SHA } from "./vector.ts";

const OTHER = "18455214-8a9b-413a-b116-a65353dc0743";
const FAILED = "28455214-8a9b-413a-b116-a65353dc0743";
const DAY = 86_400_000;

/** A server with these builds, one a day. */
async function serverWith(...samples: readonly Partial<SampleRecord>[]): Promise<Harness> {
  const harness = createHarness();
  harness.user("root", "admin");
  for (const [day, sample] of samples.entries()) {
    const startedAt = Date.UTC(2024, 8, 4 + day, 10);
    const body = await recordBytes({ startedAt, finishedAt: startedAt + 2000, ...sample });
    const answer = await harness.ask("/upload", { method: "POST", body, socket: true });
    expect([answer.status, await answer.text()]).toEqual([201, ""]);
  }
  harness.now = Date.UTC(2024, 8, 5 + samples.length);
  return harness;
}

const inputs = (zlib: string) =>
  [
    ["opam-switch", 'opam-version: "2.0"\n'],
    ["build-environment", "OS=linux"],
    ["system-packages", `zlib=${zlib}\n`],
  ] as const;

async function textOf(harness: Harness, path: string, cookie?: string): Promise<string> {
  const answer = await harness.ask(path, { page: true, ...(cookie === undefined ? {} : { cookie }) });
  expect([path, answer.status]).toEqual([path, 200]);
  return (await answer.text()).replaceAll(/<[^>]*>/g, " ").replaceAll(/\s+/g, " ");
}

describe("/hash", () => {
  test("takes any beginning that only one file's SHA-256 has, and says what is wrong with others", async () => {
    const harness = await serverWith({
      files: [["bin/hello.hvt", new Uint8Array([0x7f, 0x45, 0x4c, 0x46])]],
    });
    for (const text of [SHA, SHA.slice(0, 8), SHA.slice(0, 4).toUpperCase()]) {
      const { status, headers } = await harness.ask(`/hash?sha256=${text}`);
      expect([text, status, headers.get("location")]).toEqual([text, 302, PATH]);
    }
    const refused = async (text: string) => {
      const answer = await harness.ask(`/hash?sha256=${text}`, { page: true });
      expect([text, answer.status]).toEqual([text, 404]);
      return answer.text();
    };
    expect(await refused("ab".repeat(64))).toContain("has 64 digits; this has 128, as SHA-512 and BLAKE2b");
    expect(await refused("sha512:abcd")).toContain("Files are found by SHA-256, not by sha512");
    // It may be looked for among the rest with one click.
    expect(await refused("0".repeat(64))).toContain(`value="${"0".repeat(64)}"`);
  });

  test("doesn't choose between files", async () => {
    // 65,536 beginnings of four digits: some of 600 files share one.
    const files = Array.from({ length: 600 }, (_, i) => [`f/${i}`, `file ${i}`] as const);
    const harness = await serverWith({ files });
    const hashes = files.map(([, text]) => new Bun.CryptoHasher("sha256").update(text).digest("hex"));
    const beginnings = hashes.map((hash) => hash.slice(0, 4)).toSorted();
    const shared = beginnings.find((text, i) => text === beginnings[i + 1])!;
    const answer = await harness.ask(`/hash?sha256=${shared}`, { headers: { accept: "application/json" } });
    expect([answer.status, await answer.json()]).toEqual([
      404,
      { error: `several files have a SHA-256 that begins with ${shared}` },
    ]);
  });
});

describe("a badge", () => {
  const words = async (harness: Harness, path: string) => {
    const answer = await harness.ask(path);
    expect(answer.headers.get("content-type")).toBe("image/svg+xml; charset=utf-8");
    // Other people's pages show it, and never an old one.
    expect(answer.headers.get("cross-origin-resource-policy")).toBe("cross-origin");
    expect(answer.headers.get("cache-control")).toBe("no-cache");
    return [answer.status, /<title>(.*)<\/title>/.exec(await answer.text())?.[1]];
  };

  test("tells how the newest run went, on one platform or all, and whether others got the same", async () => {
    const main = ["bin/hello.hvt", "binary"] as const;
    const harness = await serverWith({ files: [main, ...inputs("1")] });
    expect(await words(harness, "/job/hello/badge.svg")).toEqual([200, "build: built"]);
    const upload = async (sample: Partial<SampleRecord>) => {
      const body = await recordBytes(sample);
      expect((await harness.ask("/upload", { method: "POST", body, socket: true })).status).toBe(201);
    };
    const at = (day: number) => ({ startedAt: DAY * day + 1.8e12, finishedAt: DAY * day + 1.8e12 + 1 });
    await upload({ uuid: OTHER, ...at(0), files: [main, ...inputs("1")] });
    expect(await words(harness, "/job/hello/badge.svg")).toEqual([200, "build: reproduced ×1"]);
    await upload({ uuid: FAILED, ...at(1), platform: "freebsd-14", files: [] });
    expect(await words(harness, "/job/hello/badge.svg")).toEqual([200, "build: failed"]);
    expect(await words(harness, "/job/hello/badge.svg?platform=debian-12")).toEqual([
      200,
      "debian-12: reproduced ×1",
    ]);
    expect(await words(harness, "/job/hello/badge.svg?platform=plan-9")).toEqual([200, "plan-9: no builds"]);
    await upload({
      uuid: "38455214-8a9b-413a-b116-a65353dc0743",
      ...at(2),
      files: [["bin/hello.hvt", "other"], ...inputs("1")],
    });
    expect(await words(harness, "/job/hello/badge.svg")).toEqual([200, "build: not reproducible"]);
    expect(await words(harness, "/job/nothing/badge.svg")).toEqual([404, "build: no builds"]);
  });

  test("is XML whatever its words are", () => {
    const svg = badgeSvg(badgeOf(`<a & "b">`, undefined, undefined));
    expect(svg).toContain("&lt;a &amp; &quot;b&quot;&gt;");
    expect(svg).not.toContain("<a &");
    const failed = badgeOf("x", {} as BuildSummary, undefined);
    expect(failed).toEqual({ label: "x", word: "failed", tone: "bad" });
  });
});

describe("where there is nothing to show", () => {
  test("it is said, and who may do something about it is told how", async () => {
    const harness = createHarness();
    const cookie = harness.cookie(harness.user("root", "admin"));
    expect(await textOf(harness, "/all-builds", cookie)).toContain("robur import builder-web");
    expect(await textOf(harness, "/all-builds")).not.toContain("robur import");
    expect(await textOf(harness, "/compare")).toContain("Nothing was built yet.");
    const resting = await serverWith({});
    resting.now += 400 * DAY;
    expect(await textOf(resting, "/")).toContain("All jobs rest: none was built within 30 days.");
    expect(await textOf(resting, "/all-builds")).toContain("hello");
  });
});

describe("a job that was defined and never built", () => {
  const define = (harness: Harness) =>
    harness.ask("/api/v1/schedule", {
      method: "POST",
      socket: true,
      json: {
        name: "web",
        work: { kind: "orb", opamPackage: "mirage-unikernel-web" },
        platforms: ["debian-12"],
        recurrence: { kind: "cron", line: "30 3 * * *" },
      },
    });

  test("has a page for who may start it, and is nothing to others", async () => {
    const harness = createHarness();
    const cookie = harness.cookie(harness.user("root", "admin"));
    const answer = await define(harness);
    expect([answer.status, answer.status === 201 ? "" : await answer.text()]).toEqual([201, ""]);
    const text = await textOf(harness, "/job/web", cookie);
    expect(text).toContain("Built by cron 30 3 * * * on debian-12, next in");
    expect(text).toContain("Start Settings");
    expect(text).toContain("Nothing came of it yet.");
    expect((await harness.ask("/job/web", { page: true })).status).toBe(404);
    expect((await harness.ask("/job/web", { cookie, headers: { accept: "application/json" } })).status).toBe(
      404,
    );
    // What waits is shown.
    const started = await harness.ask("/jobs/web/start", { method: "POST", cookie, form: { back: "" } });
    expect(started.status).toBe(303);
    expect(await textOf(harness, "/job/web", cookie)).toContain("waits web:1");
  });
});

describe("a failed build", () => {
  test("shows what changed in its inputs since the last good one, and can be started again", async () => {
    const harness = await serverWith(
      { files: [["bin/hello.hvt", "binary"], ...inputs("1")] },
      { uuid: FAILED, files: inputs("2"), result: { kind: "exited", code: 2 } },
    );
    const path = `/job/hello/build/${FAILED}`;
    const text = await textOf(harness, path);
    expect(text).toMatch(/What changed in its inputs since .* System packages changed 1 .*zlib 1 -> 2/);
    expect(text).not.toContain("How they ended");
    expect(text).not.toContain("Build it again");
    const cookie = harness.cookie(harness.user("root", "admin"));
    expect(await textOf(harness, path, cookie)).not.toContain("Build it again");
    const defined = await harness.ask("/api/v1/schedule", {
      ...{ method: "POST", socket: true },
      json: { name: "hello", work: { kind: "script", script: "#!/bin/sh\n" }, platforms: ["debian-12"] },
    });
    expect(defined.status).toBe(201);
    expect(await textOf(harness, path, cookie)).toContain("Build it again");
    expect(await textOf(harness, path)).not.toContain("Build it again");
  });
});

describe("a build that was made again", () => {
  test("tells what came of it, and counts it", async () => {
    const harness = await serverWith({ files: [["bin/hello.hvt", "binary"], ...inputs("1")] });
    expect(await textOf(harness, PATH)).toContain("Not reproduced yet");
    const keep = (verdict: "GOOD" | "BAD", summary: string) =>
      keepReproduction(
        harness.context.db,
        { build: ID, source: undefined, startedAt: 0, finishedAt: 1, verdict, report: { summary } },
        undefined,
      );
    keep("GOOD", "all files are the same");
    expect(await textOf(harness, PATH)).toMatch(/reproduced ×1 .*Reproduced by 1 rebuild .*the same/);
    expect(await textOf(harness, "/job/hello")).toContain("reproduced ×1");
    expect(await (await harness.ask("/job/hello/badge.svg")).text()).toContain("build: reproduced ×1");
    keep("BAD", "bin/hello.hvt differs <b>");
    const text = await textOf(harness, PATH);
    expect(text).toMatch(/Not reproducible .*differs .*bin\/hello.hvt differs &lt;b>/);
    expect(await textOf(harness, "/all-builds")).toContain("not reproducible");
  });
});

describe("commands to be copied", () => {
  test("are safe in a shell, whatever the file is called", async () => {
    const name = "-x'; touch $(id) `id`.hvt";
    const harness = await serverWith({ files: [[`bin/${name}`, "binary"]] });
    const { context } = harness;
    const envelope = signEnvelope(
      new TextEncoder().encode(
        JSON.stringify({
          _type: "https://in-toto.io/Statement/v1",
          subject: [{ name, digest: { sha256: sha256Of("binary") } }],
          predicateType: "https://slsa.dev/provenance/v1",
          predicate: {},
        }),
      ),
      ownKey(context.db, 1),
    );
    keepAttestation(context.db, envelope, { build: ID }, 1);
    const page = await (await harness.ask(PATH, { page: true })).text();
    const commands = [...page.matchAll(/<pre class="command"[^>]*>(.*?)<\/pre>/gs)].map(([, html]) =>
      html!.replaceAll("&lt;", "<").replaceAll("&quot;", '"').replaceAll("&amp;", "&"),
    );
    const lines = commands.join("\n").split("\n");
    expect(lines.filter((line) => /^(?:curl|robur)/.test(line)).length).toBeGreaterThan(3);
    const show = `show() { for a; do printf '[%s]' "$a"; done; echo; }\n`;
    for (const line of lines.filter((one) => /^(?:curl|robur)/.test(one))) {
      const { stdout, stderr } = Bun.spawnSync(["sh", "-c", `${show}show ${line}`]);
      expect(stderr.toString()).toBe("");
      expect(stdout.toString()).not.toContain("uid=");
      if (stdout.toString().includes("touch")) expect(stdout.toString()).toContain(`[./${name}`);
    }
  });
});

describe.skipIf(lacks(needsCommands("gcc", "objcopy")))("a comparison", () => {
  const here = temporaryDirectory();

  async function serverWithTwo(): Promise<Harness> {
    const programs = [compileC(here, "-g"), compileC(here, "-g", "-O2")].map((debug) => [
      new Uint8Array(readFileSync(objcopy(debug, "--strip-all"))),
      new Uint8Array(readFileSync(debug)),
    ]);
    return serverWith(
      ...programs.map(([main, debug], i) => ({
        uuid: i === 0 ? ID : OTHER,
        files: [["bin/hello.hvt", main!], ["hello.hvt.debug", debug!], ...inputs("1")] as const,
      })),
    );
  }

  test("looks into the binaries when it is asked to, on the page and for programs", async () => {
    const harness = await serverWithTwo();
    const path = `/compare/${ID}/${OTHER}`;
    expect(await textOf(harness, path)).toContain("The inputs are equal and the main binaries are not");
    expect(await textOf(harness, path)).toContain("Inside the binaries");
    const text = await textOf(harness, `${path}?binary`);
    expect(text).toContain("Sections of hello.hvt.debug");
    expect(text).toContain("Functions and values that grew or shrank");
    const json = async (query: string) => {
      const answer = await harness.ask(`/api/v1${path}${query}`);
      expect(answer.status).toBe(200);
      return (await answer.json()) as Comparison;
    };
    expect((await json("")).elf).toBeUndefined();
    const whole = await json("?binary=true");
    expect(whole.elfFiles).toEqual({ left: "hello.hvt.debug", right: "hello.hvt.debug" });
    expect(whole.elf?.sizes.hasSymbols).toBe(true);
    expect((await harness.ask(`/api/v1${path}?binary=maybe`)).status).toBe(422);
  });

  test("says so where there is nothing to see in them", async () => {
    const harness = await serverWith(
      { files: [["bin/a.deb", "one"], ...inputs("1")] },
      { uuid: OTHER, files: [["bin/a.deb", "two"], ...inputs("1")] },
    );
    const path = `/compare/${ID}/${OTHER}`;
    expect(await textOf(harness, path)).not.toContain("Inside the binaries");
    expect(await textOf(harness, `${path}?binary`)).toContain("There is nothing to see: ");
  });
});
