import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run, temporaryDirectory } from "../robur.ts";

const sandbox = (directory: string, ...args: string[]) =>
  run(["sandbox", ...args], { env: { ROBUR_DATA_DIR: directory } });

test("platforms are listed, made or not", async () => {
  const directory = temporaryDirectory();
  const { stdout, code } = await sandbox(directory, "ls");
  expect(code).toBe(0);
  expect(stdout).toMatch(/^debian-12 +- +- +not made yet$/m);
  const packages = "apt:amd64=2\nzlib:amd64=1\n";
  mkdirSync(join(directory, "platforms/own/root-1"), { recursive: true });
  const record = {
    root: "root-1",
    suite: "bookworm",
    createdAt: 0,
    packagesSha256: "ab".repeat(32),
    packages,
  };
  writeFileSync(join(directory, "platforms/own/current.json"), JSON.stringify(record));
  expect((await sandbox(directory, "ls")).stdout).toMatch(/^own +1970-01-01 00:00 +2 +abababababab$/m);
  const listed = JSON.parse((await sandbox(directory, "ls", "--json")).stdout) as { platform: string }[];
  expect(listed.find(({ platform }) => platform === "own")).toEqual({
    ...{ platform: "own", suite: "bookworm", createdAt: 0, packagesSha256: "ab".repeat(32) },
    packages: ["apt:amd64=2", "zlib:amd64=1"],
  } as never);
});

test("what can't be is refused with a reason", async () => {
  const directory = temporaryDirectory();
  expect(await sandbox(directory)).toMatchObject({ code: 2 });
  expect(await sandbox(directory, "refresh", "../x")).toMatchObject({ code: 2 });
  const unknown = await sandbox(directory, "refresh", "plan9-4");
  expect(unknown.code).toBe(1);
  expect(unknown.stderr).toContain("nothing says what platform plan9-4 is made of");
  const absent = await sandbox(directory, "rm", "debian-12");
  expect(absent.code).toBe(1);
  expect(absent.stderr).toContain("there is no root file system of debian-12");
});
