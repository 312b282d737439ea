/** Several processes on one database, and processes that are killed. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseError } from "../../src/db/database-error.ts";
import { openDatabase } from "../../src/db/open.ts";
import { lockForServer, serverOf } from "../../src/db/server-lock.ts";
import { FIRST, SECOND, Scratch } from "./migrations.ts";

setDefaultTimeout(120_000);

const source = (name: string) => JSON.stringify(join(import.meta.dir, "../../src/db", name));
const IMPORTS = `
  const { openDatabase, write } = await import(${source("open.ts")});
  const { lockForServer, serverOf } = await import(${source("server-lock.ts")});
  const migrations = ${JSON.stringify([FIRST, SECOND])};
  const path = process.argv[1];`;

/** A process of its own; what it prints can be read. */
function run(scratch: Scratch, script: string) {
  return Bun.spawn([process.execPath, "-e", IMPORTS + script, scratch.file()], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
}

/** Waits until it is so. Only a test that fails waits long. */
async function until(isSo: () => boolean): Promise<void> {
  const end = performance.now() + 30_000;
  while (!isSo()) {
    if (performance.now() > end) throw new Error("it never came to that");
    await Bun.sleep(2);
  }
}

async function firstLine(child: ReturnType<typeof run>): Promise<string> {
  for await (const chunk of child.stdout) return new TextDecoder().decode(chunk).trim();
  return "";
}

test("many processes make one database together and write to it at once, and no write is lost", async () => {
  using scratch = new Scratch();
  const script = `
    const db = openDatabase(path, { migrations });
    for (let i = 0; i < 100; i++) {
      // Read, then write: what a transaction that isn't immediate would fail at.
      write(db, () => {
        const { n } = db.query("SELECT count(*) AS n FROM item").get();
        db.query("INSERT INTO item (id, text) VALUES (?, 'x')").run(n + 1);
      });
    }`;
  const children = Array.from({ length: 6 }, () => run(scratch, script));
  expect(await Promise.all(children.map(({ exited }) => exited))).toEqual([0, 0, 0, 0, 0, 0]);
  const db = openDatabase(scratch.file(), { migrations: [FIRST, SECOND] });
  expect(db.query("SELECT count(*) AS n FROM item").get()).toEqual({ n: 600 });
  expect(db.query("SELECT count(*) AS n FROM migration").get()).toEqual({ n: 2 });
  db.close();
});

test("kill -9 in the middle of a migration leaves the old database whole, and the next start migrates it", async () => {
  using scratch = new Scratch();
  const db = openDatabase(scratch.file(), { migrations: [FIRST] });
  db.run("INSERT INTO item (text) VALUES ('old')");
  db.close();
  // 80 MB don't fit the cache, so that half of the migration is on the disk when it is killed. It never ends.
  const endless = `CREATE TABLE big (bytes BLOB) STRICT;
    INSERT INTO big WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 800)
      SELECT randomblob(100000) FROM n;
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n;`;
  const child = run(
    scratch,
    `openDatabase(path, { migrations: [migrations[0], { number: 2, name: "endless", sql: ${JSON.stringify(endless)} }] });`,
  );
  const log = scratch.file("robur.db-wal");
  await until(() => readdirSync(scratch.path).includes("robur.db-wal") && statSync(log).size > 40_000_000);
  child.kill("SIGKILL");
  await child.exited;

  const before = openDatabase(scratch.file(), { migrations: [FIRST] });
  expect(before.query("SELECT name FROM sqlite_schema WHERE name = 'big'").all()).toEqual([]);
  expect(before.query("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
  before.close();
  const after = openDatabase(scratch.file(), { migrations: [FIRST, SECOND] });
  expect(after.query("SELECT text, size FROM item").all()).toEqual([{ text: "old", size: null }]);
  after.close();
});

test("kill -9 at any moment of making or upgrading a database leaves the old or the new one whole", async () => {
  for (let i = 0; i < 12; i++) {
    using scratch = new Scratch();
    if (i % 2 === 1) openDatabase(scratch.file(), { migrations: [FIRST] }).close();
    const child = run(scratch, `console.log("now"); openDatabase(path, { migrations });`);
    await firstLine(child);
    // Any moment is a good one, before and after the end as well.
    await Bun.sleep(i);
    child.kill("SIGKILL");
    await child.exited;
    const db = openDatabase(scratch.file(), { migrations: [FIRST, SECOND] });
    expect(db.query("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
    expect(db.query("SELECT count(*) AS n FROM migration").get()).toEqual({ n: 2 });
    db.close();
  }
});

test("one server has a database, until it ends or is killed", async () => {
  using scratch = new Scratch();
  expect(serverOf(scratch.file())).toBeUndefined();
  const child = run(
    scratch,
    `const lock = lockForServer(path, 5); console.log(process.pid); for await (const _ of Bun.stdin.stream()) {}`,
  );
  expect(await firstLine(child)).toBe(String(child.pid));
  expect(serverOf(scratch.file())).toEqual({ pid: child.pid, since: 5 });
  const refused = () => lockForServer(scratch.file());
  expect(refused).toThrow(DatabaseError);
  expect(refused).toThrow("a server has this database");
  child.kill("SIGKILL");
  await child.exited;
  expect(serverOf(scratch.file())).toBeUndefined();
  const own = lockForServer(scratch.file());
  expect(refused).toThrow("a server has this database");
  own.release();
  lockForServer(scratch.file()).release();
});

test("of servers that start together one gets the database", async () => {
  using scratch = new Scratch();
  const script = `
    try {
      const lock = lockForServer(path);
      console.log("got it");
      for await (const _ of Bun.stdin.stream()) {}
    } catch (error) { console.log(error.code); }`;
  const children = Array.from({ length: 5 }, () => run(scratch, script));
  const said = await Promise.all(children.map(firstLine));
  expect(said.sort()).toEqual(["got it", "in-use", "in-use", "in-use", "in-use"]);
  for (const child of children) child.stdin.end();
  await Promise.all(children.map(({ exited }) => exited));
});

test("a database that a server has is upgraded by nobody but that server", () => {
  using scratch = new Scratch();
  openDatabase(scratch.file(), { migrations: [FIRST] }).close();
  const server = lockForServer(scratch.file());
  const upgrade = () => openDatabase(scratch.file(), { migrations: [FIRST, SECOND] });
  expect(upgrade).toThrow("a server has this database");
  openDatabase(scratch.file(), { migrations: [FIRST] }).close();
  openDatabase(scratch.file(), { migrations: [FIRST, SECOND], server }).close();
  upgrade().close();
  server.release();
});
