import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { adoptDirectory } from "../../../src/orchestrator/volumes/adopt.ts";
import { findFile, findVolume, listVolumes, reconcile } from "../../../src/orchestrator/volumes/inventory.ts";
import type { VolumeRecord } from "../../../src/orchestrator/volumes/records.ts";
import { createVolume, fillVolume, removeVolume } from "../../../src/orchestrator/volumes/volumes.ts";
import { openSource } from "../../../src/orchestrator/volumes/source.ts";
import { MIB, TestRoom, failure, noise } from "./room.ts";

setDefaultTimeout(120_000);

const record = (name: string, path = `volumes/${name}.img`): VolumeRecord => ({
  ...{ name, path, size: 1024, createdAt: 5, origin: "empty" },
});
const file = (path: string) => ({ path, size: 2048, allocated: 512, modifiedAt: 7 });

test("reconcile(): the file is the truth, and what only one side knows is told", () => {
  const records = [record("both"), record("gone"), record("far", "/mnt/:far")];
  const files = [
    file("volumes/both.img"),
    file("volumes/alone.img"),
    file("/mnt/:far"),
    file("volumes/notes.txt"),
  ];
  const volumes = reconcile(records, files, "/data");
  expect(volumes.map(({ name, state, size, path }) => [name, state, size, path])).toEqual([
    ["alone", "found", 2048, "/data/volumes/alone.img"],
    ["both", "ok", 2048, "/data/volumes/both.img"],
    ["far", "ok", 2048, "/mnt/:far"],
    ["gone", "missing", 1024, "/data/volumes/gone.img"],
  ]);
});

test("reconcile(): a name is one volume, the recorded one", () => {
  const volumes = reconcile([record("a", "/mnt/:a")], [file("/mnt/:a"), file("volumes/a.img")], "/data");
  expect(volumes.map(({ path }) => path)).toEqual(["/mnt/:a"]);
});

test("a file that somebody put there is a volume, and is recorded once something is done to it", async () => {
  using room = new TestRoom();
  mkdirSync(room.volumes);
  writeFileSync(join(room.volumes, "mine.img"), noise(MIB));
  writeFileSync(room.path("new"), noise(1000, 2));
  expect(findVolume(room, "mine")).toMatchObject({ state: "found", size: MIB, origin: "found" });
  expect(
    (await failure(() => createVolume(room, "mine", { size: MIB, source: undefined, now: 1 }))).code,
  ).toBe("exists");
  await fillVolume(room, "mine", openSource(room.path("new")));
  expect(findVolume(room, "mine")).toMatchObject({
    state: "ok",
    size: MIB,
    origin: `file:${room.path("new")}`,
  });
});

test("a volume whose file is gone is missing; it can be removed, or made anew", async () => {
  using room = new TestRoom();
  for (const name of ["a", "b"]) await createVolume(room, name, { size: MIB, source: undefined, now: 1 });
  for (const name of ["a", "b"]) rmSync(join(room.volumes, `${name}.img`));
  expect(listVolumes(room).map(({ state }) => state)).toEqual(["missing", "missing"]);
  expect((await failure(() => findFile(room, "a"))).message).toBe("the file of volume a is gone");
  await removeVolume(room, "a");
  await createVolume(room, "b", { size: 2 * MIB, source: undefined, now: 2 });
  expect(listVolumes(room).map(({ name, state, size }) => [name, state, size])).toEqual([
    ["b", "ok", 2 * MIB],
  ]);
});

test("a name that doesn't exist comes with those that are near", async () => {
  using room = new TestRoom();
  await createVolume(room, "database", { size: MIB, source: undefined, now: 1 });
  const error = await failure(() => findVolume(room, "data"));
  expect(error.code).toBe("missing");
  expect(error.why).toBe("there is database");
});

test("albatross's block devices are adopted where they are, and given back as they are", async () => {
  using room = new TestRoom();
  const block = room.path("block");
  mkdirSync(block);
  const devices = { ":data": MIB, "foo:data": 2 * MIB, ":odd": 5, ":taken": MIB };
  for (const [name, size] of Object.entries(devices)) {
    writeFileSync(join(block, name), "");
    truncateSync(join(block, name), size);
  }
  await createVolume(room, "taken", { size: MIB, source: undefined, now: 1 });
  const { adopted, skipped } = adoptDirectory(room, block);
  expect(adopted.map(({ name }) => name)).toEqual(["data", "foo:data"]);
  expect(skipped.map(({ path }) => path)).toEqual([join(block, ":odd"), join(block, ":taken")]);
  expect(findVolume(room, "foo:data")).toMatchObject({
    state: "ok",
    path: join(block, "foo:data"),
    size: 2 * MIB,
  });
  expect(adoptDirectory(room, block).adopted).toEqual([]);

  writeFileSync(room.path("new"), noise(MIB));
  await fillVolume(room, "data", openSource(room.path("new")));
  expect(readFileSync(join(block, ":data")).equals(noise(MIB))).toBe(true);
  await removeVolume(room, "data", { keepFile: true });
  expect(readFileSync(join(block, ":data")).equals(noise(MIB))).toBe(true);
  await removeVolume(room, "foo:data");
  expect((await failure(() => removeVolume(room, "taken", { keepFile: true }))).code).toBe("not-permitted");
  expect(listVolumes(room).map(({ name }) => name)).toEqual(["taken"]);
});
