import { lacks } from "../needs.ts";
import { Database } from "bun:sqlite";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseError } from "../../src/db/database-error.ts";
import { checksumOf, pendingMigrations } from "../../src/db/migrate.ts";
import { MIGRATIONS } from "../../src/db/migrations/list.ts";
import { databasePath, openDatabase, write } from "../../src/db/open.ts";
import { FIRST, SECOND, Scratch } from "./migrations.ts";

setDefaultTimeout(120_000);

const isRoot = process.getuid?.() === 0;

/** What opening fails with. */
function failure(action: () => unknown): DatabaseError {
  try {
    action();
  } catch (error) {
    if (error instanceof DatabaseError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

const open = (path: string, migrations = [FIRST]) => openDatabase(path, { migrations });

describe("a fresh database", () => {
  test("is made with its directory, for the owner only, and has every table of robur's", () => {
    using scratch = new Scratch();
    const path = databasePath(scratch.file("data/robur"));
    const db = openDatabase(path, { now: 1234 });
    expect(statSync(scratch.file("data/robur")).mode & 0o777).toBe(0o700);
    write(db, () => db.run("INSERT INTO setting VALUES ('a', '1')"));
    for (const name of readdirSync(scratch.file("data/robur"))) {
      expect(statSync(scratch.file(`data/robur/${name}`)).mode & 0o777).toBe(0o600);
    }
    const applied = db.query<{ number: number; applied_at: number }, []>("SELECT * FROM migration").all();
    expect(applied.map(({ number }) => number)).toEqual(MIGRATIONS.map(({ number }) => number));
    expect(applied[0]!.applied_at).toBe(1234);
    db.close();
  });

  test("has the pragmas of a server's database", () => {
    using scratch = new Scratch();
    const db = open(scratch.file());
    const pragma = (name: string) => Object.values(db.query(`PRAGMA ${name}`).get() as object)[0] as unknown;
    const names = ["journal_mode", "busy_timeout", "synchronous", "foreign_keys", "temp_store", "cache_size"];
    expect(names.map(pragma)).toEqual(["wal", 10000, 1, 1, 2, -8000]);
    expect(pragma("journal_size_limit")).toBe(200000000);
    db.close();
  });

  test("has STRICT tables only", () => {
    const db = openDatabase(":memory:");
    const loose = db.query("SELECT name FROM pragma_table_list WHERE strict = 0 AND name NOT LIKE 'sqlite%'");
    expect(loose.all()).toEqual([]);
  });

  test("an empty file and an existing directory will do, and the directory stays as it is", () => {
    using scratch = new Scratch();
    chmodSync(scratch.path, 0o755);
    writeFileSync(scratch.file(), "");
    open(scratch.file()).close();
    expect(statSync(scratch.path).mode & 0o777).toBe(0o755);
  });
});

describe("an existing database", () => {
  test("is opened again, and keeps its rows", () => {
    using scratch = new Scratch();
    const db = open(scratch.file());
    write(db, () => db.run("INSERT INTO item (text) VALUES ('kept')"));
    db.close();
    const again = open(scratch.file());
    expect(again.query("SELECT text FROM item").all()).toEqual([{ text: "kept" }]);
    again.close();
  });

  test("is upgraded, and a copy of it as it was is kept beside it for the owner only", () => {
    using scratch = new Scratch();
    const db = open(scratch.file());
    write(db, () => db.run("INSERT INTO item (text) VALUES ('old')"));
    // Not closed: what lies only in the write-ahead log belongs to the copy, too.
    const upgraded = open(scratch.file(), [FIRST, SECOND]);
    expect(upgraded.query("SELECT text, size FROM item").all()).toEqual([{ text: "old", size: null }]);
    const copy = scratch.file("robur.db.schema-1");
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    const before = openDatabase(copy, { readOnly: true, migrations: [FIRST] });
    expect(before.query("SELECT * FROM item").all()).toEqual([{ id: 1, text: "old" }]);
    for (const each of [db, upgraded, before]) each.close();
    expect(readdirSync(scratch.path).filter((name) => name.includes("partial"))).toEqual([]);
  });

  test("isn't copied when there is nothing to upgrade", () => {
    using scratch = new Scratch();
    open(scratch.file(), [FIRST, SECOND]).close();
    open(scratch.file(), [FIRST, SECOND]).close();
    expect(readdirSync(scratch.path)).toEqual(["robur.db"]);
  });

  test("of a newer robur is refused, and the copy made before it is named", () => {
    using scratch = new Scratch();
    open(scratch.file(), [FIRST, SECOND]).close();
    const bytes = readFileSync(scratch.file());
    const error = failure(() => open(scratch.file(), [FIRST]));
    expect(error.code).toBe("newer-schema");
    expect(error.hint).toContain("robur.db.schema-1");
    expect(readFileSync(scratch.file())).toEqual(bytes);
  });

  test("whose migrations read differently here is refused", () => {
    using scratch = new Scratch();
    open(scratch.file()).close();
    const changed = { ...FIRST, sql: `${FIRST.sql} -- changed` };
    expect(failure(() => open(scratch.file(), [changed, SECOND])).code).toBe("changed-migration");
  });

  test("stays as it was when a migration fails", () => {
    using scratch = new Scratch();
    open(scratch.file()).close();
    const broken = { number: 3, name: "broken", sql: "CREATE TABLE a (b) STRICT;" };
    const error = failure(() => open(scratch.file(), [FIRST, SECOND, broken]));
    expect(error.code).toBe("migration-failed");
    expect(error.message).toContain("migration 3 (broken)");
    const db = open(scratch.file());
    expect(db.query("SELECT name FROM sqlite_schema WHERE name = 'other'").all()).toEqual([]);
    db.close();
  });

  test("stays as it was when a migration leaves references to nothing", () => {
    using scratch = new Scratch();
    open(scratch.file()).close();
    const dangling = {
      number: 2,
      name: "dangling",
      sql: `PRAGMA defer_foreign_keys = ON;
        CREATE TABLE child (item INTEGER REFERENCES item (id)) STRICT; INSERT INTO child VALUES (7);`,
    };
    expect(failure(() => open(scratch.file(), [FIRST, dangling])).code).toBe("migration-failed");
    open(scratch.file()).close();
  });
});

describe("what is no robur database is told apart", () => {
  test("another kind of file", () => {
    using scratch = new Scratch();
    writeFileSync(scratch.file(), "just some text, longer than a header of SQLite's. ".repeat(40));
    expect(failure(() => open(scratch.file())).code).toBe("not-a-database");
  });

  test("a database of another program, which isn't touched", () => {
    using scratch = new Scratch();
    const other = new Database(scratch.file());
    other.run("CREATE TABLE song (title TEXT)");
    other.close();
    expect(failure(() => open(scratch.file())).code).toBe("not-a-database");
  });

  test("a directory, and a path through a file", () => {
    using scratch = new Scratch();
    mkdirSync(scratch.file("d"));
    writeFileSync(scratch.file("f"), "");
    expect(failure(() => open(scratch.file("d"))).code).toBe("not-permitted");
    expect(failure(() => open(join(scratch.file("f"), "robur.db"))).code).toBe("not-a-database");
  });

  test("a damaged one", () => {
    using scratch = new Scratch();
    const db = open(scratch.file());
    write(db, () => db.run("INSERT INTO item (text) VALUES (hex(randomblob(100000)))"));
    db.close();
    truncateSync(scratch.file(), 6000);
    const error = failure(() => open(scratch.file(), [FIRST, SECOND]));
    expect(error.code).toBe("corrupt");
    expect(error.hint).toContain("backup");
  });
});

describe("a database that can't be written to", () => {
  test("is opened when nothing is to be written", () => {
    using scratch = new Scratch();
    open(scratch.file()).close();
    const db = openDatabase(scratch.file(), { readOnly: true, migrations: [FIRST] });
    expect(failure(() => write(db, () => db.run("DELETE FROM item"))).code).toBe("read-only");
    db.close();
  });

  test("isn't made, or upgraded, by reading", () => {
    using scratch = new Scratch();
    const read = (migrations = [FIRST, SECOND]) =>
      openDatabase(scratch.file(), { readOnly: true, migrations });
    expect(failure(read).code).toBe("missing");
    open(scratch.file()).close();
    expect(failure(read).code).toBe("old-schema");
  });

  test.skipIf(lacks(isRoot ? "root may do everything" : undefined))("is refused with the reason", () => {
    using scratch = new Scratch();
    open(scratch.file()).close();
    chmodSync(scratch.file(), 0o400);
    expect(failure(() => open(scratch.file())).code).toBe("not-permitted");
  });

  test.skipIf(lacks(isRoot ? undefined : "this needs root"))(
    "is refused with the reason, on a read-only and on a full file system",
    () => {
      using scratch = new Scratch();
      const script = `
      const { openDatabase, write } = await import(${JSON.stringify(join(import.meta.dir, "../../src/db/open.ts"))});
      const migrations = [${JSON.stringify(FIRST)}];
      const code = (action) => { try { action(); return "fine"; } catch (error) { return error.code; } };
      const [kind, path] = process.argv.slice(1);
      if (kind === "read-only") console.log(code(() => openDatabase(path, { migrations })));
      else {
        const db = openDatabase(path, { migrations });
        console.log(code(() => write(db, () => db.run("INSERT INTO item (text) VALUES (hex(randomblob(2000000)))"))));
        console.log(db.query("SELECT count(*) AS n FROM item").get().n, db.query("PRAGMA integrity_check").get().integrity_check);
      }`;
      const inMount = (mount: string, kind: string) => {
        const shell = `mount -t tmpfs ${mount} none "$1" && exec "$2" -e "$3" ${kind} "$1/robur.db"`;
        const args = ["unshare", "-m", "sh", "-c", shell, "sh", scratch.path, process.execPath, script];
        const { stdout, stderr } = Bun.spawnSync(args);
        return stdout.toString() + stderr.toString();
      };
      expect(inMount("-o ro", "read-only")).toBe("read-only\n");
      expect(inMount("-o size=1m", "full")).toBe("disk-full\n0 ok\n");
    },
  );
});

test("write() undoes everything when its action throws, and says what SQLite said", () => {
  const db = openDatabase(":memory:", { migrations: [FIRST] });
  const insertTwice = () => {
    db.run("INSERT INTO item VALUES (1, 'a')");
    db.run("INSERT INTO item VALUES (1, 'b')");
  };
  expect(failure(() => write(db, insertTwice)).message).toContain("UNIQUE");
  expect(db.query("SELECT * FROM item").all()).toEqual([]);
});

test("migrations are numbered without gaps, and named as their files are", () => {
  for (const [i, { number, name, sql }] of MIGRATIONS.entries()) {
    expect(number).toBe(i + 1);
    const file = `${String(number).padStart(4, "0")}_${name}.sql`;
    expect(readFileSync(join(import.meta.dir, "../../src/db/migrations", file), "utf8")).toBe(sql);
  }
});

test("pendingMigrations() answers those that a database hasn't had", () => {
  const applied = [{ number: 1, name: "first", checksum: checksumOf(FIRST.sql) }];
  expect(pendingMigrations(applied, [FIRST, SECOND], "x")).toEqual([SECOND]);
  expect(pendingMigrations([], [FIRST, SECOND], "x")).toEqual([FIRST, SECOND]);
  expect(pendingMigrations(applied, [FIRST], "x")).toEqual([]);
});
