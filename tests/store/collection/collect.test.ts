import { expect, test } from "bun:test";
import { statSync } from "node:fs";
import { sha256Of } from "../../../src/lib/sha256-of.ts";
import { collect, givesBack } from "../../../src/store/collection/collect.ts";
import { contentReferences, isUnreferenced } from "../../../src/store/collection/references.ts";
import { openUploads } from "../../../src/store/uploads/uploads.ts";
import { randomBytes } from "../bytes.ts";
import { HOUR, referTo, storeWorld } from "../world.ts";

const clean = (world: ReturnType<typeof storeWorld>, dryRun = false) =>
  collect(world.db, world.contents, { now: world.now, dryRun });

test("what nobody refers to goes after an hour, and what somebody does stays", async () => {
  await using world = storeWorld();
  const [kept, dropped] = [randomBytes(500_000, 1), randomBytes(500_000, 2)];
  {
    await using session = world.contents.session();
    referTo(world.db, (await session.put(kept)).id);
    await session.put(dropped);
  }
  expect((await clean(world)).contents).toBe(0);
  world.now += HOUR + 1;
  const would = await clean(world, true);
  expect(world.count("content")).toBe(2);
  const did = await clean(world);
  expect(did).toMatchObject({ contents: 1, contentBytes: 500_000, unfinished: 0 });
  expect({ ...would, returnedBytes: 0 }).toEqual({ ...did, returnedBytes: 0 });
  expect(world.contents.find(sha256Of(dropped))).toBeUndefined();
  const content = world.contents.find(sha256Of(kept))!;
  expect(sha256Of(await world.contents.bytes(content))).toBe(sha256Of(kept));
});

test("a session keeps what it wrote and what it found, for as long as it lives", async () => {
  await using world = storeWorld();
  const bytes = randomBytes(300_000, 1);
  {
    await using first = world.contents.session();
    await first.put(bytes);
    world.now += 2 * HOUR;
    expect((await clean(world)).contents).toBe(0);
  }
  {
    await using second = world.contents.session();
    expect(second.find(sha256Of(bytes))).toBeDefined();
    expect((await clean(world)).contents).toBe(0);
  }
  expect((await clean(world)).contents).toBe(1);
  expect([world.count("content"), world.count("content_chunk"), world.count("chunk")]).toEqual([0, 0, 0]);
});

test("a writer that has begun isn't disturbed", async () => {
  await using world = storeWorld();
  const bytes = randomBytes(3_000_000, 5);
  // Chunks that only a content has that goes.
  {
    await using session = world.contents.session();
    await session.put(bytes);
  }
  world.now += 2 * HOUR;
  await using session = world.contents.session();
  const writer = session.writer();
  await writer.write(bytes.subarray(0, 2_000_000));
  expect((await clean(world)).contents).toBe(1);
  await writer.write(bytes.subarray(2_000_000));
  const content = await writer.finish();
  expect(sha256Of(await world.contents.bytes(content))).toBe(sha256Of(bytes));
});

test("a reading that has begun goes on to its end, though the content has lost its last user", async () => {
  await using world = storeWorld();
  const bytes = randomBytes(3_000_000, 5);
  await using session = world.contents.session();
  const content = await session.put(bytes);
  await session[Symbol.asyncDispose]();
  world.now += 2 * HOUR;
  const reader = world.contents.read(content).getReader();
  const first = (await reader.read()).value!;
  expect((await clean(world)).contents).toBe(0);
  const hash = new Bun.CryptoHasher("sha256").update(first);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    hash.update(value);
  }
  expect(hash.digest("hex")).toBe(content.sha256);
  expect((await clean(world)).contents).toBe(1);
});

test("a reading that was given up holds nothing, at once or after an hour", async () => {
  await using world = storeWorld();
  {
    await using session = world.contents.session();
    const content = await session.put(randomBytes(100, 1));
    await world.contents.read(content).cancel();
    world.contents.read(content);
  }
  world.now += HOUR / 2;
  expect(world.contents.holds.all().size).toBe(1);
  world.now += HOUR;
  expect((await clean(world)).contents).toBe(1);
});

test("what a dead process left unfinished goes at once", async () => {
  await using world = storeWorld();
  world.db.run("INSERT INTO content (size, created_at) VALUES (0, ?)", [world.now]);
  expect((await clean(world, true)).unfinished).toBe(1);
  expect((await clean(world)).unfinished).toBe(1);
  expect(world.count("content")).toBe(0);
});

test("uploads expire after a day", async () => {
  await using world = storeWorld();
  await using uploads = openUploads(world.contents);
  uploads.create("alice", { kind: "content" }, 10);
  world.now += 23 * HOUR;
  expect((await clean(world)).uploads).toBe(0);
  world.now += 2 * HOUR;
  expect((await clean(world, true)).uploads).toBe(1);
  expect(await clean(world)).toMatchObject({ uploads: 1, unfinished: 1 });
  expect([world.count("upload"), world.count("content")]).toEqual([0, 0]);
});

test("pictures that nobody looked at for a quarter of a year go", async () => {
  await using world = storeWorld();
  const insert = world.db.query(
    "INSERT INTO visualisation (kind, version, input, picture, used_at) VALUES ('treemap', 1, ?, x'00', ?)",
  );
  for (let i = 0; i < 40; i++) {
    insert.run(randomBytes(32, i), world.now - (i % 2 === 0 ? 0 : 91 * 24 * HOUR));
  }
  expect((await clean(world)).pictures).toBe(20);
});

test("the file becomes as small as what is in it", async () => {
  await using world = storeWorld();
  expect(givesBack(world.db)).toBe(true);
  const size = () => statSync(world.path).size;
  world.db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  const before = size();
  {
    await using session = world.contents.session();
    await session.put(randomBytes(10_000_000, 1));
  }
  world.db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  expect(size()).toBeGreaterThan(before + 10_000_000);
  world.now += 2 * HOUR;
  expect((await clean(world)).returnedBytes).toBeGreaterThan(10_000_000);
  expect(size()).toBeLessThan(before + 100_000);
});

test("every table that refers to contents is found, and looked up by an index", async () => {
  await using world = storeWorld();
  const references = contentReferences(world.db);
  const names = references.map(({ table, column }) => `${table}.${column}`);
  for (const known of [
    "artifact.content",
    "build.console",
    "build.record",
    "build.script",
    "upload.content",
  ]) {
    expect(names).toContain(known);
  }
  expect(names).not.toContain("content_chunk.content");
  const plan = world.db
    .query<{ detail: string }, []>(
      `EXPLAIN QUERY PLAN DELETE FROM content WHERE id = 1 AND ${isUnreferenced(references)}`,
    )
    .all()
    .map(({ detail }) => detail);
  // Few uploads are open at a time.
  expect(plan.filter((line) => line.startsWith("SCAN") && !line.startsWith("SCAN upload"))).toEqual([]);
});

test("a collection can be ended at any time and goes on the next time", async () => {
  await using world = storeWorld();
  {
    await using session = world.contents.session();
    for (let i = 0; i < 300; i++) await session.put(randomBytes(1000, i));
  }
  world.now += 2 * HOUR;
  const controller = new AbortController();
  const first = collect(world.db, world.contents, { now: world.now, signal: controller.signal });
  controller.abort();
  const before = (await first).contents;
  expect(before + (await clean(world)).contents).toBe(300);
  expect(world.count("chunk")).toBe(0);
});
