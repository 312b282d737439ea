import { describe, expect, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { copyDatabase } from "../../../src/db/backup/copy-database.ts";
import { databasePath, openDatabase } from "../../../src/db/open.ts";
import { lockForServer } from "../../../src/db/server-lock.ts";
import { makeBackup } from "../../../src/orchestrator/backup/make-backup.ts";
import { restoreBackup } from "../../../src/orchestrator/backup/restore.ts";
import { openLocked } from "../../../src/linux/file-lock.ts";
import { O_RDWR, close } from "../../../src/linux/libc.ts";
import { Room, failure, keysIn } from "./rooms.ts";

const NOW = Date.UTC(2026, 10, 21, 4, 5, 6);

/** A backup of a room with the setting `old`; the room then has `new` as well. */
async function backedUp(room: Room, withVolumes = false): Promise<string> {
  room.put("old");
  const target = room.file(withVolumes ? "out.tar.zst" : "out.db");
  const { database, data: dataDirectory } = room;
  await makeBackup({ database, dataDirectory, target, withVolumes, replace: false, now: NOW });
  room.put("new");
  return target;
}

const request = (room: Room, file: string, more: object = {}) => ({
  ...{ file, database: room.database, dataDirectory: room.data, dryRun: false, now: NOW, ...more },
});

/** All files of a directory with their content's hash. */
function snapshot(directory: string): Record<string, string> {
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" }).sort();
  const files = names.filter((name) => statSync(join(directory, name)).isFile());
  // SQLite's shared memory changes by being looked at.
  const stable = files.filter((name) => !name.endsWith("-shm") && !name.includes(".lock"));
  return Object.fromEntries(
    stable.map((name) => [name, Bun.hash(readFileSync(join(directory, name))).toString(16)]),
  );
}

describe("restoring a database", () => {
  test("puts it in place, and keeps the old one with everything in it", async () => {
    using room = new Room();
    const file = await backedUp(room);
    room.db.close();
    const restored = await restoreBackup(request(room, file));
    const safetyCopy = join(room.data, "backups/before-restore-20261121T040506Z.db");
    expect(restored).toMatchObject({ safetyCopy, volumes: [], replaced: [] });
    expect(keysIn(room.database)).toEqual(["old"]);
    expect(keysIn(safetyCopy)).toEqual(["new", "old"]);
    expect(readdirSync(room.data).filter((name) => name.startsWith("."))).toEqual([]);
    expect(existsSync(file)).toBe(true);
  });

  test("makes a data directory where there is none", async () => {
    using room = new Room();
    const file = await backedUp(room);
    const data = room.file("another/place");
    const restored = await restoreBackup({
      ...request(room, file),
      database: databasePath(data),
      dataDirectory: data,
    });
    expect(restored.safetyCopy).toBeNull();
    expect(keysIn(databasePath(data))).toEqual(["old"]);
    expect(statSync(databasePath(data)).mode & 0o777).toBe(0o600);
  });

  test("takes the place of one that is damaged, and keeps that as it is, its log too", async () => {
    using room = new Room();
    const file = await backedUp(room);
    room.db.close();
    writeFileSync(room.database, "rubbish".repeat(1000));
    writeFileSync(`${room.database}-wal`, "more");
    const { safetyCopy } = await restoreBackup(request(room, file));
    expect(keysIn(room.database)).toEqual(["old"]);
    expect(readFileSync(safetyCopy!, "utf8")).toStartWith("rubbish");
    expect(readFileSync(`${safetyCopy!}-wal`, "utf8")).toBe("more");
  });

  test("never mixes the new database with the log of the old one", async () => {
    using room = new Room();
    const file = await backedUp(room);
    // A server that was killed leaves its log behind.
    const killed = room.file("killed");
    mkdirSync(killed);
    for (const name of ["robur.db", "robur.db-wal"]) copyFileSync(join(room.data, name), join(killed, name));
    expect(statSync(join(killed, "robur.db-wal")).size).toBeGreaterThan(0);
    const { safetyCopy } = await restoreBackup({
      ...request(room, file),
      database: databasePath(killed),
      dataDirectory: killed,
    });
    expect(keysIn(databasePath(killed))).toEqual(["old"]);
    expect(keysIn(safetyCopy!)).toEqual(["new", "old"]);
  });

  test("is refused while a server has it, or another process", async () => {
    using room = new Room();
    const file = await backedUp(room);
    using lock = lockForServer(room.database);
    expect(await failure(restoreBackup(request(room, file)))).toMatchObject({ code: "in-use" });
    expect(await failure(restoreBackup(request(room, file, { dryRun: true })))).toMatchObject({
      code: "in-use",
    });
    lock.release();
    // The room's own connection.
    expect(await failure(restoreBackup(request(room, file)))).toMatchObject({
      code: "in-use",
      hint: `fuser -v ${room.database}`,
    });
    expect(keysIn(room.database)).toEqual(["new", "old"]);
  });

  test("of a newer robur, of a damaged file and of any other is refused, and changes nothing", async () => {
    using room = new Room();
    const file = await backedUp(room);
    const newer = room.file("newer.db");
    copyDatabase(file, newer);
    using db = openDatabase(newer);
    db.run("INSERT INTO migration VALUES (999, 'later', 'x', 0, 'robur 9')");
    db.run("PRAGMA journal_mode = DELETE");
    room.db.close();
    const before = snapshot(room.data);
    expect(await failure(restoreBackup(request(room, newer)))).toMatchObject({ code: "newer-schema" });
    const bytes = readFileSync(file);
    writeFileSync(room.file("cut.db"), bytes.subarray(0, bytes.length / 2));
    expect((await failure(restoreBackup(request(room, room.file("cut.db"))))).code).toBe("corrupt");
    writeFileSync(room.file("text"), "hello");
    expect((await failure(restoreBackup(request(room, room.file("text"))))).code).toBe("not-a-backup");
    expect((await failure(restoreBackup(request(room, room.file("none"))))).code).toBe("missing");
    expect(snapshot(room.data)).toEqual(before);
  });

  test("as a rehearsal changes nothing at all", async () => {
    using room = new Room();
    room.volume("data", "x");
    const file = await backedUp(room, true);
    room.db.close();
    const before = snapshot(room.path);
    const restored = await restoreBackup(request(room, file, { dryRun: true }));
    expect(restored).toMatchObject({ volumes: ["data"], replaced: ["data"] });
    expect(snapshot(room.path)).toEqual(before);
    const away = {
      ...request(room, file, { dryRun: true }),
      database: room.file("no/where/robur.db"),
      dataDirectory: room.file("no/where"),
    };
    await restoreBackup(away);
    expect(existsSync(room.file("no"))).toBe(false);
  });
});

test("two restores in one second keep both", async () => {
  using room = new Room();
  const file = await backedUp(room);
  room.db.close();
  const first = await restoreBackup(request(room, file));
  const second = await restoreBackup(request(room, file));
  expect(second.safetyCopy).toEndWith("before-restore-20261121T040507Z.db");
  expect(keysIn(first.safetyCopy!)).toEqual(["new", "old"]);
});

describe("restoring volumes", () => {
  test("puts them back with their holes, and keeps what was there", async () => {
    using room = new Room();
    const path = room.volume("data", "as it was", 64 * 1024 * 1024);
    const file = await backedUp(room, true);
    room.volume("data", "as it is");
    room.volume("later", "not in the backup");
    room.db.close();
    const restored = await restoreBackup(request(room, file));
    expect(restored).toMatchObject({ volumes: ["data"], replaced: ["data"] });
    expect(readFileSync(path, "utf8").slice(0, 9)).toBe("as it was");
    expect(statSync(path)).toMatchObject({ size: 64 * 1024 * 1024 });
    expect(statSync(path).blocks * 512).toBeLessThan(1024 * 1024);
    const kept = join(restored.oldVolumes, "data.img");
    expect(readFileSync(kept, "utf8").slice(0, 8)).toBe("as it is");
    expect(existsSync(join(room.data, "volumes/later.img"))).toBe(true);
  });

  test("brings those that lay elsewhere into the data directory, and the database knows", async () => {
    using room = new Room();
    mkdirSync(room.file("elsewhere"));
    writeFileSync(room.file("elsewhere/data"), Buffer.alloc(1024, "y"));
    room.db
      .query("INSERT INTO volume VALUES ('data', 1024, 0, ?, 'adopted')")
      .run(room.file("elsewhere/data"));
    const file = await backedUp(room, true);
    const data = room.file("new");
    await restoreBackup({ ...request(room, file), database: databasePath(data), dataDirectory: data });
    using db = openDatabase(databasePath(data));
    expect(db.query("SELECT path FROM volume").all()).toEqual([{ path: "volumes/data.img" }]);
    expect(readFileSync(join(data, "volumes/data.img"), "utf8")).toBe("y".repeat(1024));
  });

  test("is refused while a unikernel has one of them; nothing is changed then", async () => {
    using room = new Room();
    const path = room.volume("data", "as it was");
    const file = await backedUp(room, true);
    room.db.close();
    const before = snapshot(room.data);
    const fd = openLocked(path, O_RDWR, "exclusive");
    try {
      expect(await failure(restoreBackup(request(room, file)))).toMatchObject({ code: "in-use" });
    } finally {
      close(fd);
    }
    expect(snapshot(room.data)).toEqual(before);
  });

  test("is undone when it can't be finished", async () => {
    using room = new Room();
    const path = room.volume("data", "as it was");
    room.volume("zeta", "as it was");
    const file = await backedUp(room, true);
    room.volume("data", "as it is");
    room.db.close();
    // The second volume can't be moved away: there is a directory of its name.
    mkdirSync(join(room.data, "backups/before-restore-20261121T040506Z.volumes/zeta.img/x"), {
      recursive: true,
    });
    await failure(restoreBackup(request(room, file)));
    expect(readFileSync(path, "utf8").slice(0, 8)).toBe("as it is");
    expect(keysIn(room.database)).toEqual(["new", "old"]);
  });
});

describe("backup, loss, restore", () => {
  test("give the same rows and the same bytes", async () => {
    using room = new Room();
    for (let i = 0; i < 50; i++) room.put(`key ${i}`, 1 + i * 37);
    const volumes = ["a", "b", "alice:c"].map((name, i) =>
      room.volume(name, name.repeat(i * 5000), 512 * (200 + i)),
    );
    const rows = (path: string) => {
      using db = openDatabase(path);
      return db.query("SELECT * FROM setting ORDER BY key").all();
    };
    const before = { rows: rows(room.database), volumes: volumes.map((path) => readFileSync(path).toHex()) };
    const { database, data: dataDirectory } = room;
    const target = room.file("all.tar.zst");
    await makeBackup({ database, dataDirectory, target, withVolumes: true, replace: false, now: NOW });
    room.db.close();
    Bun.spawnSync(["rm", "-rf", room.data]);
    await restoreBackup(request(room, target));
    expect({ rows: rows(room.database), volumes: volumes.map((path) => readFileSync(path).toHex()) }).toEqual(
      before,
    );
  });
});
