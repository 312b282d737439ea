import { expect, test } from "bun:test";
import type { PolicyPath } from "../../../src/orchestrator/api.ts";
import { recordPolicy } from "../../../src/orchestrator/policy-records.ts";
import { limitOf } from "../../../src/orchestrator/volumes/limits.ts";
import { openSource } from "../../../src/orchestrator/volumes/source.ts";
import {
  createVolume,
  fillVolume,
  removeVolume,
  resizeVolume,
  snapshotVolume,
} from "../../../src/orchestrator/volumes/volumes.ts";
import { MIB, TestRoom, failure, noise } from "./room.ts";

const limited = (blockMb: number | null) => ({ unikernels: 1, memoryMb: 8, cpus: [], blockMb, bridges: [] });
const path = (text: string) => text as PolicyPath;
const empty = (size: number) => ({ size, source: undefined, now: 0 });

test("a path's policy, and those above it, bind how much its volumes have together", async () => {
  using room = new TestRoom();
  recordPolicy(room.db, path("a"), limited(4));
  recordPolicy(room.db, path("a:b"), limited(2));
  recordPolicy(room.db, path("none"), limited(null));
  await createVolume(room, "free", empty(100 * MIB));
  await createVolume(room, "a:one", empty(3 * MIB));
  expect(limitOf(room, "a:b:two")).toBe(MIB);
  const over = await failure(() => createVolume(room, "a:b:two", empty(MIB + 512)));
  expect([over.code, over.why]).toEqual(["over-policy", "the policy of a leaves 1 MiB for volumes"]);
  expect(room.files()).not.toContain("a:b:two.img");
  await createVolume(room, "a:b:two", empty(MIB));
  expect((await failure(() => resizeVolume(room, "a:b:two", 2 * MIB))).code).toBe("over-policy");
  expect((await failure(() => snapshotVolume(room, "a:b:two", "a:copy", 0))).code).toBe("over-policy");
  await resizeVolume(room, "a:one", 2 * MIB, { mayShrink: true });
  await resizeVolume(room, "a:b:two", 2 * MIB);
  await removeVolume(room, "a:b:two");
  expect(limitOf(room, "a:three")).toBe(2 * MIB);
  expect((await failure(() => createVolume(room, "none:x", empty(512)))).why).toContain("allows no volumes");
  expect(limitOf(room, "elsewhere:x")).toBe(Infinity);
});

test("a volume that has too much already may be filled and made smaller, and no larger", async () => {
  using room = new TestRoom();
  await createVolume(room, "a:one", empty(3 * MIB));
  recordPolicy(room.db, path("a"), limited(1));
  await resizeVolume(room, "a:one", 2 * MIB, { mayShrink: true });
  expect((await failure(() => resizeVolume(room, "a:one", 3 * MIB))).code).toBe("over-policy");
  await Bun.write(room.path("data"), noise(MIB));
  const source = openSource(room.path("data"), undefined);
  await fillVolume(room, "a:one", source);
  source.close();
});

test("what comes without telling its length is stopped at the limit", async () => {
  using room = new TestRoom();
  recordPolicy(room.db, path("a"), limited(2));
  await Bun.write(room.path("data.gz"), Bun.gzipSync(new Uint8Array(noise(3 * MIB))));
  await Bun.write(room.path("small.gz"), Bun.gzipSync(new Uint8Array(noise(2 * MIB))));
  const make = async (file: string) => {
    const source = openSource(room.path(file), true);
    try {
      return await createVolume(room, "a:one", { size: undefined, source, now: 0 });
    } finally {
      source.close();
    }
  };
  expect((await failure(() => make("data.gz"))).code).toBe("over-policy");
  expect(room.files()).toEqual([]);
  expect((await make("small.gz")).size).toBe(2 * MIB);
});
