/** Builds from and to builder-web itself, of both generations. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../robur.ts";
import { ID, RECORD, SHA } from "../server/builds/vector.ts";
import { FAILED, originalServer } from "../store/remotes/originals.ts";
import { TestServer } from "./client-server.ts";

let server: TestServer;
beforeAll(async () => void (server = await TestServer.start()));
afterAll(async () => server[Symbol.asyncDispose]());

describe.each(["first", "second"] as const)("a builder-web of the %s generation", (generation) => {
  let original: ReturnType<typeof originalServer>;
  beforeAll(() => void (original = originalServer(generation)));
  afterAll(() => original[Symbol.asyncDispose]());

  test("gives its newest build, or a certain one, with its redirects", async () => {
    for (const job of ["hello", `hello@${ID.slice(0, 6)}`, `hello@${ID}`]) {
      const cwd = temporaryDirectory();
      const pulled = await server.robur(["pull", job, "--from", original.origin], { cwd });
      expect(pulled).toMatchObject({ code: 0, stdout: `${SHA}  hello.hvt\n`, stderr: "" });
      expect(readdirSync(cwd)).toEqual(["hello.hvt"]);
      expect(readFileSync(join(cwd, "hello.hvt"), "latin1")).toBe("\x7fELF");
    }
    const none = await server.robur(["pull", `hello@${FAILED}`, "--from", original.origin]);
    expect([none.code, none.stderr]).toEqual([3, expect.stringContaining("has no main binary")]);
    expect((await server.robur(["pull", "nothing", "--from", original.origin])).code).toBe(3);
  });

  test("gives all that it lists, as records; what it has lost is said", async () => {
    const imported = await server.robur(["import", original.origin]);
    expect(imported).toMatchObject({ code: 1, stdout: expect.stringContaining("imported 1 build, 1 job") });
    expect(imported.stderr).toContain(`damaged: build ${FAILED} of hello`);
    if (generation === "second") expect(imported.stderr).toContain('note: job "a b" is left out');
    const exec = await fetch(`${server.address}/job/hello/build/${ID}/exec`);
    expect(Buffer.from(await exec.arrayBuffer()).equals(RECORD)).toBe(true);
    await server.ok("build", "rm", "--yes", ID);
    expect(await server.ok("pull", "hello", "--store", "--from", original.origin)).toBe(`${ID}\n`);
    await server.ok("build", "rm", "--yes", ID);
  });

  test("takes what is pushed, in one piece, with name and password", async () => {
    const to = original.origin.replace("//", "//me:pass%3Aword@");
    const directory = temporaryDirectory();
    for (const size of [100, 9 * 1024 * 1024]) {
      const file = join(directory, `hello-${size}.hvt`);
      writeFileSync(file, Buffer.alloc(size, "x"));
      await server.ok("push", "hello", file, "--platform", "debian-12", "--to", to);
      const { path, bytes, length, authorization } = original.uploads.at(-1)!;
      expect([path, length, authorization]).toEqual([
        "/upload",
        String(bytes),
        `Basic ${btoa("me:pass:word")}`,
      ]);
      expect(bytes).toBeGreaterThan(size);
    }
  });
});
