import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { sha256Of } from "../../../src/lib/sha256-of.ts";
import type { Upload, UploadId, UploadPartOutcome } from "../../../src/store/uploads/api.ts";
import { openUploads } from "../../../src/store/uploads/uploads.ts";
import { until } from "../../robur.ts";
import { randomBytes } from "../bytes.ts";
import { HOUR, storeWorld } from "../world.ts";

const PURPOSE = { kind: "content" } as const;
const NONE = "0".repeat(32) as UploadId;

function begin(uploads: ReturnType<typeof openUploads>, size: number, who = "alice"): Upload {
  const outcome = uploads.create(who, PURPOSE, size);
  if (!outcome.ok) throw new Error(outcome.refusal.message);
  return outcome.upload;
}

const stream = (bytes: Uint8Array) => new Blob([bytes]).stream();
const refusalOf = (outcome: UploadPartOutcome) => (outcome.ok ? undefined : outcome.refusal);

test("parts of any size become the content, cut as if it had come at once", async () => {
  await using world = storeWorld();
  const bytes = randomBytes(1_500_000, 1);
  {
    await using session = world.contents.session();
    await session.put(bytes);
  }
  const chunks = world.count("chunk");
  const parts = fc.array(fc.integer({ min: 0, max: 400_000 }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(parts, fc.boolean(), async (sizes, forgets) => {
      let uploads = openUploads(world.contents);
      const { id } = begin(uploads, bytes.length);
      let offset = 0;
      for (const size of [...sizes, bytes.length]) {
        const part = bytes.subarray(offset, Math.min(offset + size, bytes.length));
        // As a restarted server would see it.
        if (forgets) {
          await uploads[Symbol.asyncDispose]();
          uploads = openUploads(world.contents);
        }
        const outcome = await uploads.append("alice", id, offset, stream(part));
        offset += part.length;
        expect(uploads.find("alice", id)?.offset).toBe(offset);
        if (offset === bytes.length) {
          expect(outcome.ok && outcome.content?.sha256).toBe(sha256Of(bytes));
          break;
        }
        expect(outcome.ok && outcome.content).toBeUndefined();
      }
      expect(await uploads.remove("alice", id)).toBe(true);
      await uploads[Symbol.asyncDispose]();
    }),
    { numRuns: 15 },
  );
  // Ends of parts are chunks for a while; no other cut is new.
  expect(world.count("content")).toBe(1);
  world.now += 2 * HOUR;
  const { collect } = await import("../../../src/store/collection/collect.ts");
  await collect(world.db, world.contents, { now: world.now - 90 * 60_000 });
  expect(world.count("chunk")).toBe(chunks);
});

test("a wrong offset is refused with the right one", async () => {
  await using world = storeWorld();
  await using uploads = openUploads(world.contents);
  const { id } = begin(uploads, 100);
  await uploads.append("alice", id, 0, stream(randomBytes(40, 1)));
  for (const offset of [0, 39, 41, 100]) {
    const outcome = await uploads.append("alice", id, offset, stream(randomBytes(60, 1)));
    expect(refusalOf(outcome)).toMatchObject({ code: "wrong-offset", offset: 40 });
  }
});

test("an upload is its owner's alone", async () => {
  await using world = storeWorld();
  await using uploads = openUploads(world.contents);
  const { id } = begin(uploads, 10);
  expect(uploads.find("bob", id)).toBeUndefined();
  expect(refusalOf(await uploads.append("bob", id, 0, stream(randomBytes(10, 1))))?.code).toBe("missing");
  expect(await uploads.remove("bob", id)).toBe(false);
  expect(uploads.find("alice", id)?.offset).toBe(0);
  expect(refusalOf(await uploads.append("alice", NONE, 0, null))?.code).toBe("missing");
});

test("a line that breaks costs nothing of what came", async () => {
  await using world = storeWorld();
  await using uploads = openUploads(world.contents);
  const bytes = randomBytes(1_000_000, 2);
  const { id } = begin(uploads, bytes.length);
  let sent = false;
  const broken = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent) controller.error(new Error("the line broke"));
      else controller.enqueue(bytes.subarray(0, 333_333));
      sent = true;
    },
  });
  await expect(uploads.append("alice", id, 0, broken)).rejects.toThrow("the line broke");
  expect(uploads.find("alice", id)?.offset).toBe(333_333);
  const outcome = await uploads.append("alice", id, 333_333, stream(bytes.subarray(333_333)));
  expect(outcome.ok && outcome.content?.sha256).toBe(sha256Of(bytes));
});

test("more than was announced is refused", async () => {
  await using world = storeWorld();
  await using uploads = openUploads(world.contents);
  const { id } = begin(uploads, 100);
  expect(refusalOf(await uploads.append("alice", id, 0, stream(randomBytes(101, 1))))?.code).toBe(
    "too-large",
  );
  expect(uploads.find("alice", id)?.offset).toBe(0);
  expect(refusalOf(uploads.create("alice", PURPOSE, 2 ** 40))?.code).toBe("too-large");
  expect(refusalOf(uploads.create("alice", PURPOSE, -1))?.code).toBe("too-large");
});

test("nobody opens uploads without end", async () => {
  await using world = storeWorld();
  await using uploads = openUploads(world.contents);
  for (let i = 0; i < 64; i++) begin(uploads, 1);
  expect(refusalOf(uploads.create("alice", PURPOSE, 1))?.code).toBe("too-many");
  expect(uploads.create("bob", PURPOSE, 1).ok).toBe(true);
});

test("an empty upload, and one whose bytes are there already, become contents too", async () => {
  await using world = storeWorld();
  await using uploads = openUploads(world.contents);
  const none = begin(uploads, 0);
  expect(await uploads.append("alice", none.id, 0, null)).toMatchObject({ ok: true, content: { size: 0 } });
  const bytes = randomBytes(300_000, 4);
  for (let i = 0; i < 2; i++) {
    const { id } = begin(uploads, bytes.length);
    const first = await uploads.append("alice", id, 0, stream(bytes));
    // Asked again, it says the same.
    expect(await uploads.append("alice", id, bytes.length, null)).toEqual(first);
    expect(first).toMatchObject({ ok: true, content: { sha256: sha256Of(bytes) } });
  }
});

test("a later part takes over from one that hangs", async () => {
  await using world = storeWorld();
  await using uploads = openUploads(world.contents);
  const bytes = randomBytes(500_000, 5);
  const { id } = begin(uploads, bytes.length);
  let isAsked = 0;
  const hanging = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (isAsked++ === 0) controller.enqueue(bytes.subarray(0, 100_000));
      else return new Promise(() => undefined);
    },
  });
  const first = uploads.append("alice", id, 0, hanging);
  await until("it waits for more", () => isAsked > 1);
  const wrong = await uploads.append("alice", id, 0, stream(bytes));
  expect(refusalOf(wrong)).toMatchObject({ code: "wrong-offset", offset: 100_000 });
  expect(refusalOf(await first)?.code).toBe("superseded");
  const outcome = await uploads.append("alice", id, 100_000, stream(bytes.subarray(100_000)));
  expect(outcome.ok && outcome.content?.sha256).toBe(sha256Of(bytes));
});
