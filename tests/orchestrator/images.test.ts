import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { openDatabase } from "../../src/db/open.ts";
import type { Sha256 } from "../../src/orchestrator/api.ts";
import { ImageStore } from "../../src/orchestrator/images.ts";
import { buildGuest } from "../guests/build.ts";
import { ADMIN, makeLab, name, refusal, value } from "./lab.ts";

function streamOf(bytes: Uint8Array, piece: number): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length; at += piece) controller.enqueue(bytes.subarray(at, at + piece));
      controller.close();
    },
  });
}

const hex = (bytes: Uint8Array) => new Bun.CryptoHasher("sha256").update(bytes).digest("hex");

/** A guest made larger than a piece of the store by bytes behind its end. */
async function largeImage(): Promise<Uint8Array> {
  const guest = readFileSync(await buildGuest("tick", "spt"));
  const large = new Uint8Array(2_500_000);
  crypto.getRandomValues(large.subarray(0, 65_536));
  large.set(guest);
  return large;
}

test("an image comes back byte for byte, however it came", async () => {
  const db = openDatabase(":memory:");
  using store = new ImageStore(db);
  const bytes = await largeImage();
  const put = value(await store.put(streamOf(bytes, 70_001)));
  expect(put).toMatchObject({ sha256: hex(bytes) as Sha256, size: bytes.length, target: "spt", devices: [] });
  const back = await new Response(value(store.read(put.sha256))).bytes();
  expect(hex(back)).toBe(put.sha256);
  // Once more, in one piece: it is stored once.
  const pieces = () => db.query<{ n: number }, []>("SELECT count(*) AS n FROM image_chunk").get()!.n;
  const before = pieces();
  expect(value(await store.put(bytes)).sha256).toBe(put.sha256);
  expect(pieces()).toBe(before);
  using borrowed = store.borrow(put.sha256)!;
  expect(borrowed.open("x").source.size).toBe(bytes.length);
});

test("what is no unikernel is refused and leaves nothing", async () => {
  const db = openDatabase(":memory:");
  using store = new ImageStore(db);
  expect(refusal(await store.put(new TextEncoder().encode("#!/bin/sh\n")))).toBe("bad-image");
  expect(refusal(await store.put(new Uint8Array(0)))).toBe("bad-image");
  const virtio = readFileSync(await buildGuest("tick", "virtio"));
  expect(refusal(await store.put(virtio))).toBe("bad-image");
  expect(store.list()).toEqual([]);
  expect(db.query("SELECT 1 FROM image_chunk").all()).toEqual([]);
});

test("an upload that breaks off leaves nothing", async () => {
  const db = openDatabase(":memory:");
  using store = new ImageStore(db);
  const bytes = await largeImage();
  const broken = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(bytes.subarray(0, 1_200_000));
    },
    pull: () => Promise.reject(new Error("the client went away")),
  });
  expect(store.put(broken)).rejects.toThrow("went away");
  await Bun.sleep(0);
  expect(store.has(hex(bytes) as Sha256)).toBe(false);
});

test("pieces of an upload that a killed server left are dropped by the next one", () => {
  const db = openDatabase(":memory:");
  db.run("INSERT INTO image_chunk (upload, number, content) VALUES ('x', 0, x'00')");
  new ImageStore(db)[Symbol.dispose]();
  expect(db.query("SELECT 1 FROM image_chunk").all()).toEqual([]);
});

test("an image stays as long as a unikernel uses it, and an hour longer", async () => {
  const clock = { now: 1_000_000_000_000 };
  await using lab = makeLab({ now: () => clock.now });
  await lab.run("tick", "tick", { args: ["every=60000"] });
  const { sha256 } = lab.orchestrator.images.list()[0]!;
  expect(lab.orchestrator.images.list()[0]!.usedBy).toEqual([name("tick")]);
  const db = openDatabase(`${lab.directory}/robur.db`);
  using store = new ImageStore(db, () => clock.now);
  clock.now += 2 * 3_600_000;
  expect(store.collect()).toEqual([]);
  value(await lab.orchestrator.remove(ADMIN, name("tick"), { force: true }));
  expect(store.collect()).toEqual([sha256]);
  expect(db.query("SELECT 1 FROM image_chunk").all()).toEqual([]);
  const create = await lab.orchestrator.create(ADMIN, { name: name("again"), image: sha256, config: {} });
  expect(refusal(create)).toBe("image-missing");
  db.close();
});
