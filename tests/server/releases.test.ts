/** A server as the place that install.sh downloads from. */
import { afterAll, describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeRelease } from "../../scripts/release.ts";
import { createHarness } from "./harness.ts";

const directory = mkdtempSync(join(tmpdir(), "robur-releases-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe("a server with a release in its data directory", () => {
  const harness = createHarness({ dataDirectory: directory });
  const get = (path: string) => harness.ask(path, {});
  writeRelease(join(directory, "release"), {
    version: "9.9.9",
    commit: "c".repeat(40),
    executables: new Map([["x64", new TextEncoder().encode("#!/bin/sh\n")]]),
    key: generateKeyPairSync("ed25519").privateKey,
    baseUrl: "http://robur.test:8080",
  });
  // Something that must not get out.
  writeFileSync(join(directory, "release", "key.pem"), "secret");

  test.each(["install.sh", "RELEASE", "SHA256SUMS", "SHA256SUMS.sig", "robur-linux-x64.gz"])(
    "gives %s to anybody, byte for byte",
    async (name) => {
      const response = await get(`/${name}`);
      expect(response.status).toBe(200);
      expect(Buffer.from(await response.arrayBuffer())).toEqual(
        readFileSync(join(directory, "release", name)),
      );
    },
  );

  test("gives a version by its name", async () => {
    expect(await (await get("/v9.9.9/RELEASE")).text()).toContain("version 9.9.9");
  });

  test.each([
    "/robur-linux-arm64.gz",
    "/v1.0.0/RELEASE",
    "/v9.9.9/key.pem",
    "/v9.9.9/..%2Fkey.pem",
    "/..%2Frelease/RELEASE",
    "/v..%2F/key.pem",
    "/release/key.pem",
    "/key.pem",
    "/img/other.png",
  ])("has no %s", async (path) => {
    const response = await get(path);
    expect(response.status).toBe(404);
    expect(await response.text()).not.toContain("secret");
  });
});
