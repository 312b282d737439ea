// kill -9 of a process that imports: a build is there whole or not at all, and the next import goes on.
// ROBUR_CRASHES sets how many kills.
import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { databasePath, openDatabase } from "../../../src/db/open.ts";
import { sha256Of } from "../../../src/lib/sha256-of.ts";
import { parseBuildId } from "../../../src/store/api.ts";
import { openBuildStore } from "../../../src/store/builds/build-store.ts";
import { collect, UNUSED_MS } from "../../../src/store/collection/collect.ts";
import { verifyStore } from "../../../src/store/collection/verify.ts";
import { openContentStore } from "../../../src/store/contents/content-store.ts";
import { temporaryDirectory } from "../../robur.ts";
import { randomBytes } from "../bytes.ts";
import { type OldBuild, writeOldServer } from "./old-server.ts";

const CRASHES = Number(process.env["ROBUR_CRASHES"] ?? 8);
const BUILDS = 30;

/** Each day's build shares most of its bytes with the one before. */
function oldBuilds(): OldBuild[] {
  const image = randomBytes(1_200_000, 1);
  return Array.from({ length: BUILDS }, (_, day) => {
    const at = (day * 37_321) % 700_000;
    const binary = image.subarray(at, at + 400_000 + day);
    return {
      uuid: parseBuildId(`22222222-0000-4000-8000-${String(day).padStart(12, "0")}`)!,
      job: `job-${day % 3}`,
      console: Array.from({ length: 3000 }, (_, i) => `${i}.000s:line ${i} of ${day}\n`).join(""),
      files: [
        { path: "bin/hello.hvt", bytes: binary },
        { path: "hello.hvt.debug", bytes: image.subarray(0, 500_000 + day) },
        { path: "opam-switch", bytes: 'opam-version: "2.0"\ninstalled: ["x509.0.10.0"]\n' },
        { path: "system-packages", bytes: `number=${day}\n` },
      ],
    };
  });
}

/** Imports until it is killed, so long after it began; answers whether it came to its end before. */
async function importUntilKilled(own: string, theirs: string, afterMs?: number): Promise<boolean> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "importing-process.ts"), own, theirs], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  let timer: Timer | undefined;
  for await (const bytes of child.stdout) {
    said += new TextDecoder().decode(bytes);
    if (afterMs !== undefined) timer ??= setTimeout(() => child.kill("SIGKILL"), afterMs);
  }
  await child.exited;
  clearTimeout(timer);
  expect(await child.stderr.text()).toBe("");
  const isDone = said.includes("done");
  if (!isDone) expect(child.signalCode).toBe("SIGKILL");
  return isDone;
}

/** Looks at everything that is there; answers how many builds that are. */
async function check(own: string, builds: readonly OldBuild[]): Promise<number> {
  const db = openDatabase(databasePath(own));
  await using contents = openContentStore(db);
  const store = openBuildStore(db, contents);
  expect(db.query("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
  expect(db.query("PRAGMA foreign_key_check").all()).toEqual([]);
  const { damage, damagedChunks } = await verifyStore(db);
  expect([damage, damagedChunks]).toEqual([[], []]);
  let found = 0;
  for (const { uuid, job, files = [], console: text = "" } of builds) {
    const build = store.build(parseBuildId(uuid)!);
    if (build === undefined) continue;
    found += 1;
    expect(String(build.job)).toBe(job);
    const wanted = files.map(({ path, bytes }) => [path, sha256Of(Buffer.from(bytes)), true]);
    expect(build.artifacts.map(({ path, sha256, isKept }) => [path, sha256, isKept]).sort()).toEqual(
      wanted.sort(),
    );
    expect(String(build.console.sha256)).toBe(sha256Of(text));
    const { size, stream } = store.record(build.id)!;
    expect((await new Response(stream()).bytes()).length).toBe(size);
  }
  expect(db.query("SELECT count(*) AS n FROM build").get()).toEqual({ n: found });
  await collect(db, contents, { now: Date.now() + 2 * UNUSED_MS });
  expect(db.query("SELECT count(*) AS n FROM content WHERE sha256 IS NULL").get()).toEqual({ n: 0 });
  expect(db.query("PRAGMA freelist_count").get()).toEqual({ freelist_count: 0 });
  db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  const { used } = db
    .query<{ used: number }, []>("SELECT coalesce(sum(length(content)), 0) AS used FROM chunk")
    .get()!;
  expect(statSync(databasePath(own)).size).toBeLessThan(used * 1.3 + 2_000_000);
  // Those of earlier ones are gone: a copy has one file beside it at most.
  expect(readdirSync(own).filter((name) => name.startsWith("import-")).length).toBeLessThanOrEqual(2);
  db.close();
  return found;
}

test(`${CRASHES} kills of an import leave whole builds only, and it goes on from there`, async () => {
  const builds = oldBuilds();
  const theirs = temporaryDirectory();
  writeOldServer(theirs, {
    version: 18,
    users: [{ name: "builder", password: "testtest", restricted: false }],
    jobs: [{ name: "job-0", tags: { "readme.md": "# Hello" } }, { name: "job-1" }, { name: "job-2" }],
    builds,
  });
  let own = "";
  let found = 0;
  for (let kills = 0; kills < CRASHES;) {
    if (own === "" || found === BUILDS) {
      own = join(temporaryDirectory(), "own");
      mkdirSync(own);
      found = 0;
    }
    const isDone = await importUntilKilled(own, theirs, Math.random() * 400);
    if (!isDone) kills += 1;
    const now = await check(own, builds);
    expect(now).toBeGreaterThanOrEqual(found);
    if (isDone) expect(now).toBe(BUILDS);
    found = now;
  }
  expect(await importUntilKilled(own, theirs)).toBe(true);
  expect(await check(own, builds)).toBe(BUILDS);
  expect(readdirSync(own).filter((name) => name.startsWith("import-"))).toEqual([]);
}, 3_600_000);
