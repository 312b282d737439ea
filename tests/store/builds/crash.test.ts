// kill -9 of a process that uploads: what it said is kept is there, whole; nothing is there in part.
// ROBUR_CRASHES sets how many.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { openBuildStore } from "../../../src/store/builds/build-store.ts";
import { collect, UNUSED_MS } from "../../../src/store/collection/collect.ts";
import { openContentStore } from "../../../src/store/contents/content-store.ts";
import type { Build, BuildId } from "../../../src/store/api.ts";
import { crashId, crashRecord } from "./crash-record.ts";
import { type Lab, openLab, recordBack } from "./lab.ts";

const CRASHES = Number(process.env["ROBUR_CRASHES"] ?? 5);

/** Uploads from a number on until it is killed; answers the numbers that were said to be kept. */
async function uploadUntilKilled(path: string, first: number, afterMs: number): Promise<number[]> {
  const child = Bun.spawn(
    [process.execPath, join(import.meta.dir, "uploading-process.ts"), path, String(first)],
    {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    },
  );
  let said = "";
  let isArmed = false;
  for await (const bytes of child.stdout) {
    said += new TextDecoder().decode(bytes);
    if (!isArmed) setTimeout(() => child.kill("SIGKILL"), afterMs);
    isArmed = true;
  }
  await child.exited;
  expect(child.signalCode).toBe("SIGKILL");
  return said.split("\n").slice(0, -1).map(Number);
}

/** All builds that are there, each compared with what was sent; answers their numbers. */
async function checkAll(lab: Lab, upTo: number): Promise<number[]> {
  const store = openBuildStore(lab.db, lab.contents);
  const found: number[] = [];
  for (let number = 0; number <= upTo; number++) {
    const build: Build | undefined = store.build(crashId(number) as BuildId);
    if (build === undefined) continue;
    found.push(number);
    expect(build.artifacts.map(({ path }) => path)).toEqual([
      "bin/hello.hvt",
      "build-environment",
      "opam-switch",
      "system-packages",
    ]);
    expect(build.main?.size).toBe(300_000);
    expect(build.inputId).toBeDefined();
    expect(Buffer.compare(await recordBack(store, build.id), await crashRecord(number))).toBe(0);
    expect((await lab.contents.bytes(build.console)).length).toBe(build.console.size);
  }
  expect(lab.db.query("SELECT count(*) AS n FROM build").get()).toEqual({ n: found.length });
  return found;
}

test(`${CRASHES} kills lose nothing and leave nothing in part`, async () => {
  await using lab = openLab();
  let next = 0;
  const kept: number[] = [];
  for (let crash = 0; crash < CRASHES; crash++) {
    kept.push(...(await uploadUntilKilled(lab.path, next, Math.random() * 100)));
    // One more may have been kept than said.
    next = kept.at(-1)! + 1;
    const found = await checkAll(lab, next);
    expect(found.filter((number) => number < next)).toEqual(kept);
    if (found.includes(next)) kept.push(next++);
  }
  expect(lab.db.query("PRAGMA foreign_key_check").all()).toEqual([]);
  expect(lab.db.query("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
  // What a dead process left goes with a collection, and takes nothing along that a build needs.
  const contents = openContentStore(lab.db);
  await collect(lab.db, contents, { now: Date.now() + 2 * UNUSED_MS });
  await contents[Symbol.asyncDispose]();
  const unused = lab.db.query("SELECT count(*) AS n FROM content WHERE sha256 IS NULL").get();
  expect(unused).toEqual({ n: 0 });
  expect(await checkAll(lab, next)).toEqual(kept);
}, 3_600_000);
