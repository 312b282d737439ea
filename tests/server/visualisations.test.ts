// The pages of pictures: alone, in frames, kept by browsers, and without a picture.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { compileC } from "../image/compiled.ts";
import { lacks, needsCommands } from "../needs.ts";
import { generateExport } from "../opam/generate-export.ts";
import { temporaryDirectory } from "../robur.ts";
import { recordBytes } from "../store/builds/lab.ts";
import { type Harness, createHarness } from "./harness.ts";

const here = temporaryDirectory();
const ID = "08455214-8a9b-413a-b116-a65353dc0743";
const PATH = `/job/hello/build/${ID}`;

async function withBuild(files: readonly (readonly [string, string | Uint8Array])[]): Promise<Harness> {
  const harness = createHarness();
  harness.user("root", "admin");
  const body = await recordBytes({ files });
  const answer = await harness.ask("/upload", { method: "POST", body, socket: true });
  expect(answer.status).toBe(201);
  return harness;
}

const hostile = `opam-version: "2.0"
roots: ["x.1"]
installed: ["x.1" "<script>alert(1)</script>.2"]
package "x" {
  depends: ["<script>alert(1)</script>"]
}
`;

describe("the page of dependencies", () => {
  test("is whole without scripts: a picture with links and a table", async () => {
    const harness = await withBuild([["opam-switch", generateExport()]]);
    const answer = await harness.ask(`${PATH}/vizdependencies`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
    const text = await answer.text();
    expect(text).toContain("<svg");
    expect(text).toContain(`href="${PATH}/vizdependencies?at=lib-3"`);
    expect(text).toContain("All packages as a table");
    const chosen = await (await harness.ask(`${PATH}/vizdependencies?at=lib-3`)).text();
    expect(chosen).toContain("Needed by");
    expect(chosen).toContain("choose none");
  });

  test("may be framed by pages of ours, and by no others", async () => {
    const harness = await withBuild([["opam-switch", generateExport()]]);
    const { headers } = await harness.ask(`${PATH}/vizdependencies`);
    expect(headers.get("x-frame-options")).toBe("SAMEORIGIN");
    expect(headers.get("content-security-policy")).toContain("frame-ancestors 'self'");
    expect(headers.get("content-security-policy")).toContain("default-src 'none'");
  });

  test("isn't sent again to who has it", async () => {
    const harness = await withBuild([["opam-switch", generateExport()]]);
    const etag = (await harness.ask(`${PATH}/vizdependencies`)).headers.get("etag")!;
    expect(etag).toMatch(/^"[0-9a-f]{32}"$/);
    for (const known of [etag, `W/${etag}`, `"x", ${etag}`, "*"]) {
      const again = await harness.ask(`${PATH}/vizdependencies`, { headers: { "if-none-match": known } });
      expect([again.status, await again.text(), again.headers.get("etag")]).toEqual([304, "", etag]);
    }
    const other = await harness.ask(`${PATH}/vizdependencies?at=lib-3`, {
      headers: { "if-none-match": etag },
    });
    expect(other.status).toBe(200);
  });

  test("shows names of packages as text, whatever they are", async () => {
    const harness = await withBuild([["opam-switch", hostile]]);
    const text = await (await harness.ask(`${PATH}/vizdependencies?at=<script>alert(1)</script>`)).text();
    expect(text).not.toContain("<script>alert");
  });
});

describe("the page of sizes", () => {
  test.skipIf(lacks(needsCommands("gcc")))("opens what is asked for, and functions with ?fine", async () => {
    const debug = new Uint8Array(readFileSync(compileC(here, "-g")));
    const harness = await withBuild([
      ["bin/hello.hvt", debug],
      ["hello.hvt.debug", debug],
    ]);
    const text = async (query: string) => (await harness.ask(`${PATH}/viztreemap${query}`)).text();
    const whole = await text("");
    expect(whole).toContain("Where the bytes of hello go");
    expect(whole).toContain(`href="${PATH}/viztreemap?at=C"`);
    expect(whole).not.toContain("table_of_words");
    expect(await text("?fine")).toContain("table_of_words");
    expect(await text("?at=C/gmp&fine")).toContain("<b>gmp</b>");
    // What doesn't exist is passed over, and what can't be decoded too.
    expect(await text("?at=C/nonsense/%2e%2e")).toContain("<b>C</b>");
    expect(await text("?at=%E0%A4%A")).toContain("<b>All that is loaded</b>");
  });
});

describe("where there is no picture", () => {
  test("a small page says why, and fits into a frame", async () => {
    const harness = await withBuild([["bin/hello.hvt", "not an executable"]]);
    for (const [path, why] of [
      [`${PATH}/viztreemap`, "not an ELF file"],
      [`${PATH}/vizdependencies`, "no record of its packages"],
      ["/job/hello/build/00000000-0000-4000-8000-000000000000/viztreemap", "no such build"],
      ["/job/hello/build/nonsense/vizdependencies", "no such build"],
    ] as const) {
      const answer = await harness.ask(path);
      expect(answer.status).toBe(404);
      expect(answer.headers.get("x-frame-options")).toBe("SAMEORIGIN");
      expect(await answer.text()).toContain(why);
    }
  });
});
