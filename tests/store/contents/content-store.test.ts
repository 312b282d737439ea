import { describe, expect, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { sha256Of } from "../../../src/lib/sha256-of.ts";
import { MIB } from "../../../src/lib/units.ts";
import type { Content, Sha256 } from "../../../src/store/api.ts";
import { openDatabase } from "../../../src/db/open.ts";
import { collect } from "../../../src/store/collection/collect.ts";
import { openContentStore } from "../../../src/store/contents/content-store.ts";
import { temporaryDirectory } from "../../robur.ts";
import { randomBytes } from "../bytes.ts";
import { storeWorld } from "../world.ts";

const SIZES = [0, 1, 16_384, 65_536, 65_537, 1_000_000, 5_000_001];

async function put(contents: ReturnType<typeof storeWorld>["contents"], bytes: Uint8Array): Promise<Content> {
  await using session = contents.session();
  return await session.put(bytes);
}

async function codeOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
    return "none";
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
}

test("what is put can be found, and read again byte for byte", async () => {
  await using world = storeWorld();
  const { contents } = world;
  for (const size of SIZES) {
    const bytes = randomBytes(size, size);
    const content = await put(contents, bytes);
    expect(content).toEqual({ id: content.id, sha256: sha256Of(bytes), size });
    expect(contents.find(content.sha256)).toEqual(content);
    expect(contents.byId(content.id)).toEqual(content);
    expect(sha256Of(await contents.bytes(content))).toBe(content.sha256);
  }
  expect(contents.find("0".repeat(64) as Sha256)).toBeUndefined();
  expect(contents.byId(1_000_000)).toBeUndefined();
});

test("the same bytes are one content, however they come", async () => {
  await using world = storeWorld();
  for (const size of SIZES) {
    const bytes = randomBytes(size, 9);
    const { id } = await put(world.contents, bytes);
    await using session = world.contents.session();
    expect((await session.put(new Blob([bytes]).stream())).id).toBe(id);
    const writer = session.writer();
    for (let at = 0; at < size; at += 30_011) await writer.write(bytes.subarray(at, at + 30_011));
    expect((await writer.finish()).id).toBe(id);
  }
  expect(world.count("content")).toBe(SIZES.length);
});

test("bytes are the caller's again when write resolves", async () => {
  await using world = storeWorld();
  await using session = world.contents.session();
  const bytes = randomBytes(2_000_000, 4);
  const writer = session.writer();
  const buffer = new Uint8Array(20_000);
  for (let at = 0; at < bytes.length; at += buffer.length) {
    buffer.set(bytes.subarray(at, at + buffer.length));
    await writer.write(buffer);
    buffer.fill(0xff);
  }
  expect((await writer.finish()).sha256).toBe(sha256Of(bytes));
});

test("contents that are alike share their chunks", async () => {
  await using world = storeWorld();
  const bytes = randomBytes(4_000_000, 2);
  await put(world.contents, bytes);
  const before = world.count("chunk");
  const changed = Buffer.concat([
    bytes.subarray(0, 2_000_000),
    Buffer.from("more"),
    bytes.subarray(2_000_000),
  ]);
  const content = await put(world.contents, changed);
  expect(world.count("chunk") - before).toBeLessThanOrEqual(6);
  expect(Buffer.compare(await world.contents.bytes(content), changed)).toBe(0);
});

test("any range can be read", async () => {
  await using world = storeWorld();
  const bytes = randomBytes(1_500_000, 8);
  const content = await put(world.contents, bytes);
  const places = [0, 1, 65_535, 100_000, 777_777, 1_499_999, 1_500_000];
  for (const start of places) {
    for (const end of places.filter((end) => end >= start)) {
      const read = await new Response(world.contents.read(content, { start, end })).bytes();
      expect(Buffer.compare(read, bytes.subarray(start, end))).toBe(0);
    }
  }
  for (const range of [
    { start: -1, end: 5 },
    { start: 6, end: 5 },
    { start: 0, end: 1_500_001 },
    { start: 0.5, end: 2 },
  ]) {
    expect(() => world.contents.read(content, range)).toThrow("can't be read");
  }
});

test("a content of more chunks than are looked up at once is read to its end", async () => {
  await using world = storeWorld();
  const bytes = randomBytes(40 << 20, 6);
  const content = await put(world.contents, bytes);
  expect(world.count("content_chunk")).toBeGreaterThan(257);
  const hash = new Bun.CryptoHasher("sha256");
  for await (const piece of world.contents.read(content)) hash.update(piece);
  expect(hash.digest("hex")).toBe(content.sha256);
});

test("several read and write at once", async () => {
  await using world = storeWorld();
  const all = Array.from({ length: 8 }, (_, i) => randomBytes(1_000_000 + i * 77_777, i));
  const contents = await Promise.all(all.map((bytes) => put(world.contents, bytes)));
  const read = await Promise.all(contents.map((content) => world.contents.bytes(content)));
  for (const [i, bytes] of read.entries()) expect(Buffer.compare(bytes, all[i]!)).toBe(0);
});

for (const size of [10, 3_000_000]) {
  test(`${size} bytes that aren't what was announced are refused, and nothing is kept`, async () => {
    await using world = storeWorld();
    const bytes = randomBytes(size, 1);
    await using session = world.contents.session();
    const other = sha256Of("other");
    expect(await codeOf(session.put(bytes, { sha256: other }))).toBe("wrong-hash");
    expect(await codeOf(session.put(bytes, { size: size + 1 }))).toBe("wrong-size");
    expect(world.count("content")).toBe(0);
    expect((await session.put(bytes, { size, sha256: sha256Of(bytes) })).size).toBe(size);
  });

  test(`a writer of ${size} bytes that is given up leaves nothing to be seen`, async () => {
    await using world = storeWorld();
    await using session = world.contents.session();
    const writer = session.writer();
    await writer.write(randomBytes(size, 1));
    expect(world.contents.byId(1)).toBeUndefined();
    await writer[Symbol.asyncDispose]();
    expect([world.count("content"), world.count("content_chunk")]).toEqual([0, 0]);
    expect(await codeOf(writer.write(new Uint8Array(1)))).toBe("closed");
    expect(await codeOf(writer.finish())).toBe("closed");
  });
}

test("a stream that fails leaves nothing", async () => {
  await using world = storeWorld();
  await using session = world.contents.session();
  let sent = 0;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent++ === 40) controller.error(new Error("the line broke"));
      else controller.enqueue(randomBytes(65_536, sent));
    },
  });
  await expect(session.put(stream)).rejects.toThrow("the line broke");
  expect(world.count("content")).toBe(0);
});

test("too much at once is refused", async () => {
  await using world = storeWorld();
  const content = await put(world.contents, randomBytes(1000, 1));
  expect(await codeOf(world.contents.bytes(content, 999))).toBe("too-large");
  expect((await world.contents.bytes(content, 1000)).length).toBe(1000);
});

for (const size of [1000, 1_000_000]) {
  test(`of ${size} bytes, a damaged chunk is never served`, async () => {
    await using world = storeWorld();
    const content = await put(world.contents, randomBytes(size, 3));
    // Random bytes are kept as they are: a changed one isn't noticed by zstd.
    world.db.run(
      "UPDATE chunk SET content = cast(substr(content, 1, 10) || x'00ff00' || substr(content, 14) AS BLOB)",
    );
    expect(await codeOf(world.contents.bytes(content))).toBe("damaged");
    expect(await codeOf(new Response(world.contents.read(content)).bytes())).toBe("damaged");
  });
}

test("a damaged zstd frame is never served", async () => {
  await using world = storeWorld();
  const content = await put(world.contents, new Uint8Array(300_000).fill(7));
  world.db.run("UPDATE chunk SET content = substr(content, 1, length(content) - 2)");
  expect(await codeOf(world.contents.bytes(content))).toBe("damaged");
});

test("a full database is said so, and nothing is half kept", async () => {
  const path = join(temporaryDirectory(), "robur.db");
  const db = openDatabase(path);
  const contents = openContentStore(db);
  const { page_count } = db.query<{ page_count: number }, []>("PRAGMA page_count").get()!;
  db.run(`PRAGMA max_page_count = ${page_count + 500}`);
  {
    await using session = contents.session();
    expect(await codeOf(session.put(randomBytes(8_000_000, 1)))).toBe("disk-full");
    const small = await session.put(randomBytes(1000, 2));
    expect((await contents.bytes(small)).length).toBe(1000);
  }
  expect(db.query("SELECT count(*) AS count FROM content").get()).toEqual({ count: 1 });
  expect(db.query("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
  await contents[Symbol.asyncDispose]();
  db.close();
});

test("the log stays small, whatever small contents come beside a large one", async () => {
  await using world = storeWorld();
  await using session = world.contents.session();
  await using large = session.writer();
  await large.write(randomBytes(MIB, 3));
  for (let i = 0; i < 4000; i++) await session.put(Buffer.from(`content ${i}`));
  // Each takes a page of six tables and indexes: 100 MB, were nothing written back.
  expect(statSync(`${world.path}-wal`).size).toBeLessThan(60 * MIB);
}, 60_000);

test("the log stays small while large contents come in, several at once", async () => {
  await using world = storeWorld();
  await using session = world.contents.session();
  const writers = [0, 1].map(async (which) => {
    await using writer = session.writer();
    for (let i = 0; i < 48; i++) await writer.write(randomBytes(MIB, 100 * which + i + 1));
    return await writer.finish();
  });
  await Promise.all(writers);
  expect(statSync(`${world.path}-wal`).size).toBeLessThan(40 * MIB);
}, 60_000);

describe("a disk that is nearly full", () => {
  /** A store whose disk has that many bytes left, but for what is written to it. */
  async function onDisk(size: number, left: number) {
    const directory = temporaryDirectory();
    const db = openDatabase(join(directory, "robur.db"));
    const used = () => statSync(db.filename).size + statSync(`${db.filename}-wal`).size;
    const before = used();
    const disk = () => ({ size, free: left + before - used() });
    const contents = openContentStore(db, { disk });
    return { db, contents, disk };
  }

  test("isn't filled to its last byte by what is large, and takes more when there is room again", async () => {
    const { db, contents, disk } = await onDisk(1000 * MIB, 100 * MIB);
    await using session = contents.session();
    expect(await codeOf(session.put(new Blob([randomBytes(150 * MIB, 1)]).stream()))).toBe("disk-full");
    expect(disk().free).toBeGreaterThan(30 * MIB);
    // What was refused takes no room any more.
    await collect(db, contents, { now: Date.now() });
    db.run("PRAGMA wal_checkpoint(TRUNCATE)");
    expect(disk().free).toBeGreaterThan(95 * MIB);
    expect((await session.put(randomBytes(1000, 2))).size).toBe(1000);
    await contents[Symbol.asyncDispose]();
    db.close();
  }, 60_000);

  test("nor by what is small", async () => {
    const { db, contents } = await onDisk(1000 * MIB, 60 * MIB);
    await using session = contents.session();
    expect(await codeOf(session.put(new Uint8Array(10)))).toBe("disk-full");
    // Of a small disk an eighth is left.
    const small = await onDisk(80 * MIB, 20 * MIB);
    await using other = small.contents.session();
    expect((await other.put(new Uint8Array(10))).size).toBe(10);
    db.close();
    small.db.close();
  });
});

test("ten thousand small contents take a few seconds at most", async () => {
  await using world = storeWorld();
  await using session = world.contents.session();
  const count = Number(process.env["ROBUR_MANY"] ?? 10_000);
  for (let i = 0; i < count; i++) await session.put(new TextEncoder().encode(`content ${i}`));
  expect(world.count("content")).toBe(count);
  const content = session.find(sha256Of("content 77"))!;
  expect(new TextDecoder().decode(await world.contents.bytes(content))).toBe("content 77");
}, 120_000);

test("a chunk is looked up by its key, and a content's chunks in their order", async () => {
  await using world = storeWorld();
  const plan = (sql: string) =>
    world.db
      .query<{ detail: string }, []>(`EXPLAIN QUERY PLAN ${sql}`)
      .all()
      .map(({ detail }) => detail)
      .join("; ");
  expect(plan("SELECT id FROM chunk WHERE sha256 = x'00'")).toContain("COVERING INDEX");
  const places = plan(
    "SELECT offset, chunk FROM content_chunk WHERE content = 1 AND offset > 5 ORDER BY offset",
  );
  expect(places).toContain("SEARCH content_chunk USING PRIMARY KEY");
  expect(places).not.toContain("TEMP B-TREE");
});
