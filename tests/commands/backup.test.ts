import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { databasePath } from "../../src/db/open.ts";
import { hashFile } from "../../src/db/backup/copy-database.ts";
import { start, temporaryDirectory, until } from "../robur.ts";
import { TestServer } from "./client-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
  await server.ok("create", "kept", "hello.spt", "--no-start", "-m", "8M");
  await server.ok("volume", "create", "data", "--size", "1M");
});
afterAll(async () => server[Symbol.asyncDispose]());
const directory = temporaryDirectory();
const plain = join(directory, "out.db");
const whole = join(directory, "out.tar.zst");

describe("robur backup", () => {
  test("copies a running server's database, and says what isn't in it", async () => {
    const { code, stdout, stderr } = await server.robur(["backup", plain]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(stderr).toContain(`SHA-256 ${hashFile(plain).sha256}\n`);
    expect(stderr).toContain("not in it: the volumes data (1 MiB); --with-volumes takes them along\n");
  });

  test("is the whole restore on another machine", async () => {
    await using other = new TestServer();
    await Bun.write(databasePath(other.data), Bun.file(plain));
    await other.up();
    expect(JSON.parse(await other.ok("inspect", "kept"))).toMatchObject([
      { name: "kept", config: { memoryMb: 8 } },
    ]);
    await other.ok("start", "kept");
    expect(await other.ok("logs", "kept")).toContain("robur hello on spt");
  });

  test("replaces nothing unless it is told to, and never the database itself", async () => {
    expect(await server.robur(["backup", plain])).toMatchObject({
      code: 4,
      stderr: expect.stringContaining("--force") as string,
    });
    expect(await server.robur(["backup", "--force", "--quiet", plain])).toMatchObject({
      code: 0,
      stderr: "",
    });
    expect(await server.robur(["backup", "--force", databasePath(server.data)])).toMatchObject({ code: 4 });
    expect(await server.robur(["backup", join(directory, "no", "out.db")])).toMatchObject({ code: 3 });
    expect(await server.robur(["backup"])).toMatchObject({ code: 2 });
  });

  test("takes the volumes along where it is told to", async () => {
    const { stdout } = await server.robur(["backup", "--with-volumes", "--json", whole]);
    expect(JSON.parse(stdout)).toMatchObject({
      path: whole,
      volumes: [{ name: "data", size: 1024 * 1024 }],
      leftOut: [],
    });
  });

  test("is checked by verify, against its own hashes or against one that was written down", async () => {
    const { sha256 } = hashFile(plain);
    expect(await server.ok("backup", "verify", plain, "--sha256", sha256)).toStartWith("ok  ");
    expect(await server.ok("backup", "verify", whole)).toContain("    volume data, 1 MiB\n");
    expect(await server.robur(["backup", "verify", plain, "--sha256", "0".repeat(64)])).toMatchObject({
      code: 1,
    });
    const bad = join(directory, "bad.tar.zst");
    writeFileSync(bad, readFileSync(whole).subarray(0, -20));
    expect(await server.robur(["backup", "verify", bad])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("damaged") as string,
    });
    expect(await server.robur(["backup", "verify", import.meta.path])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("not a backup") as string,
    });
  });

  test("has a schedule, which the settings keep", async () => {
    expect(await server.ok("backup", "schedule")).toMatch(/^schedule +off\nnext +never\n/);
    const set = ["backup", "schedule", "30 3 * * *", "--keep-daily", "5", "--directory", directory];
    expect(await server.ok(...set)).toMatch(/5 daily/);
    expect(JSON.parse(await server.ok("backup", "schedule", "--json"))).toMatchObject({
      schedule: "30 3 * * *",
      directory,
      retention: { last: 3, daily: 5 },
    });
    expect(await server.robur(["backup", "schedule", "sometimes"])).toMatchObject({ code: 1 });
    expect(await server.ok("backup", "schedule", "off")).toMatch(/^schedule +off\n/);
  });

  test("that is called off leaves nothing behind", async () => {
    const child = await start(["backup", "--with-volumes", join(directory, "called-off.tar.zst")], {
      env: server.env,
    });
    await until(
      "the unfinished file",
      () => readdirSync(directory).some((name) => name.startsWith(".called-off")) || child.exitCode !== null,
    );
    child.kill("SIGINT");
    await child.exited;
    expect(readdirSync(directory).filter((name) => name.startsWith("."))).toEqual([]);
    // It may have been done by then.
    expect([0, 130]).toContain(child.exitCode!);
  });
});

describe("robur restore", () => {
  test("is refused while the server runs, and unasked", async () => {
    expect(await server.robur(["restore", "--dry-run", whole])).toMatchObject({
      code: 4,
      stderr: expect.stringContaining("a server has this database") as string,
    });
    const { code, stderr } = await server.robur(["restore", whole]);
    expect(code).toBe(2);
    expect(stderr).toContain(`try: robur restore --yes ${whole}\n`);
    expect(await server.robur(["restore", "--yes", whole])).toMatchObject({ code: 4 });
  });

  test("brings back what there was, and keeps what there is", async () => {
    await server.ok("rm", "--yes", "kept");
    await server.ok("create", "later", "hello.spt", "--no-start");
    await server.down();
    const rehearsal = await server.robur(["restore", "--dry-run", whole]);
    expect(rehearsal).toMatchObject({
      code: 0,
      stderr: expect.stringContaining("nothing was changed") as string,
    });
    const { code, stderr } = await server.robur(["restore", "--yes", whole]);
    expect(code).toBe(0);
    const safety = /the database before is kept: (\S+)/.exec(stderr)![1]!;
    expect(existsSync(safety)).toBe(true);
    expect(await server.ok("backup", "ls", "-q")).toContain(safety);
    await server.up();
    expect(await server.ok("ps", "-aq")).toBe("kept\n");
    await server.down();
    expect(await server.robur(["restore", "--yes", safety])).toMatchObject({ code: 0 });
    await server.up();
    expect(await server.ok("ps", "-aq")).toBe("later\n");
  });
});
