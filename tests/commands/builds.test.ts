import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Database } from "bun:sqlite";
import { calledAs, environment, run, temporaryDirectory } from "../robur.ts";
import { TestServer } from "./client-server.ts";

let server: TestServer;
let directory: string;
let id: string;
beforeAll(async () => {
  server = await TestServer.start();
  directory = temporaryDirectory();
  const image = join(directory, "hello.spt");
  copyFileSync(join(import.meta.dir, "../../assets/hello/hello.spt"), image);
  id = (await server.ok("push", "hello", image, "--platform", "debian-12")).trim();
});
afterAll(async () => server[Symbol.asyncDispose]());

describe("robur build and robur job", () => {
  test("name builds by job, id, or the beginning of an id", async () => {
    for (const text of ["hello", "hello@latest", `hello@${id.slice(0, 8)}`, id, id.slice(0, 8)]) {
      expect(JSON.parse(await server.ok("build", "show", text, "--json")).build.id).toBe(id);
    }
    expect((await server.robur(["build", "show", "nothing"])).code).toBe(3);
    expect((await server.robur(["build", "show", "../x"])).code).toBe(2);
    expect((await server.robur(["build", "show", "hello@xyz"])).code).toBe(2);
    expect(await server.ok("job", "show", "hello")).toContain("debian-12");
  });

  test("pin, remove only when it is meant, and find", async () => {
    const file = join(directory, "other");
    writeFileSync(file, "other");
    const other = (await server.ok("push", "other", file, "--platform", "debian-12")).trim();
    await server.ok("build", "pin", other);
    expect(await server.ok("build", "show", other)).toContain("Pinned:");
    await server.ok("build", "unpin", other);
    expect(await server.ok("build", "show", other)).not.toContain("Pinned:");
    expect(await server.ok("search", "other")).toContain(other.slice(0, 7));
    expect((await server.robur(["search", "nothingofthiskind"])).code).toBe(1);
    expect((await server.robur(["build", "rm", other])).code).toBe(2);
    await server.ok("build", "rm", "--yes", other);
    expect((await server.robur(["build", "show", other])).code).toBe(3);
    expect((await server.robur(["job", "rm", "other"])).code).toBe(2);
    expect(await server.ok("job", "rm", "other", "--yes")).toBe("other\n");
    expect(await server.ok("build", "verify-inputs")).toContain("no two builds");
  });

  test("make unikernels of builds, without sending them", async () => {
    expect(await server.ok("create", "one", "job:hello", "-m", "8M", "--quiet")).toBe("one\n");
    const [view] = JSON.parse(await server.ok("inspect", "one"));
    const { build } = JSON.parse(await server.ok("build", "show", "hello", "--json"));
    expect(view.image.sha256).toBe(build.main.sha256);
    const text = join(directory, "no-unikernel");
    writeFileSync(text, "just text");
    await server.ok("push", "text", text, "--platform", "debian-12");
    const refused = await server.robur(["create", "two", "job:text"]);
    expect(refused.code).not.toBe(0);
    expect((await server.robur(["create", "two", "job:nothing"])).code).toBe(3);
    const ran = await server.robur(["run", "job:hello", "--", "--hello=Hi"]);
    expect({ code: ran.code, stdout: ran.stdout }).toEqual({
      code: 0,
      stdout: expect.stringContaining("Hi"),
    });
  });
});

describe("robur job", () => {
  test("says from which repositories a package is built, and changes one without the other", async () => {
    const repos = "own:https://opam.example/own,default:https://opam.ocaml.org";
    await server.ok("job", "orb", "pkg", "hello.1.0", "--never", "--repos", repos);
    const work = async () => JSON.parse(await server.ok("job", "inspect", "pkg", "--json")).work;
    const repositories = repos.split(",");
    expect(await work()).toEqual({ kind: "orb", opamPackage: "hello.1.0", repositories });
    expect(await server.ok("job", "inspect", "pkg")).toContain("own:https://opam.example/own");
    await server.ok("job", "edit", "pkg", "--package", "hello.2.0");
    expect(await work()).toEqual({ kind: "orb", opamPackage: "hello.2.0", repositories });
    await server.ok("job", "edit", "pkg", "--repos", "default");
    expect(await work()).toEqual({ kind: "orb", opamPackage: "hello.2.0" });
    const wrong = await server.robur(["job", "edit", "pkg", "--repos", "https://opam.ocaml.org"]);
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining("NAME:URL")]);
    const script = join(directory, "script.sh");
    writeFileSync(script, "#!/bin/sh\n");
    await server.ok("job", "add", "plain", "--script", script, "--platform", "debian-12", "--never");
    const none = await server.robur(["job", "edit", "plain", "--repos", repos]);
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining("is a script")]);
    for (const job of ["pkg", "plain"]) await server.ok("job", "forget", job);
  });
});

describe("builder-db", () => {
  const builderDb = async (args: readonly string[], input = "", data = server.data) => {
    const child = Bun.spawn([await calledAs("builder-db"), ...args, "--datadir", data], {
      env: environment(),
      stdin: new TextEncoder().encode(input),
      stdout: "pipe",
      stderr: "pipe",
      cwd: directory,
    });
    const [stdout, stderr, code] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    return { stdout, stderr, code };
  };
  const uploadsOf = async (name: string) =>
    (
      JSON.parse(await server.ok("user", "ls", "--format", "json")) as {
        name: string;
        uploads: string;
        canSignIn: boolean;
      }[]
    ).find((user) => user.name === name);

  test("adds, changes, lists, disables and removes users", async () => {
    const password = "correct horse battery\n";
    expect(await builderDb(["migrate"])).toMatchObject({ code: 0 });
    expect(await builderDb(["user-add", "--scrypt-n", "16384", "ci"], password)).toMatchObject({ code: 0 });
    expect(await uploadsOf("ci")).toMatchObject({ uploads: "listed", canSignIn: true });
    expect(await builderDb(["user-update", "--unrestricted", "ci"], password)).toMatchObject({ code: 0 });
    expect(await uploadsOf("ci")).toMatchObject({ uploads: "any" });
    // As in the original: leaving the flag out takes the right away.
    expect(await builderDb(["user-update", "ci"], password)).toMatchObject({ code: 0 });
    expect(await uploadsOf("ci")).toMatchObject({ uploads: "listed" });
    expect(await builderDb(["access-add", "ci", "hello"])).toMatchObject({ code: 0 });
    expect(await server.ok("user", "access", "ls", "ci")).toBe("hello\n");
    expect(await builderDb(["access-remove", "ci", "hello"])).toMatchObject({ code: 0 });
    expect(await server.ok("user", "access", "ls", "ci")).toBe("");
    expect((await builderDb(["access-add", "ci", "nothing"])).code).toBe(1);
    await server.ok("user", "disable", "ci");
    expect(await uploadsOf("ci")).toMatchObject({ uploads: "none", canSignIn: false });
    expect((await server.robur(["user", "disable", "nobody"])).code).toBe(3);
    expect(await builderDb(["user-update", "ci"], password)).toMatchObject({ code: 0 });
    expect(await uploadsOf("ci")).toMatchObject({ uploads: "listed", canSignIn: true });
    expect(await builderDb(["user-disable", "ci"])).toMatchObject({ code: 0 });
    expect(await uploadsOf("ci")).toMatchObject({ uploads: "none", canSignIn: false });
    expect((await builderDb(["user-list"])).stdout.split("\n")).toContain("ci");
    expect(await builderDb(["user-remove", "ci"])).toMatchObject({ code: 0 });
    expect((await builderDb(["user-remove", "ci"])).code).toBe(1);
    expect((await builderDb(["user-add", "short"], "x\n")).code).toBe(1);
  });

  test("works on the directory that it is given, where no server runs", async () => {
    const data = join(directory, "elsewhere");
    const full = join(directory, "to-vacuum");
    await server.ok("build", "export", id, "--format", "exec", "--output", full);
    expect(await run(["import", "builder", full, "--data-dir", data])).toMatchObject({ code: 0 });
    const vacuum = (...args: string[]) => builderDb(["vacuum", ...args], "", data);
    const removed = (count: number) => ({
      code: 0,
      stderr: expect.stringContaining(`removed ${count} builds`),
    });
    expect(await vacuum("except-latest", "1")).toMatchObject(removed(0));
    expect(await vacuum("older-than", "2000-01-01T00:00:00Z")).toMatchObject(removed(0));
    expect(await vacuum("older-than", "0d", "--platform", "elsewhere")).toMatchObject(removed(0));
    expect(await vacuum("older-than", "0d", "--job", "nothing")).toMatchObject(removed(0));
    expect(await vacuum("older-than", "0d", "--job", "hello", "--job", "other")).toMatchObject(removed(1));
    expect((await vacuum("except-latest", "0")).code).toBe(1);
    expect((await vacuum("except-latest-successful", "many")).code).toBe(1);
    // The running server's builds are another matter.
    expect(await server.ok("build", "show", id)).toContain(id);
    using db = new Database(join(data, "robur.db"));
    db.run("UPDATE chunk SET content = zeroblob(length(content)) WHERE id = (SELECT min(id) FROM chunk)");
    expect((await builderDb(["verify-data-dir"], "", data)).code).toBe(1);
  });

  test("extracts builds, removes jobs, and says what it has no counterpart for", async () => {
    expect(await builderDb(["extract-build", id])).toMatchObject({ code: 0 });
    const { size } = Bun.file(join(directory, "full"));
    expect(size).toBeGreaterThan(1000);
    expect((await builderDb(["extract-build", "--dest", "x", "nothing"])).code).toBe(1);
    expect(await builderDb(["verify-input-id"])).toMatchObject({ code: 0, stderr: "" });
    expect((await builderDb(["verify-cache-dir"])).stderr).toContain("there is no cache directory");
    expect(await builderDb(["job-remove", "nothing"])).toMatchObject({ code: 0 });
    expect((await builderDb(["nonsense"])).code).toBe(1);
    expect(await builderDb(["verify-data-dir"])).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^0 of [1-9]\d* contents are damaged\n$/),
    });
    writeFileSync(join(server.data, "builder.sqlite3"), "");
    expect((await builderDb(["user-list"])).stderr).toContain("is the directory of a builder-web");
  });
});

test("builder-db vacuum removes old builds without asking, by the server that runs", async () => {
  const file = join(directory, "old");
  for (const n of [1, 2, 3]) {
    writeFileSync(file, `old ${n}`);
    await server.ok("push", "old", file, "--platform", "debian-12");
  }
  const argv = [await calledAs("builder-db"), "vacuum", "except-latest", "--job", "old", "2"];
  const run = (...args: readonly string[]) =>
    Bun.spawn([...args], { env: environment(server.env), stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const child = run(...argv);
  expect(await child.stderr.text()).not.toContain("error");
  expect(await child.exited).toBe(0);
  expect(JSON.parse(await server.ok("build", "ls", "old", "--json"))).toHaveLength(2);
  expect(await run(...argv.slice(0, 2), "except-latest", "0").exited).toBe(1);
  expect(await run(argv[0]!, "verify-data-dir").exited).toBe(0);
});

describe("robur user", () => {
  test("says whose builds are taken", async () => {
    await server.ok("user", "add", "dev", "--uploads", "any");
    expect(await server.ok("user", "ls")).toMatch(/dev .*any/);
    await server.ok("user", "uploads", "dev", "listed");
    await server.ok("user", "access", "add", "dev", "hello");
    expect(await server.ok("user", "access", "ls", "dev")).toBe("hello\n");
    await server.ok("user", "access", "rm", "dev", "hello");
    expect((await server.robur(["user", "access", "rm", "dev", "hello"])).code).toBe(3);
    expect((await server.robur(["user", "access", "add", "dev", "nothing"])).code).toBe(3);
    expect((await server.robur(["user", "access", "ls", "nobody"])).code).toBe(3);
  });
});
