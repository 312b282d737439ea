/** Random sequences of everything that can be done to volumes, against a map of names and contents. */
import { expect, setDefaultTimeout, test } from "bun:test";
import * as fc from "fast-check";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listVolumes } from "../../../src/orchestrator/volumes/inventory.ts";
import { openSource } from "../../../src/orchestrator/volumes/source.ts";
import { VolumeError } from "../../../src/orchestrator/volumes/volume-error.ts";
import {
  createVolume,
  fillVolume,
  removeVolume,
  resizeVolume,
  snapshotVolume,
} from "../../../src/orchestrator/volumes/volumes.ts";
import { TestRoom, noise } from "./room.ts";

setDefaultTimeout(120_000);

const SECTOR = 512;
const name = fc.constantFrom("a", "b", "x:a");
const sectors = fc.integer({ min: 1, max: 40 });
const content = fc.tuple(fc.nat({ max: 12_000 }), fc.nat()).map(([length, seed]) => noise(length, seed));

const step = fc.oneof(
  fc.record({ verb: fc.constant("create" as const), name, sectors, content }),
  fc.record({ verb: fc.constant("fill" as const), name, content }),
  fc.record({ verb: fc.constant("resize" as const), name, sectors }),
  fc.record({ verb: fc.constant("snapshot" as const), name, copy: name }),
  fc.record({ verb: fc.constant("rm" as const), name }),
  // Somebody else's hands: a file goes, one appears, and records are lost.
  fc.record({ verb: fc.constant("lose file" as const), name }),
  fc.record({ verb: fc.constant("put file" as const), name, sectors }),
  fc.record({ verb: fc.constant("lose records" as const), name }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What must come of it: the new state of the model, or the code of the error. */
function expected(model: ReadonlyMap<string, Buffer>, step: Step): Map<string, Buffer> | string {
  const next = new Map(model);
  const old = model.get(step.name);
  const padded = (bytes: Buffer, size: number) =>
    Buffer.concat([bytes, Buffer.alloc(size)]).subarray(0, size);
  switch (step.verb) {
    case "create":
      if (old !== undefined) return "exists";
      if (step.content.length > step.sectors * SECTOR) return "too-large";
      return next.set(step.name, padded(step.content, step.sectors * SECTOR));
    case "fill":
      if (old === undefined) return "missing";
      if (step.content.length > old.length) return "too-large";
      return next.set(step.name, padded(step.content, old.length));
    case "resize":
      return old === undefined ? "missing" : next.set(step.name, padded(old, step.sectors * SECTOR));
    case "snapshot":
      if (old === undefined) return "missing";
      return model.has(step.copy) ? "exists" : next.set(step.copy, old);
    case "rm":
    case "lose file":
      next.delete(step.name);
      return next;
    case "put file":
      return next.set(step.name, noise(step.sectors * SECTOR));
    case "lose records":
      return next;
  }
}

async function perform(room: TestRoom, step: Step): Promise<void> {
  const source = (bytes: Buffer) => {
    writeFileSync(room.path("content"), bytes);
    return openSource(room.path("content"));
  };
  const file = join(room.volumes, `${step.name}.img`);
  switch (step.verb) {
    case "create": {
      const options = { size: step.sectors * SECTOR, source: source(step.content), now: 1 };
      await createVolume(room, step.name, options);
      return;
    }
    case "fill":
      await fillVolume(room, step.name, source(step.content));
      return;
    case "resize":
      await resizeVolume(room, step.name, step.sectors * SECTOR, { mayShrink: true });
      return;
    case "snapshot":
      await snapshotVolume(room, step.name, step.copy, 1);
      return;
    case "rm":
      if (listVolumes(room).some((volume) => volume.name === step.name)) await removeVolume(room, step.name);
      return;
    case "lose file":
      rmSync(file, { force: true });
      return;
    case "put file":
      Bun.spawnSync(["mkdir", "-p", room.volumes]);
      writeFileSync(file, noise(step.sectors * SECTOR));
      return;
    case "lose records":
      room.db.run("DELETE FROM volume");
  }
}

test("after any sequence the volumes that are there hold what they should, and nothing else lies around", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 15 }), async (steps) => {
      using room = new TestRoom();
      let model: Map<string, Buffer> = new Map();
      for (const step of steps) {
        const should = expected(model, step);
        const did = await perform(room, step).then(
          () => "done",
          (error: unknown) => (error instanceof VolumeError ? error.code : String(error)),
        );
        expect(did).toBe(typeof should === "string" ? should : "done");
        if (typeof should !== "string") model = should;
        const there = listVolumes(room).filter(({ state }) => state !== "missing");
        expect(there.map(({ name, size }) => [name, size])).toEqual(
          [...model].map(([name, bytes]): [string, number] => [name, bytes.length]).sort(),
        );
        for (const [name, bytes] of model) expect(room.content(name).equals(bytes)).toBe(true);
        expect(room.files()).toEqual([...model.keys()].map((name) => `${name}.img`).sort());
      }
    }),
    { numRuns: 60 },
  );
});
