/** Writing, referring, letting go, reading and collecting in any order, several at once, against what must be there. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Sha256 } from "../../../src/lib/sha256.ts";
import { sha256Of } from "../../../src/lib/sha256-of.ts";
import type { Content, ContentSession } from "../../../src/store/api.ts";
import { collect } from "../../../src/store/collection/collect.ts";
import { verifyStore } from "../../../src/store/collection/verify.ts";
import { randomBytes } from "../bytes.ts";
import { HOUR, letGo, referTo, storeWorld } from "../world.ts";

/** Slices of the same bytes, so that contents share chunks. */
const ALL = randomBytes(900_000, 1);

const Slice = fc.record({
  start: fc.integer({ min: 0, max: 600_000 }),
  size: fc.integer({ min: 0, max: 300_000 }),
});
const Step = fc.oneof(
  fc.record({ kind: fc.constant("put" as const), slice: Slice, refers: fc.boolean() }),
  fc.record({ kind: fc.constant("give up" as const), slice: Slice }),
  fc.record({ kind: fc.constant("let go" as const), which: fc.nat(20) }),
  fc.record({ kind: fc.constant("read" as const), which: fc.nat(20) }),
  fc.record({ kind: fc.constant("collect" as const) }),
);
type Step = typeof Step extends fc.Arbitrary<infer T> ? T : never;

test("whatever is done at once, what is referred to is whole, and the rest goes", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(Step, { minLength: 1, maxLength: 4 }), { maxLength: 8 }),
      async (rounds) => {
        await using world = storeWorld();
        const kept = new Map<Sha256, Content>();
        for (const round of rounds) {
          world.now += 2 * HOUR;
          await Promise.all(round.map((step) => perform(world, kept, step)));
        }
        for (const { id, sha256 } of kept.values()) expect(world.contents.find(sha256)?.id).toBe(id);
        world.now += 2 * HOUR;
        await collect(world.db, world.contents, { now: world.now });
        expect(world.count("content")).toBe(kept.size);
        const { damage, damagedChunks, contents } = await verifyStore(world.db);
        expect([damage, damagedChunks, contents]).toEqual([[], [], kept.size]);
        const used = world.db
          .query<{ count: number }, []>("SELECT count(DISTINCT chunk) AS count FROM content_chunk")
          .get()!;
        expect(world.count("chunk")).toBe(used.count);
      },
    ),
    { numRuns: Number(process.env["ROBUR_RUNS"] ?? 25) },
  );
}, 120_000);

async function perform(
  world: ReturnType<typeof storeWorld>,
  kept: Map<Sha256, Content>,
  step: Step,
): Promise<void> {
  const { db, contents } = world;
  await using session: ContentSession = contents.session();
  switch (step.kind) {
    case "put": {
      const bytes = ALL.subarray(step.slice.start, step.slice.start + step.slice.size);
      const content = await session.put(bytes);
      // Collections run meanwhile: the session holds it.
      await Bun.sleep(1);
      expect(sha256Of(await contents.bytes(content))).toBe(sha256Of(bytes));
      if (!step.refers) return;
      referTo(db, content.id);
      kept.set(content.sha256, content);
      return;
    }
    case "give up": {
      await using writer = session.writer();
      await writer.write(ALL.subarray(step.slice.start, step.slice.start + step.slice.size));
      return;
    }
    case "let go": {
      const content = [...kept.values()][step.which];
      if (content === undefined) return;
      kept.delete(content.sha256);
      letGo(db, content.id);
      return;
    }
    case "read": {
      const content = [...kept.values()][step.which];
      if (content === undefined) return;
      expect(sha256Of(await new Response(contents.read(content)).bytes())).toBe(content.sha256);
      return;
    }
    case "collect":
      await collect(db, contents, { now: world.now });
  }
}
