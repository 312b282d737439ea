import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { checkDatabase, copyDatabase, hashFile } from "../../../src/db/backup/copy-database.ts";
import { openDatabase } from "../../../src/db/open.ts";
import { lockForServer } from "../../../src/db/server-lock.ts";
import { type BackupStep, makeBackup } from "../../../src/orchestrator/backup/make-backup.ts";
import { readArchive } from "../../../src/orchestrator/backup/read-archive.ts";
import { openLocked } from "../../../src/linux/file-lock.ts";
import { O_RDWR, close } from "../../../src/linux/libc.ts";
import { IS_ROOT, lacks, needsCommands, needsRoot } from "../../needs.ts";
import { Room, failure, keysIn } from "./rooms.ts";

const request = (room: Room, target: string, more: object = {}) => ({
  ...{ database: room.database, dataDirectory: room.data, target: room.file(target) },
  ...{ withVolumes: false, replace: false, now: Date.UTC(2026, 10, 21), ...more },
});

describe("a backup of the database", () => {
  test("is a database that opens as it is, for its owner only, while a server has the other one", async () => {
    using room = new Room();
    using _lock = lockForServer(room.database);
    room.put("one");
    const made = await makeBackup(request(room, "out.db"));
    expect(made).toMatchObject({ ...hashFile(made.path), volumes: [], leftOut: [] });
    expect(statSync(made.path).mode & 0o777).toBe(0o600);
    expect(readdirSync(room.path).sort()).toEqual(["data", "out.db"]);
    expect(checkDatabase(made.path).schema).toBe(made.schema);
    expect(keysIn(made.path)).toEqual(["one"]);
  });

  test("is of one moment, though somebody writes all the time", async () => {
    using room = new Room();
    let count = 0;
    const writer = setInterval(() => {
      // Two rows in each transaction: a backup with one of them would be torn.
      room.db
        .transaction(() => {
          room.db.query("INSERT INTO setting VALUES (?, '1')").run(`a${count}`);
          room.db.query("INSERT INTO setting VALUES (?, '1')").run(`b${count}`);
        })
        .immediate();
      count += 1;
    }, 1);
    try {
      for (let i = 0; i < 5; i++) {
        const { path } = await makeBackup(request(room, `out${i}.db`));
        const keys = keysIn(path);
        expect(keys.filter((key) => key.startsWith("a"))).toHaveLength(keys.length / 2);
      }
    } finally {
      clearInterval(writer);
    }
    expect(count).toBeGreaterThan(5);
  });

  test("tells how far it is", async () => {
    using room = new Room();
    for (let i = 0; i < 40; i++) room.put(`large ${i}`, 1024 * 1024);
    const seen: [BackupStep, number, number][] = [];
    await makeBackup(request(room, "out.db"), { onProgress: (...step) => seen.push(step) });
    for (const [step, done, total] of seen) {
      expect(step).toBe("copying the database");
      expect(done).toBeLessThanOrEqual(total);
    }
  });

  test("replaces nothing unless it is told to", async () => {
    using room = new Room();
    writeFileSync(room.file("out.db"), "mine");
    expect(await failure(makeBackup(request(room, "out.db")))).toMatchObject({ code: "exists" });
    expect(readFileSync(room.file("out.db"), "utf8")).toBe("mine");
    await makeBackup(request(room, "out.db", { replace: true }));
    checkDatabase(room.file("out.db"));
  });

  test("that is called off leaves nothing behind", async () => {
    using room = new Room();
    for (let i = 0; i < 20; i++) room.put(`large ${i}`, 1024 * 1024);
    const called = new AbortController();
    const work = makeBackup(request(room, "out.db"), { signal: called.signal });
    called.abort();
    expect(await failure(work)).toMatchObject({ code: "interrupted" });
    expect(readdirSync(room.path)).toEqual(["data"]);
  });

  test("takes away what a killed one left, and not what another is at", async () => {
    using room = new Room();
    writeFileSync(room.file(".out.db.new-999999999"), "left");
    writeFileSync(room.file(".out.db.new-1"), "busy");
    await makeBackup(request(room, "out.db"));
    expect(readdirSync(room.path).sort()).toEqual([".out.db.new-1", "data", "out.db"]);
  });

  test("says what is wrong with the place, or with the database", async () => {
    using room = new Room();
    expect(await failure(makeBackup(request(room, "no/out.db")))).toMatchObject({ code: "missing" });
    writeFileSync(room.file("text"), "x".repeat(5000));
    const other = { ...request(room, "out.db"), database: room.file("text") };
    expect(await failure(makeBackup(other))).toMatchObject({ code: "not-a-database" });
    expect(await failure(makeBackup({ ...other, database: room.file("none") }))).toMatchObject({
      code: "missing",
    });
    expect(existsSync(room.file("out.db"))).toBe(false);
  });

  test.skipIf(lacks(IS_ROOT ? "root may write everywhere" : undefined))(
    "says who may not write there",
    async () => {
      using room = new Room();
      mkdirSync(room.file("closed"));
      chmodSync(room.file("closed"), 0o500);
      expect(await failure(makeBackup(request(room, "closed/out.db")))).toMatchObject({
        code: "not-permitted",
      });
    },
  );

  test.skipIf(lacks(needsRoot(), needsCommands("unshare", "mount"))).each([
    ["the database is too large", 3, []],
    ["a volume is", 0, ["--with-volumes"]],
  ] as const)("says that the disk is full when %s", async (_what, megabytes, flags) => {
    using room = new Room();
    for (let i = 0; i < megabytes; i++) room.put(`large ${i}`, 1024 * 1024);
    const noise = room.volume("noise", "", 4 * 1024 * 1024);
    writeFileSync(
      noise,
      Buffer.concat(Array.from({ length: 64 }, () => crypto.getRandomValues(new Uint8Array(65_536)))),
    );
    mkdirSync(room.file("small"));
    const main = new URL("../../../src/main.ts", import.meta.url).pathname;
    const shell =
      'mount -t tmpfs -o size=1m none "$1" && "$2" "$3" backup "$1/out" --db "$4" --data-dir "$5" $6; echo "$?"; ls -A "$1"';
    const args = [room.file("small"), process.execPath, main, room.database, room.data, flags.join(" ")];
    const child = Bun.spawn(["unshare", "--mount", "sh", "-c", shell, "sh", ...args], {
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, said] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    expect(said).toContain("the disk is full");
    expect(said).toContain("try: df -h");
    expect(out).toBe("1\n");
  });
});

describe("a damaged database", () => {
  test("gives no backup", async () => {
    using room = new Room();
    for (let i = 0; i < 5; i++) room.put(`large ${i}`, 100_000);
    room.db.run("PRAGMA wal_checkpoint(TRUNCATE)");
    const bytes = readFileSync(room.database);
    bytes.fill(0xaa, bytes.length - 40_000, bytes.length - 20_000);
    const path = room.file("damaged.db");
    writeFileSync(path, bytes);
    expect(() => checkDatabase(path)).toThrow(/damaged/);
    const work = makeBackup({ ...request(room, "out.db"), database: path });
    expect(["corrupt", "failed"]).toContain((await failure(work)).code);
    expect(existsSync(room.file("out.db"))).toBe(false);
  });

  test("of another program, or empty, or of a newer robur, is no backup", () => {
    using room = new Room();
    using other = new (require("bun:sqlite") as typeof import("bun:sqlite")).Database(room.file("other.db"), {
      create: true,
    });
    other.run("CREATE TABLE t (a)");
    expect(() => checkDatabase(room.file("other.db"))).toThrow(/not a robur database/);
    copyDatabase(room.database, room.file("newer.db"));
    using newer = openDatabase(room.file("newer.db"));
    newer.run("INSERT INTO migration VALUES (999, 'later', 'x', 0, 'robur 9')");
    newer.run("PRAGMA journal_mode = DELETE");
    expect(() => checkDatabase(room.file("newer.db"))).toThrow(/newer robur/);
  });

  test("and one that is in use isn't either", () => {
    using room = new Room();
    room.put("one");
    expect(() => checkDatabase(room.database)).toThrow(/in use/);
  });
});

describe("a backup with volumes", () => {
  test("holds them whole, and tar, zstd and sha256sum can read it", async () => {
    using room = new Room();
    room.put("one");
    const data = room.volume("data", "begin", 3 * 1024 * 1024 + 512);
    room.volume("alice:web", "web");
    const made = await makeBackup(request(room, "out.tar.zst", { withVolumes: true }));
    expect(made.volumes).toEqual([
      { name: "alice:web", size: 1024 * 1024, read: "still" },
      { name: "data", size: 3 * 1024 * 1024 + 512, read: "still" },
    ]);
    expect(made).toMatchObject(hashFile(made.path));
    expect(made.bytes).toBeLessThan(200_000);
    expect(readdirSync(room.path).sort()).toEqual(["data", "out.tar.zst"]);
    const manifest = await readArchive(made.path);
    expect(manifest.database.schema).toBe(made.schema);
    if (lacks(needsCommands("tar", "zstd", "sha256sum"))) return;
    const shell =
      'cd "$1" && tar --zstd -xf "$2" && sha256sum --quiet -c SHA256SUMS && cmp "volumes/data.img" "$3"';
    mkdirSync(room.file("unpacked"));
    const args = ["sh", room.file("unpacked"), made.path, data];
    const { exitCode, stderr } = Bun.spawnSync(["sh", "-c", shell, ...args]);
    expect([stderr.toString(), exitCode]).toEqual(["", 0]);
    expect(keysIn(room.file("unpacked/robur.db"))).toEqual(["one"]);
  });

  test("says which were written to meanwhile, and doesn't keep anybody from writing", async () => {
    using room = new Room();
    const fd = openLocked(room.volume("data", "x"), O_RDWR, "exclusive");
    try {
      const { volumes } = await makeBackup(request(room, "out.tar.zst", { withVolumes: true }));
      // A file system that shares blocks has a copy of one instant, any other has not.
      expect(["still", "live"]).toContain(volumes[0]!.read);
    } finally {
      close(fd);
    }
  });

  test("leaves out, and names, those whose files are gone", async () => {
    using room = new Room();
    room.db.run("INSERT INTO volume VALUES ('lost', 512, 0, 'volumes/lost.img', 'empty')");
    const { leftOut } = await makeBackup(request(room, "out.tar.zst", { withVolumes: true }));
    expect(leftOut.map(({ name }) => name)).toEqual(["lost"]);
  });

  test("that is cut off, changed or extended is found out, at every byte", async () => {
    using room = new Room();
    room.volume("data", "x".repeat(100_000), 200_192);
    const { path } = await makeBackup(request(room, "out.tar.zst", { withVolumes: true }));
    const bytes = readFileSync(path);
    const bad = room.file("bad.tar.zst");
    for (let i = 0; i < 40; i++) {
      const at = Math.floor((i / 40) * bytes.length);
      writeFileSync(bad, bytes.subarray(0, at));
      expect((await failure(readArchive(bad))).code).toMatch(/damaged|not-a-backup/);
      const changed = Buffer.from(bytes);
      changed[at]! ^= 0x10;
      writeFileSync(bad, changed);
      expect((await failure(readArchive(bad))).code).toMatch(/damaged|not-a-backup/);
    }
  });
});
