// Thousands of tiny things, all of which are there at once: what else the process does has its turn between them.
import { expect, test } from "bun:test";
import { archive } from "../../../src/server/builds/archive.ts";
import type { BuildId } from "../../../src/store/api.ts";
import { openLab, recordBack, recordBytes, SAMPLE, upload, utf8 } from "./lab.ts";

const MANY = 3000;

/** How often the event loop goes round while `work` is done. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let isOver = false;
  const count = () => {
    if (isOver) return;
    turns += 1;
    setImmediate(count);
  };
  setImmediate(count);
  await work();
  isOver = true;
  return turns;
}

test("tiny files that are uploaded, given back, and packed", async () => {
  await using lab = openLab();
  const files = Array.from({ length: MANY }, (_, i) => [`d/${i}`, String(i)] as const);
  const bytes = await recordBytes({ files });
  expect(await turnsDuring(() => upload(lab.store, bytes))).toBeGreaterThan(10);
  const back = await turnsDuring(async () =>
    expect(Buffer.compare(await recordBack(lab.store, SAMPLE.uuid), bytes)).toBe(0),
  );
  expect(back).toBeGreaterThan(10);
  const build = lab.store.build(SAMPLE.uuid as BuildId)!;
  const tar = archive({ builds: lab.store, contents: lab.contents }, build, { gzip: false, withLog: false });
  expect(await turnsDuring(() => new Response(tar).bytes())).toBeGreaterThan(10);
});

test("short lines of a console", async () => {
  await using lab = openLab();
  const console = Array.from({ length: 50_000 }, (_, i) => ({ delta: BigInt(i), text: utf8(String(i)) }));
  const bytes = await recordBytes({ console });
  expect(await turnsDuring(() => upload(lab.store, bytes))).toBeGreaterThan(10);
});

test("more files than a build can have are refused before they are taken", async () => {
  await using lab = openLab();
  const files = Array.from({ length: 10_001 }, (_, i) => [`f${i}`, ""] as const);
  const outcome = await upload(lab.store, await recordBytes({ files }));
  expect(outcome).toMatchObject({
    ok: false,
    refusal: { code: "too-large", message: expect.stringContaining("more than 10000 files") },
  });
});
