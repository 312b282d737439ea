/** A store whose process is killed at any moment is whole. ROBUR_CRASHES: how often (default 10). */
import { expect, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import type { Sha256 } from "../../../src/lib/sha256.ts";
import { collect } from "../../../src/store/collection/collect.ts";
import { verifyStore } from "../../../src/store/collection/verify.ts";
import { temporaryDirectory, until } from "../../robur.ts";
import { HOUR, storeWorld } from "../world.ts";

const CRASHES = Number(process.env["ROBUR_CRASHES"] ?? 10);

test(`${CRASHES} kills lose nothing that was acknowledged, and leave nothing half there`, async () => {
  const path = join(temporaryDirectory(), "robur.db");
  const kept = new Set<string>();
  for (let i = 0; i < CRASHES; i++) {
    const child = Bun.spawn(
      [process.execPath, join(import.meta.dir, "crash-child.ts"), path, String(i + 1)],
      {
        env: { ...process.env, NODE_ENV: undefined },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    let said = "";
    const listening = (async () => {
      for await (const piece of child.stdout) said += new TextDecoder().decode(piece);
    })();
    await until("it works", () => said.includes("ready") || child.exitCode !== null);
    await Bun.sleep(Math.random() * 150);
    child.kill("SIGKILL");
    await child.exited;
    await listening;
    expect(await child.stderr.text()).toBe("");
    // The last line may be cut off.
    for (const line of said.split("\n").slice(0, -1)) {
      if (line.startsWith("-")) kept.delete(line.slice(1));
      else if (line !== "ready") kept.add(line);
    }
    await checkStore(path, kept);
  }
}, 3_600_000);

async function checkStore(path: string, kept: ReadonlySet<string>): Promise<void> {
  await using world = storeWorld(path);
  const { db, contents } = world;
  expect(db.query("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
  expect(db.query("PRAGMA foreign_key_check").all()).toEqual([]);
  const before = await verifyStore(db);
  expect(before.damage).toEqual([]);
  expect(before.damagedChunks).toEqual([]);
  expect(missing(db, kept)).toEqual([]);
  world.now = Date.now() + 1000 * HOUR;
  await collect(db, contents, { now: world.now });
  expect(db.query("SELECT count(*) AS n FROM content WHERE sha256 IS NULL").get()).toEqual({ n: 0 });
  expect(
    db.query("SELECT count(*) AS n FROM chunk WHERE id NOT IN (SELECT chunk FROM content_chunk)").get(),
  ).toEqual({ n: 0 });
  expect(db.query("PRAGMA freelist_count").get()).toEqual({ freelist_count: 0 });
  expect((await verifyStore(db)).damage).toEqual([]);
  db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  const { used } = db.query<{ used: number }, []>("SELECT sum(length(content)) AS used FROM chunk").get()!;
  expect(statSync(path).size).toBeLessThan(used * 1.3 + 2_000_000);
}

/** Those that were acknowledged and aren't there, though nobody let them go. */
function missing(db: ReturnType<typeof storeWorld>["db"], kept: ReadonlySet<string>): string[] {
  const there = db
    .query<{ sha256: string }, []>(
      "SELECT lower(hex(sha256)) AS sha256 FROM content WHERE sha256 IS NOT NULL",
    )
    .all();
  const all = new Set(there.map(({ sha256 }) => sha256 as Sha256));
  return [...kept].filter((sha256) => !all.has(sha256 as Sha256));
}
