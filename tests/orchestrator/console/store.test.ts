import { afterEach, expect, test } from "bun:test";
import { closeSync, mkdtempSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Database } from "bun:sqlite";
import { openDatabase, write } from "../../../src/db/open.ts";
import type { ConsoleItem, UnikernelId } from "../../../src/orchestrator/api.ts";
import { ConsoleFollower } from "../../../src/orchestrator/console/follow.ts";
import { openLogForStart } from "../../../src/orchestrator/console/log-file.ts";
import { ConsoleStore } from "../../../src/orchestrator/console/store.ts";
import { texts, until } from "../lab.ts";

const ID = "0123456789abcdef" as UnikernelId;
const MIB = 1024 * 1024;
const directories: string[] = [];

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

function makeStore(keep = MIB) {
  const directory = mkdtempSync(join(tmpdir(), "robur-console-"));
  directories.push(directory);
  const db = openDatabase(":memory:");
  addUnikernel(db);
  const clock = { now: 1_000_000 };
  const store = new ConsoleStore(db, directory, { keep, now: () => clock.now });
  return { directory, db, clock, store, path: join(directory, `${ID}.log`) };
}

/** Rows that the console's refer to. */
function addUnikernel(db: Database): void {
  const hash = "0".repeat(64);
  write(db, () => {
    db.query("INSERT INTO image VALUES (?, 1, 'spt', 2, '[]', 0)").run(hash);
    db.query("INSERT INTO unikernel VALUES (?, 'a', ?, 0, '{}', '{}', NULL)").run(ID, hash);
  });
}

test("only one start at a time has the console", () => {
  const { store } = makeStore();
  const first = store.openForStart(ID)!;
  expect(store.isHeld(ID)).toBe(true);
  expect(store.openForStart(ID)).toBeUndefined();
  closeSync(first.fd);
  expect(store.isHeld(ID)).toBe(false);
  const second = store.openForStart(ID)!;
  expect(second.start).toBe(0);
  closeSync(second.fd);
});

test("a child that inherited the console holds it when its parent has let go", async () => {
  const { store } = makeStore();
  const { fd } = store.openForStart(ID)!;
  const child = Bun.spawn(["sleep", "60"], { stdio: ["ignore", fd, fd] });
  closeSync(fd);
  expect(store.isHeld(ID)).toBe(true);
  child.kill("SIGKILL");
  await child.exited;
  expect(store.isHeld(ID)).toBe(false);
});

test("what a guest left without an end doesn't run into what its next start says", () => {
  const { store } = makeStore();
  const first = store.openForStart(ID)!;
  writeSync(first.fd, "half a li");
  closeSync(first.fd);
  const second = store.openForStart(ID)!;
  expect(second.start).toBe(10);
  writeSync(second.fd, "whole\n");
  closeSync(second.fd);
  expect(texts(store.read(ID, {}, true).items)).toEqual(["half a li", "whole"]);
  expect(texts(store.read(ID, { after: second.start as never }, true).items)).toEqual(["whole"]);
});

test("the last words without an end are told once nothing follows, and once only", () => {
  const { store } = makeStore();
  const { fd } = store.openForStart(ID)!;
  writeSync(fd, "one\nlast wor");
  expect(texts(store.read(ID, {}, false).items)).toEqual(["one"]);
  const page = store.read(ID, {}, true);
  expect(texts(page.items)).toEqual(["one", "last wor"]);
  writeSync(fd, "\nnext\n");
  expect(texts(store.read(ID, { after: page.next }, false).items)).toEqual(["next"]);
  closeSync(fd);
});

test("times, and reading from a time on", () => {
  const { store, clock } = makeStore();
  const { fd } = store.openForStart(ID)!;
  for (const text of ["a\n", "b\n", "c\n"]) {
    writeSync(fd, text);
    store.keepTime([ID]);
    clock.now += 1000;
  }
  const items = store.read(ID, {}, false).items;
  expect(items.map((item) => item.kind === "line" && item.line.at)).toEqual([
    1_000_000, 1_001_000, 1_002_000,
  ]);
  expect(texts(store.read(ID, { since: 1_001_000 }, false).items)).toEqual(["b", "c"]);
  expect(texts(store.read(ID, { since: 1_001_001 }, false).items)).toEqual(["c"]);
  expect(texts(store.read(ID, { since: 0 }, false).items)).toEqual(["a", "b", "c"]);
  expect(texts(store.read(ID, { since: 9e12 }, false).items)).toEqual([]);
  expect(texts(store.read(ID, { tail: 2 }, false).items)).toEqual(["b", "c"]);
  closeSync(fd);
});

test("the log is bounded on the disk while it is written, and a reader is told what it missed", () => {
  const { store, path, db, directory } = makeStore(MIB);
  const { fd } = store.openForStart(ID)!;
  const line = `${"x".repeat(99)}\n`;
  for (let i = 0; i < 100; i++) {
    writeSync(fd, line.repeat(1000));
    store.keepTime([ID]);
  }
  const { size, blocks } = statSync(path);
  expect(size).toBe(10_000_000);
  expect(blocks * 512).toBeLessThan(2.5 * MIB);
  const [gap, first] = store.read(ID, { after: 0 as never }, false).items;
  expect(gap).toMatchObject({ kind: "gap", from: 0 });
  expect(first?.kind === "line" && first.line.bytes.length).toBe(99);
  // Without a place to go on from there is no gap to speak of.
  expect(store.read(ID, {}, false).items[0]?.kind).toBe("line");
  expect(store.read(ID, { tail: 3 }, false).items.length).toBe(3);
  // Another server finds the same.
  const again = new ConsoleStore(db, directory, { keep: MIB });
  expect(again.read(ID, { after: 0 as never }, false).items[0]).toEqual(gap!);
  closeSync(fd);
});

test("a file that has grown too large is begun anew without a line getting lost", () => {
  const { path } = makeStore();
  const first = openLogForStart(path, { base: 0, keptFrom: 0 }, 1000, 5000)!;
  writeSync(first.fd, Array.from({ length: 1000 }, (_, i) => `line ${i}\n`).join(""));
  const size = statSync(path).size;
  closeSync(first.fd);
  const second = openLogForStart(path, first.place, 1000, 5000)!;
  expect(second.place.base).toBe(size - 1000);
  expect(second.end).toBe(size);
  expect(statSync(path).size).toBe(1000);
  expect(openLogForStart(path, second.place, 1000)).toBeUndefined();
  closeSync(second.fd);
});

test("many times are thinned out, and the order stays", () => {
  const { store, db, clock } = makeStore(64 * MIB);
  const { fd } = store.openForStart(ID)!;
  for (let i = 0; i < 5000; i++) {
    writeSync(fd, "x\n");
    clock.now += 1000;
    store.keepTime([ID]);
  }
  const { n } = db.query<{ n: number }, []>("SELECT count(*) AS n FROM console_time").get()!;
  expect(n).toBeLessThanOrEqual(4097);
  const times = store
    .read(ID, { limit: 1000 }, false)
    .items.map((item) => (item.kind === "line" ? item.line.at : 0));
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  closeSync(fd);
});

async function collect(items: AsyncIterable<ConsoleItem>, into: string[]): Promise<void> {
  for await (const item of items) into.push(...texts([item]));
}

test("followers get every line in order, from where they want, until they stop", async () => {
  const { store } = makeStore(64 * MIB);
  using follower = new ConsoleFollower(store, () => true);
  const { fd } = store.openForStart(ID)!;
  writeSync(fd, "old\n");
  const stop = new AbortController();
  const [whole, fresh]: string[][] = [[], []];
  const readers = [
    collect(follower.follow(ID, {}, stop.signal), whole!),
    collect(follower.follow(ID, { tail: 0 }, stop.signal), fresh!),
  ];
  const wanted = Array.from({ length: 5000 }, (_, i) => `line ${i}`);
  await until("both to have begun", () => whole!.length === 1);
  for (let i = 0; i < wanted.length; i += 100) {
    writeSync(fd, `${wanted.slice(i, i + 100).join("\n")}\n`);
    await Bun.sleep(1);
  }
  await until("all lines", () => whole!.length === 5001 && fresh!.length === 5000);
  expect(whole).toEqual(["old", ...wanted]);
  expect(fresh).toEqual(wanted);
  stop.abort();
  await Promise.all(readers);
  closeSync(fd);
});

test("a reader that is cut off goes on at its cursor without loss or repetition", async () => {
  const { store } = makeStore(64 * MIB);
  using follower = new ConsoleFollower(store, () => true);
  const { fd } = store.openForStart(ID)!;
  const got: string[] = [];
  let cursor = 0;
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 100; i++) writeSync(fd, `${round * 100 + i}\n`);
    const stop = new AbortController();
    let left = 37 + round;
    for await (const item of follower.follow(ID, { after: cursor as never }, stop.signal)) {
      if (item.kind === "gap") throw new Error("a gap");
      got.push(...texts([item]));
      cursor = item.line.cursor;
      if (--left === 0) break;
    }
  }
  const rest = store.read(ID, { after: cursor as never }, false);
  got.push(...texts(rest.items));
  expect(got).toEqual(Array.from({ length: 1000 }, (_, i) => String(i)));
  closeSync(fd);
});

test("a reader that never asks for the next line holds up nobody", async () => {
  const { store } = makeStore(64 * MIB);
  using follower = new ConsoleFollower(store, () => true);
  const { fd } = store.openForStart(ID)!;
  writeSync(fd, "x\n".repeat(1000));
  const stop = new AbortController();
  const lazy = follower.follow(ID, {}, stop.signal);
  await lazy.next();
  const got: string[] = [];
  const eager = collect(follower.follow(ID, {}, stop.signal), got);
  await until("the other to have all", () => got.length === 1000);
  stop.abort();
  await eager;
  closeSync(fd);
});

test("the end of a guest and of a unikernel reach those that follow", async () => {
  const { store } = makeStore();
  let isAlive: boolean | undefined = true;
  using follower = new ConsoleFollower(store, () => isAlive);
  const { fd } = store.openForStart(ID)!;
  writeSync(fd, "one\nlast wor");
  const got: string[] = [];
  const reading = collect(follower.follow(ID, {}, new AbortController().signal), got);
  await until("the first line", () => got.length === 1);
  isAlive = false;
  follower.nudge(ID);
  await until("the last words", () => got.length === 2);
  expect(got[1]).toBe("last wor");
  isAlive = undefined;
  follower.nudge(ID);
  await reading;
  closeSync(fd);
});
