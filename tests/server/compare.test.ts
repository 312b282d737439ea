import { describe, expect, test } from "bun:test";
import type { Comparison } from "../../src/store/comparison/comparison.ts";
import { recordBytes, upload } from "../store/builds/lab.ts";
import { createHarness, errorOf } from "./harness.ts";

const LEFT = "08455214-8a9b-413a-b116-a65353dc0743";
const RIGHT = "08455214-8a9b-413a-b116-a65353dc0744";

async function serverWithTwo() {
  const server = createHarness();
  const { builds } = server.context;
  const packages = (version: string) => [["system-packages", `zlib=${version}\n`]] as const;
  await upload(builds, await recordBytes({ uuid: LEFT, files: packages("1") }));
  await upload(builds, await recordBytes({ uuid: RIGHT, files: packages("2") }));
  return server;
}

describe("GET /api/v1/compare", () => {
  test("answers the comparison, to anybody where builds are public", async () => {
    const server = await serverWithTwo();
    const response = await server.ask(`/api/v1/compare/${LEFT.toUpperCase()}/${RIGHT}`);
    expect(response.status).toBe(200);
    expect((await response.json()) as Comparison).toMatchObject({
      left: { id: LEFT, job: "hello" },
      right: { id: RIGHT },
      systemPackages: { state: "compared", changed: [{ name: "zlib", left: "1", right: "2" }] },
      opam: { state: "missing", sides: ["left", "right"] },
    });
  });
  test("knows a build that isn't there from a word that means several", async () => {
    const server = await serverWithTwo();
    expect((await server.ask(`/api/v1/compare/${LEFT}/ffff`)).status).toBe(404);
    expect((await server.ask(`/api/v1/compare/${LEFT}/hello`)).status).toBe(404);
    const several = await server.ask(`/api/v1/compare/0845/${RIGHT}`);
    expect(several.status).toBe(409);
    expect(await errorOf(several)).toMatchObject({ code: "ambiguous" });
  });
});
