import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../../../src/lib/errors.ts";
import { adoptDirectory } from "../../../src/orchestrator/volumes/adopt.ts";
import { findVolume } from "../../../src/orchestrator/volumes/inventory.ts";
import { type BlockSizes, resolveBlocks } from "../../../src/orchestrator/volumes/resolve-blocks.ts";
import { createVolume } from "../../../src/orchestrator/volumes/volumes.ts";
import { MIB, TestRoom, failure } from "./room.ts";

setDefaultTimeout(120_000);

const NONE: BlockSizes = { all: undefined, byDevice: new Map() };

function resolve(room: TestRoom, blocks: Record<string, string>, sizes = NONE, mayCreate = true) {
  const { dataDirectory } = room;
  return resolveBlocks(new Map(Object.entries(blocks)), { dataDirectory, sizes, mayCreate, now: 7 });
}

test("a value is a path with a slash in it, a file that is there, or else a volume's name", async () => {
  using room = new TestRoom();
  const data = await createVolume(room, "data", { size: MIB, source: undefined, now: 1 });
  // tsconfig.json lies in the directory that tests run in, whichever else does.
  await createVolume(room, "tsconfig.json", { size: MIB, source: undefined, now: 1 });
  const { blocks, notes } = await resolve(room, { a: "./data", b: "Data", c: "tsconfig.json", d: "my_disk" });
  expect([...blocks]).toEqual([
    ["a", "./data"],
    ["b", data.path],
    ["c", "tsconfig.json"],
    ["d", "my_disk"],
  ]);
  expect(notes).toEqual(["block device c is the file ./tsconfig.json, not the volume tsconfig.json"]);
});

test("an adopted volume is found by its name", async () => {
  using room = new TestRoom();
  mkdirSync(room.path("block"));
  writeFileSync(room.path("block/:far"), "");
  truncateSync(room.path("block/:far"), MIB);
  adoptDirectory(room, room.path("block"));
  expect((await resolve(room, { a: "far" })).blocks.get("a")).toBe(room.path("block/:far"));
});

test("a volume that isn't there is made where a size was given, its own or everybody's", async () => {
  using room = new TestRoom();
  const sizes = { all: MIB, byDevice: new Map([["b", 2 * MIB]]) };
  const { blocks, notes } = await resolve(room, { a: "one", b: "two" }, sizes);
  expect([...blocks.values()]).toEqual([join(room.volumes, "one.img"), join(room.volumes, "two.img")]);
  expect(notes.length).toBe(2);
  expect(findVolume(room, "one")).toMatchObject({ size: MIB, createdAt: 7 });
  expect(findVolume(room, "two").size).toBe(2 * MIB);
  // The second time they are there, and stay as they are.
  const again = await resolve(room, { a: "one", b: "two" }, { all: 3 * MIB, byDevice: new Map() });
  expect(again).toEqual({ blocks, notes: [] });
  expect(findVolume(room, "one").size).toBe(MIB);
});

test("without a size it is an error that says how, and makes no database", async () => {
  using room = new TestRoom();
  const error = await failure(() => resolve(room, { storage: "data" }));
  expect([error.code, error.hint]).toEqual(["missing", "--block storage=data --size 64M makes the volume"]);
  const dataDirectory = room.path("fresh");
  const options = { dataDirectory, sizes: NONE, mayCreate: true, now: 1 };
  await failure(() => resolveBlocks(new Map([["a", "data"]]), options));
  expect(await Bun.file(join(dataDirectory, "robur.db")).exists()).toBe(false);
});

test("a dry run makes nothing, and finds the same mistakes", async () => {
  using room = new TestRoom();
  const { blocks } = await resolve(room, { a: "data" }, { all: MIB, byDevice: new Map() }, false);
  expect(blocks.get("a")).toBe(join(room.volumes, "data.img"));
  expect(room.files()).toEqual([]);
  const odd = { all: 1000, byDevice: new Map() };
  expect((await failure(() => resolve(room, { a: "data" }, odd, false))).code).toBe("bad-size");
});

test("a size for a device that isn't given is a mistake", async () => {
  using room = new TestRoom();
  const sizes = { all: undefined, byDevice: new Map([["dta", MIB]]) };
  await expect(resolve(room, { data: "x" }, sizes)).rejects.toBeInstanceOf(UsageError);
});
