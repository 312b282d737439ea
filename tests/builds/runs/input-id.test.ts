import { describe, expect, test } from "bun:test";
import { scriptInputId } from "../../../src/builds/runs/input-id.ts";
import type { JobName, Platform, RunId } from "../../../src/builds/api.ts";
import { sha256Of } from "../../../src/lib/sha256-of.ts";

const PACKAGES = sha256Of("gcc=1\n");
const SCRIPT = {
  ...{ job: "hello" as JobName, platform: "debian-12" as Platform, script: "#!/bin/sh\necho\n" },
  network: { kind: "none" } as const,
};
const ONLINE = { ...SCRIPT, network: { kind: "all" } as const };
const batch = (id: number) => id as RunId;

describe("the input id of a script's build", () => {
  test("is the same for the same script over the same packages, where nothing is fetched", () => {
    const id = scriptInputId(SCRIPT, PACKAGES, undefined);
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(scriptInputId({ ...SCRIPT, job: "other" as JobName }, PACKAGES, batch(7))).toBe(id);
    expect(scriptInputId({ ...SCRIPT, script: "#!/bin/sh\n" }, PACKAGES, undefined)).not.toBe(id);
    expect(scriptInputId({ ...SCRIPT, platform: "debian-13" as Platform }, PACKAGES, undefined)).not.toBe(id);
    expect(scriptInputId(SCRIPT, sha256Of("gcc=2\n"), undefined)).not.toBe(id);
  });

  test("where something may be fetched, or nobody knows over what it ran, is that of one batch only", () => {
    expect(scriptInputId(ONLINE, PACKAGES, undefined)).toBeUndefined();
    expect(scriptInputId(SCRIPT, undefined, undefined)).toBeUndefined();
    const id = scriptInputId(ONLINE, PACKAGES, batch(7));
    expect(scriptInputId(ONLINE, PACKAGES, batch(7))).toBe(id);
    expect(scriptInputId(ONLINE, PACKAGES, batch(8))).not.toBe(id);
    expect(scriptInputId({ ...ONLINE, job: "other" as JobName }, PACKAGES, batch(7))).not.toBe(id);
    expect(scriptInputId(SCRIPT, undefined, batch(7))).toBe(scriptInputId(SCRIPT, undefined, batch(7)));
  });
});
