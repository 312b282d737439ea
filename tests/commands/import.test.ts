import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Database } from "bun:sqlite";
import { openDatabase } from "../../src/db/open.ts";
import { NOBODY, lacks, needsCommands, needsRoot } from "../needs.ts";
import { run, start, temporaryDirectory, until } from "../robur.ts";
import { type OldServer, writeOldServer } from "../store/import/old-server.ts";
import { TestServer } from "./client-server.ts";

const isNotRoot = lacks(needsRoot(), needsCommands("setpriv"));
const CRASHES = Number(process.env["ROBUR_CRASHES"] ?? 5);
const uuid = (n: number) => `08455214-8a9b-413a-b116-${n.toString(16).padStart(12, "0")}`;

/** So many builds, each with a file that the others have and one that is its own. */
function manyBuilds(count: number): OldServer {
  return {
    version: 18,
    users: [
      { name: "builder", password: "testtest", restricted: false },
      { name: "ci", password: "testtest", access: ["hello"] },
    ],
    jobs: [{ name: "hello", tags: { synopsis: "Says hello" } }],
    builds: Array.from({ length: count }, (_, i) => ({
      uuid: uuid(i + 1),
      job: "hello",
      start: [19000n + BigInt(i), 5n * 10n ** 15n] as const,
      files: [
        { path: "bin/hello.hvt", bytes: Buffer.alloc(200_000, `binary ${i} `) },
        { path: "opam-switch", bytes: 'opam-version: "2.0"\n' },
      ],
    })),
  };
}

/** What a database has, without the times of receipt. */
function digest(data: string) {
  using db = openDatabase(join(data, "robur.db"));
  const all = (sql: string) => db.query(sql).all();
  return {
    integrity: all("PRAGMA integrity_check"),
    foreign: all("PRAGMA foreign_key_check"),
    builds: all(
      "SELECT uuid, platform, started_at, finished_at, hex(main_sha256), hex(input_id) FROM build ORDER BY uuid",
    ),
    files: all(
      `SELECT uuid, path, hex(artifact.sha256), artifact.size, content IS NOT NULL AS kept FROM artifact
       JOIN build ON build.id = artifact.build ORDER BY uuid, path`,
    ),
    users: all("SELECT name, role, uploads, password_hash FROM user ORDER BY name"),
    access: all("SELECT count(*) AS n FROM upload_access"),
    jobs: all("SELECT name, synopsis FROM job ORDER BY name"),
  };
}

describe("import of a builder-web", () => {
  test("needs no server; killed at any moment and run again it comes to the same end", async () => {
    const directory = temporaryDirectory();
    const old = join(directory, "old");
    writeOldServer(old, manyBuilds(60));
    const importInto = async (data: string) => start(["import", "builder-web", old, "--data-dir", data]);
    const whole = join(directory, "whole");
    const began = performance.now();
    expect(await (await importInto(whole)).exited).toBe(0);
    const time = performance.now() - began;
    const expected = digest(whole);
    expect(expected.builds).toHaveLength(60);
    for (let i = 0; i < CRASHES; i++) {
      const data = join(directory, `killed-${i}`);
      const child = await importInto(data);
      await Bun.sleep((time * (i + 1)) / (CRASHES + 1));
      child.kill("SIGKILL");
      await child.exited;
      const again = await importInto(data);
      expect(await again.exited).toBe(0);
      expect(digest(data)).toEqual(expected);
    }
  }, 120_000);

  test("ended by Ctrl-C says so, and goes on from there", async () => {
    const directory = temporaryDirectory();
    const [old, data] = [join(directory, "old"), join(directory, "data")];
    writeOldServer(old, manyBuilds(200));
    const child = await start(["import", "builder-web", old, "--data-dir", data]);
    const count = () => {
      try {
        using db = new Database(join(data, "robur.db"), { readonly: true });
        return db.query<{ n: number }, []>("SELECT count(*) AS n FROM build").get()!.n > 3;
      } catch {
        return false;
      }
    };
    await until("some builds are there", () => count() || child.exitCode !== null);
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
    expect(await child.stderr.text()).toContain("the same command goes on from there");
    const again = await start(["import", "builder-web", old, "--data-dir", data]);
    expect(await again.exited).toBe(0);
    expect(digest(data).builds).toHaveLength(200);
  }, 60_000);

  test("is done by the server where one runs; the old passwords go on working", async () => {
    await using server = await TestServer.start();
    const old = join(temporaryDirectory(), "old");
    writeOldServer(old, manyBuilds(3));
    expect(await server.ok("import", "builder-web", old)).toContain("imported 3 builds, 1 job, 2 users");
    const list = JSON.parse(await server.ok("build", "ls", "hello", "--json")) as { id: string }[];
    expect(list.map(({ id }) => id)).toEqual([uuid(3), uuid(2), uuid(1)]);
    const upload = (name: string, password: string, job: string) =>
      fetch(`${server.address}/job/${job}/platform/debian-12/upload`, {
        method: "POST",
        body: "binary",
        headers: { authorization: `Basic ${btoa(`${name}:${password}`)}` },
      }).then(({ status }) => status);
    expect(await upload("builder", "testtest", "new")).toBe(201);
    expect(await upload("builder", "wrong", "new")).toBe(401);
    expect(await upload("ci", "testtest", "hello")).toBe(201);
    expect(await upload("ci", "testtest", "new")).toBe(403);
    // The command can't have the database meanwhile, and says who has it.
    const refused = await server.robur(["import", "builder-web", old, "--data-dir", server.data]);
    expect(refused.code).toBe(4);
    expect(refused.stderr).toContain("a server has this database");
    expect((await server.robur(["import", "builder-web", temporaryDirectory()])).code).toBe(3);
    expect((await server.robur(["import", "not-an-address"])).code).not.toBe(0);
  });

  test("says what to do when the server goes away meanwhile", async () => {
    await using server = await TestServer.start();
    const old = join(temporaryDirectory(), "old");
    writeOldServer(old, manyBuilds(200));
    const ended = server.robur(["import", "builder-web", old]);
    await until("some builds are there", () => {
      using db = new Database(join(server.data, "robur.db"), { readonly: true });
      return db.query<{ n: number }, []>("SELECT count(*) AS n FROM build").get()!.n > 3;
    });
    await server.kill();
    const { code, stderr } = await ended;
    expect(code).toBe(1);
    expect(stderr).toContain(
      "error: the server ended before the import did\n  try: the same command goes on",
    );
    await server.up();
    expect(await server.ok("import", "builder-web", old)).toContain("were here already");
  }, 60_000);

  test.skipIf(isNotRoot)("of what its process may not read says so, and goes on once it may", async () => {
    const directory = temporaryDirectory();
    const old = join(directory, "old");
    writeOldServer(old, manyBuilds(1));
    for (const path of [directory, old]) chmodSync(path, 0o777);
    const under = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
    const ask = () => run(["import", "builder-web", old, "--data-dir", join(directory, "data")], { under });
    for (const path of [old, join(old, "builder.sqlite3"), join(old, "_artifacts"), join(old, "hello")]) {
      const { mode } = statSync(path);
      chmodSync(path, 0o700);
      const { code, stderr } = await ask();
      expect([path, code, stderr]).toEqual([
        path,
        5,
        expect.stringMatching(/can't be read by the user (nobody|65534)\n/),
      ]);
      expect(stderr).toContain(`:rX ${old}, or import a copy`);
      chmodSync(path, mode & 0o777);
    }
    expect(await ask()).toMatchObject({ code: 0 });
  });

  test("with damage ends with 1, and names what is damaged", async () => {
    const directory = temporaryDirectory();
    const [old, data] = [join(directory, "old"), join(directory, "data")];
    const server = manyBuilds(1);
    const files = [{ path: "bin/lost", bytes: "lost", trouble: "missing" as const }];
    writeOldServer(old, { ...server, builds: [{ uuid: uuid(9), job: "hello", files }] });
    const child = await start(["import", "builder-web", old, "--data-dir", data]);
    expect(await child.exited).toBe(1);
    const said = await child.stderr.text();
    expect(said).toContain(`damaged: build ${uuid(9)}: bin/lost`);
    expect(said).toContain("1 thing is damaged or missing");
  });
});

describe("upload hooks", () => {
  test("get builder-web's arguments and the main binary as a file, and write to the log", async () => {
    await using server = await TestServer.start();
    const folder = join(server.data, "upload-hooks");
    mkdirSync(folder);
    const out = join(server.directory, "out");
    const script = (name: string, text: string, mode: number) => {
      writeFileSync(join(folder, name), text);
      chmodSync(join(folder, name), mode);
    };
    script(
      "a.sh",
      `#!/bin/sh\nfor a; do echo "$a"; last="$a"; done > ${out}.tmp\ncat "$last" >> ${out}.tmp\nmv ${out}.tmp ${out}\n`,
      0o755,
    );
    script("b.sh", "#!/bin/sh\necho said by b\nexit 3\n", 0o755);
    script("broken.sh", "#!/no/such/interpreter\n", 0o755);
    script("c.sh", `#!/bin/sh\ntouch ${out}.never\n`, 0o644);
    // One that can't be started keeps none from running after it.
    script("z.sh", `touch ${out}.last\n`, 0o755);
    script("d.sh.sample", `#!/bin/sh\ntouch ${out}.never\n`, 0o755);
    const file = join(server.directory, "$(touch x);hello.hvt");
    writeFileSync(file, "the binary");
    const id = (await server.ok("push", "hello", file, "--platform", "debian-12")).trim();
    await until("the last script has ended", () => /z\.sh ms=/.test(server.said));
    expect(existsSync(`${out}.last`)).toBe(true);
    expect(server.said).toContain("it ended with 127");
    expect(server.said).toContain("it ended with 3");
    const lines = readFileSync(out, "utf8").split("\n");
    expect(lines).toHaveLength(10);
    const sha256 = new Bun.CryptoHasher("sha256").update("the binary").digest("hex");
    expect(lines[0]).toMatch(/^--build-time=\d{14}$/);
    expect(lines.slice(1, 5)).toEqual([
      `--sha256=${sha256}`,
      "--job=hello",
      `--uuid=${id}`,
      "--platform=debian-12",
    ]);
    expect(lines[6]).toBe(`--data-dir=${server.data}`);
    expect(lines[7]).toBe("--main-binary-filepath=bin/$(touch x);hello.hvt");
    expect(lines[8]).toEndWith(`/${sha256}`);
    expect(lines[9]).toBe("the binary");
    expect(server.said).toContain("said by b");
    // The file was for the scripts only.
    await until("it is gone", () => !existsSync(lines[8]!));
    expect(await Bun.file(`${out}.never`).exists()).toBe(false);
  });
});
