// What a run from source says of itself.
import { expect, test } from "bun:test";
import { version } from "../../package.json";
import { HOST_ARCHITECTURE } from "../../src/lib/architecture.ts";
import { COMMIT, VERSION } from "../../src/lib/version.ts";

test("the version is the package's, the commit is called source", () => {
  expect(VERSION).toBe(version);
  expect(COMMIT).toBe("source");
});

test("the architecture is the kernel's name for it", () => {
  const machine = Bun.spawnSync(["uname", "-m"]).stdout.toString().trim();
  expect(HOST_ARCHITECTURE).toBe(machine as never);
});
