import { afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Database } from "bun:sqlite";
import { openDatabase } from "../../../src/db/open.ts";
import { sha256Of } from "../../../src/lib/sha256-of.ts";
import { type BuildId, type JobName, parseBuildId } from "../../../src/store/api.ts";
import { openBuildStore } from "../../../src/store/builds/build-store.ts";
import { openContentStore } from "../../../src/store/contents/content-store.ts";
import { importBuilderWeb } from "../../../src/store/import/builder-web.ts";
import type { ImportEvent } from "../../../src/store/import/report.ts";
import { temporaryDirectory } from "../../robur.ts";
import { type OldServer, writeOldServer } from "./old-server.ts";

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

function world() {
  const directory = temporaryDirectory();
  const db = openDatabase(join(directory, "robur.db"));
  open.push(() => db.close());
  const contents = openContentStore(db);
  const builds = openBuildStore(db, contents);
  const room = { db, contents, dataDirectory: directory };
  const old = join(directory, "builder-web");
  const events: ImportEvent[] = [];
  const report = (event: ImportEvent) => void events.push(event);
  const run = () => importBuilderWeb(room, old, { report, now: () => 1_700_000_000_000 });
  const said = (kind: ImportEvent["kind"]) =>
    events.flatMap((event) => (event.kind === kind && "text" in event ? [event.text] : []));
  return { db, contents, builds, old, directory, run, said };
}

const byPath = (a: { readonly path: string }, b: { readonly path: string }) => (a.path < b.path ? -1 : 1);
const U = (n: number) => parseBuildId(`08455214-8a9b-413a-b116-${n.toString(16).padStart(12, "0")}`)!;
const HELLO = [
  { path: "bin/hello.hvt", bytes: "\x7fELF" },
  { path: "opam-switch", bytes: 'opam-version: "2.0"\n' },
  { path: "build-environment", bytes: "OS=linux" },
  { path: "system-packages", bytes: "zlib=1.2\n" },
];
const INPUT = Buffer.from("7c92ce3766e1d47cd942cf310bc808ffba1a01705b66b810c4f629a91b49e10b", "hex");

const OLD: OldServer = {
  version: 18,
  users: [
    { name: "builder", password: "testtest", restricted: false },
    { name: "Some_One", password: "s3cret pass", access: ["hello", ".."] },
    { name: "nologin" },
  ],
  jobs: [
    {
      name: "hello",
      tags: { section: "Unikernels", synopsis: "Says hello", readme: "old", "readme.md": "# Hello" },
    },
    { name: "..", tags: { readme: "only the new name" } },
    { name: "empty" },
  ],
  builds: [
    { uuid: U(1), job: "hello", files: HELLO, inputId: INPUT },
    { uuid: U(2), job: "hello", code: -1792, user: "nologin", finish: [19970n, 86_399_999_999_999_999n] },
    { uuid: U(3), job: "hello", code: 65536, message: "timeout" },
    { uuid: U(4), job: "..", files: [{ path: "./bin/up.hvt", bytes: "up" }], platform: "a platform" },
    {
      uuid: U(5),
      job: "hello",
      files: [
        { path: "bin/lost.hvt", bytes: "lost", trouble: "missing" },
        { path: "changed", bytes: "as it was", trouble: "damaged" },
        { path: "short", bytes: "as long as it was", trouble: "short" },
        { path: "../../escape", bytes: "x" },
      ],
    },
    {
      uuid: U(6),
      job: "hello",
      files: [
        { path: "bin/a", bytes: "a" },
        { path: "bin/b", bytes: "b" },
      ],
      main: "bin/a",
    },
  ],
};

describe("the record of a build that came so", () => {
  test("is made of what there is, and makes the same build elsewhere", async () => {
    const { builds, old, run, said } = world();
    const odd = Buffer.concat([
      Buffer.from("not a time\n0.250s:start: \xff\n continued\n\n12.000s:", "latin1"),
      Buffer.alloc(3 * 1024 * 1024, "x"),
      Buffer.from("\n12.001s:no end"),
    ]);
    writeOldServer(old, {
      ...OLD,
      builds: [
        { uuid: U(1), job: "hello", files: HELLO, inputId: INPUT },
        { uuid: U(2), job: "hello", code: -1792, console: odd },
        { uuid: U(3), job: "..", code: 65536, message: "timeout", console: "" },
      ],
    });
    expect(await run()).toMatchObject({ builds: 3, damaged: 0 });
    expect(said("damage")).toEqual([]);
    const other = world();
    for (const id of [U(1), U(2), U(3)]) {
      const record = builds.record(id)!;
      const bytes = Buffer.from(await new Response(record.stream()).arrayBuffer());
      expect(bytes).toHaveLength(record.size);
      const options = { mayUpload: () => true, uploadedBy: "builder" };
      expect(await other.builds.upload(new Blob([bytes]).stream(), options)).toMatchObject({ ok: true });
      const [here, there] = [builds.build(id)!, other.builds.build(id)!];
      for (const key of [
        "job",
        "platform",
        "startedAt",
        "finishedAt",
        "result",
        "inputId",
        "main",
      ] as const) {
        expect(there[key]).toEqual(here[key]);
      }
      expect(there.artifacts.toSorted(byPath)).toEqual(here.artifacts.toSorted(byPath));
      expect(there.script.sha256).toBe(here.script.sha256);
    }
    expect(other.builds.build(U(1))!.console.sha256).toBe(builds.build(U(1))!.console.sha256);
    // A line without a time belongs to the one before, and every line of a console has one here.
    const text = Buffer.from(await other.contents.bytes(other.builds.build(U(2))!.console)).toString(
      "latin1",
    );
    expect(text).toStartWith(
      "0.000s:not a time\n0.250s:start: \xff\n0.250s: continued\n0.250s:\n12.000s:xxx",
    );
    expect(text).toEndWith("xxx\n12.001s:no end\n");
    expect(text.replaceAll(/[^x]/g, "")).toHaveLength(3 * 1024 * 1024);
    // The README is the job's, and comes along as builder-web's own do.
    expect(other.builds.job("hello" as JobName)!.readme).toBe("# Hello");
  });

  test("is missing where a file is, until it is back: the notes of the main binary come with it", async () => {
    const { builds, old, run } = world();
    const image = readFileSync(join(import.meta.dir, "../../../assets/hello/hello.hvt"));
    const files = [{ path: "bin/hello.hvt", bytes: image, trouble: "missing" as const }];
    writeOldServer(old, { ...OLD, builds: [{ uuid: U(1), job: "hello", files }] });
    expect(await run()).toMatchObject({ damaged: 1 });
    expect(builds.record(U(1))).toBeUndefined();
    expect(builds.build(U(1))!.solo5).toBeUndefined();
    const sha256 = sha256Of(image);
    mkdirSync(join(old, "_artifacts", sha256.slice(0, 2)), { recursive: true });
    writeFileSync(join(old, "_artifacts", sha256.slice(0, 2), sha256), image);
    expect(await run()).toMatchObject({ damaged: 0, alreadyThere: 1 });
    expect(builds.build(U(1))!.solo5).toMatchObject({ abi: { target: "hvt" } });
    expect(builds.record(U(1))!.size).toBeGreaterThan(image.length);
  });
});

describe("a builder-web's data directory", () => {
  test("comes with its jobs, builds, results, times and files", async () => {
    const { builds, contents, old, run } = world();
    writeOldServer(old, OLD);
    expect(await run()).toMatchObject({ builds: 6, alreadyThere: 0, jobs: 3, users: 3 });
    expect(builds.job("hello" as JobName)).toMatchObject({
      section: "Unikernels",
      synopsis: "Says hello",
      readme: "# Hello",
    });
    const hello = builds.build(U(1))!;
    expect(hello).toMatchObject({
      job: "hello",
      platform: "debian-12",
      startedAt: Date.parse("2024-09-04T10:11:12.123Z"),
      finishedAt: Date.parse("2024-09-04T10:11:14Z"),
      result: { kind: "exited", code: 0 },
      inputId: INPUT.toString("hex"),
      uploadedBy: "builder",
      main: { path: "bin/hello.hvt", size: 4, sha256: sha256Of("\x7fELF"), isKept: true },
    });
    expect(hello.artifacts.map(({ path }) => path)).toContain("system-packages");
    const text = async (content: typeof hello.console) =>
      Buffer.from(await contents.bytes(content)).toString();
    expect(await text(hello.console)).toBe("0.250s:start\n1.500s:done\n");
    expect(await text(hello.script)).toBe("true\n");
    // Picoseconds beyond 2^53, and what the original's own reader gets wrong.
    expect(builds.build(U(2))).toMatchObject({
      result: { kind: "signalled", signal: -7 },
      finishedAt: Date.parse("2024-09-04T23:59:59.999Z"),
      uploadedBy: "nologin",
    });
    expect(builds.build(U(3))!.result).toEqual({ kind: "message", text: "timeout" });
  });

  test("is taken with names that can't be kept, and says so", async () => {
    const { builds, old, run, said } = world();
    writeOldServer(old, OLD);
    await run();
    const up = builds.build(U(4))!;
    expect(up.job).toMatch(/^job-[0-9a-f]{8}$/);
    expect(up.platform).toMatch(/^a-platform-[0-9a-f]{8}$/);
    expect(up.main?.path).toBe("bin/up.hvt");
    expect(builds.job(up.job)!.readme).toBe("only the new name");
    expect(said("note").join("\n")).toContain(`job ".." is now ${up.job}`);
    expect(said("note").join("\n")).toContain('user "Some_One" is now some-one');
    // Two files below bin/ are no main binary.
    expect(builds.build(U(6))!.main).toBeUndefined();
    expect(said("note").join("\n")).toContain(`build ${U(6)}: its main binary was bin/a and is none now`);
  });

  test("keeps the rows of files that are lost, and reports each", async () => {
    const { builds, db, old, run, said } = world();
    writeOldServer(old, OLD);
    const { damaged } = await run();
    const damage = said("damage");
    expect(damage).toHaveLength(damaged);
    expect(damage.filter((text) => text.includes(U(5)))).toHaveLength(4);
    for (const word of [
      "bin/lost.hvt",
      "is missing",
      "changed",
      "is damaged",
      "short",
      "leads out of the build",
    ]) {
      expect(damage.join("\n")).toContain(word);
    }
    expect(builds.build(U(5))).toMatchObject({
      main: { path: "bin/lost.hvt", sha256: sha256Of("lost"), isKept: false },
    });
    expect(builds.artifact(U(5), "changed")).toMatchObject({
      artifact: { isKept: false },
      content: undefined,
    });
    expect(db.query("SELECT count(*) AS n FROM artifact WHERE path LIKE '%escape%'").get()).toEqual({ n: 0 });
  });

  test("brings its users, with their passwords as scrypt made them, and what they may upload", async () => {
    const { db, old, run } = world();
    writeOldServer(old, OLD);
    await run();
    const rows = db
      .query<{ name: string; role: string; hash: string | null; uploads: string }, []>(
        "SELECT name, role, password_hash AS hash, uploads FROM user ORDER BY id",
      )
      .all();
    expect(rows.map(({ name, role, uploads }) => ({ name, role, uploads }))).toEqual([
      { name: "builder", role: "user", uploads: "any" },
      { name: "some-one", role: "user", uploads: "listed" },
      { name: "nologin", role: "user", uploads: "none" },
    ]);
    const hash = Buffer.from("f65993fc9274a1c364c9a4b1530f477aae2c3664ed15433eb4ccd187d37ba556", "hex");
    expect(rows[0]!.hash).toBe(`$scrypt$n=16384,r=8,p=1$AAECAwQFBgcICQoLDA0ODw==$${hash.toString("base64")}`);
    expect(rows[2]!.hash).toBeNull();
    const access = db.query(
      "SELECT count(*) AS n FROM upload_access JOIN user ON user.id = user_id WHERE name = 'some-one'",
    );
    expect(access.get()).toEqual({ n: 2 });
  });

  test("doesn't touch a user who is there already", async () => {
    const { db, old, run, said } = world();
    writeOldServer(old, OLD);
    db.run(
      "INSERT INTO user (name, role, path, password_hash, uploads, created_at) VALUES ('builder', 'user', 'x', 'own', 'none', 1)",
    );
    expect((await run()).users).toBe(2);
    expect(said("note").join("\n")).toContain("user builder is there already");
    expect(db.query("SELECT password_hash, uploads FROM user WHERE name = 'builder'").get()).toEqual({
      password_hash: "own",
      uploads: "none",
    });
  });

  test("comes once, however often it is imported", async () => {
    const { db, old, run, said } = world();
    writeOldServer(old, OLD);
    await run();
    const count = () =>
      ["build", "artifact", "job", "user", "upload_access", "content"].map(
        (table) => db.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${table}`).get()!.n,
      );
    const before = count();
    expect(await run()).toMatchObject({ builds: 0, alreadyThere: 6, jobs: 0, users: 0 });
    expect(count()).toEqual(before);
    expect(said("note").filter((text) => text.includes("is there already"))).toEqual([]);
  });

  test("mends on a second time what was lost on the first", async () => {
    const { builds, contents, old, run, said } = world();
    writeOldServer(old, OLD);
    const first = await run();
    const sha256 = sha256Of("lost");
    mkdirSync(join(old, "_artifacts", sha256.slice(0, 2)), { recursive: true });
    writeFileSync(join(old, "_artifacts", sha256.slice(0, 2), sha256), "lost");
    const second = await run();
    expect(second).toMatchObject({ builds: 0, damaged: first.damaged - 1 });
    expect(said("note")).toContain(`build ${U(5)}: bin/lost.hvt is there now`);
    const { content } = builds.artifact(U(5), "bin/lost.hvt")!;
    expect(Buffer.from(await contents.bytes(content!)).toString()).toBe("lost");
  });

  test("of schema 16 and 17 has its files by their paths", async () => {
    for (const version of [16, 17] as const) {
      const { builds, old, run } = world();
      writeOldServer(old, { ...OLD, version });
      await run();
      expect(builds.build(U(1))!.main).toMatchObject({ isKept: true, sha256: sha256Of("\x7fELF") });
    }
  });

  test("of another schema, or none at all, is refused with what to do", async () => {
    const { old, run, directory } = world();
    await expect(run()).rejects.toMatchObject({ code: "missing" });
    writeOldServer(old, OLD);
    const change = (sql: string) => {
      using db = new Database(join(old, "builder.sqlite3"));
      db.run(sql);
    };
    change("PRAGMA user_version = 15");
    await expect(run()).rejects.toMatchObject({
      code: "old-schema",
      hint: expect.stringContaining("builder-migrations"),
    });
    change("PRAGMA user_version = 19");
    await expect(run()).rejects.toMatchObject({ code: "old-schema" });
    change("PRAGMA user_version = 18; PRAGMA application_id = 1;");
    await expect(run()).rejects.toMatchObject({ code: "not-builder-web" });
    writeFileSync(join(old, "builder.sqlite3"), "no database");
    await expect(run()).rejects.toMatchObject({ code: "not-builder-web" });
    expect(readdirSync(directory).filter((name) => name.startsWith("import-"))).toEqual([]);
  });

  test("is left as it is, and its server isn't kept from writing", async () => {
    const { old, run } = world();
    writeOldServer(old, OLD);
    using server = new Database(join(old, "builder.sqlite3"));
    const running = run();
    server.run("INSERT INTO job (name) VALUES ('meanwhile')");
    await running;
    expect(server.query("SELECT count(*) AS n FROM job").get()).toEqual({ n: 4 });
  });

  test("with consoles and scripts that are gone is taken, and they are reported, and mended once they are back", async () => {
    const { builds, old, run, said } = world();
    const build = { uuid: U(1) as BuildId, job: "hello" };
    writeOldServer(old, { ...OLD, builds: [{ ...build, withoutTexts: true }] });
    rmSync(join(old, "hello"), { recursive: true, force: true });
    await run();
    expect(builds.build(U(1))!.console.size).toBe(0);
    expect(said("damage")).toEqual([
      `build ${U(1)}: script.txt is missing`,
      `build ${U(1)}: console.txt is missing`,
    ]);
    expect(builds.record(U(1))).toBeUndefined();
    mkdirSync(join(old, "hello", U(1)), { recursive: true });
    writeFileSync(join(old, "hello", U(1), "script.txt"), "true\n");
    writeFileSync(join(old, "hello", U(1), "console.txt"), "");
    expect(await run()).toMatchObject({ builds: 0, damaged: 0 });
    expect(said("note")).toContain(`build ${U(1)}: script.txt is there now`);
    expect(builds.build(U(1))!.script.size).toBe(5);
    expect(builds.record(U(1))).toBeDefined();
  });

  test("with values of another kind than the schema has loses what can't be read, and nothing else", async () => {
    const { builds, old, run, said } = world();
    writeOldServer(old, {
      ...OLD,
      builds: [1, 2, 3, 4].map((n) => ({ uuid: U(n), job: "hello", files: HELLO })),
    });
    using db = new Database(join(old, "builder.sqlite3"));
    db.run(`UPDATE build SET platform = x'ff00' WHERE id = 1;
      UPDATE build SET start_d = -5, result_code = 'x' WHERE id = 2;
      UPDATE build SET uuid = 7, user = 999 WHERE id = 3;
      UPDATE build_artifact SET filepath = x'62696e2f78', size = '4' WHERE build = 4 AND filepath LIKE 'bin/%';
      UPDATE user SET scrypt_n = 'many' WHERE username = 'builder';`);
    expect(await run()).toMatchObject({ builds: 3 });
    expect(builds.build(U(1))!.platform).toMatch(/^platform-[0-9a-f]{8}$/);
    expect(builds.build(U(2))).toMatchObject({ startedAt: 0, finishedAt: 0 });
    expect(builds.build(U(4))!.main).toMatchObject({ path: "bin/x", isKept: true });
    expect(said("damage")).toEqual([
      expect.stringContaining(`build ${U(2)}: nobody knows when it was`),
      'build "7" is left out: this is no UUID',
    ]);
    db.run("DROP TABLE access_list");
    await expect(run()).rejects.toMatchObject({ code: "unreadable", why: "no such table: access_list" });
  });
});
