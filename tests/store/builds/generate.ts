/**
 * Databases with many builds, made fast: rows without anything behind them but one small content. Every figure follows
 * from the numbers given, so that two databases of one size are equal.
 */
import type { Database } from "bun:sqlite";
import { write } from "../../../src/db/open.ts";
import { type Sha256, sha256Bytes } from "../../../src/lib/sha256.ts";
import { sha256Of } from "../../../src/lib/sha256-of.ts";
import type { BuildId, JobName, Platform } from "../../../src/store/api.ts";

export const JOBS = ["dns-primary", "hello", "tlstunnel"] as readonly string[] as readonly JobName[];
export const PLATFORMS = ["debian-12", "freebsd-14"] as readonly string[] as readonly Platform[];

const DAY = 24 * 3600_000;
const START = Date.UTC(2020, 0, 1);
const SOLO5 = JSON.stringify({
  manifest: { type: "solo5.manifest", version: 1, devices: [{ name: "service", type: "NET_BASIC" }] },
  abi: { type: "solo5.abi", target: "hvt", version: 2 },
});

/** The UUID of the build with this number. */
export function generatedId(number: number): BuildId {
  return `00000000-0000-4000-8000-${number.toString(16).padStart(12, "0")}` as BuildId;
}

/**
 * The main binary of the build with this number: a build in ten has failed, and a new output comes with each third
 * day of a job.
 */
export function generatedMain(number: number): Sha256 | undefined {
  const { job, platform, day } = placeOf(number);
  return number % 10 === 9 ? undefined : sha256Of(`${job} ${platform} ${Math.floor(day / 3)}`);
}

function placeOf(number: number): { job: number; platform: number; day: number } {
  const each = JOBS.length * PLATFORMS.length;
  const within = number % each;
  return {
    job: within % JOBS.length,
    platform: Math.floor(within / JOBS.length),
    day: Math.floor(number / each),
  };
}

/** Adds `count` builds of three jobs on two platforms, one of each a day, all in one transaction. */
export function generateBuilds(db: Database, count: number): void {
  write(db, () => {
    const content = db
      .query<{ id: number }, [Uint8Array]>(
        "INSERT INTO content (sha256, size, created_at) VALUES (?, 0, 0) ON CONFLICT DO UPDATE SET size = 0 RETURNING id",
      )
      .get(sha256Bytes(sha256Of("")))!.id;
    const jobs = JOBS.map(
      (name) =>
        db
          .query<{ id: number }, (string | number)[]>(
            "INSERT INTO job (name, section, synopsis, created_at) VALUES (?, 'Unikernels', ?, 0) RETURNING id",
          )
          .get(name, `The ${name} unikernel`)!.id,
    );
    for (let number = 0; number < count; number++) generateBuild(db, number, jobs, content);
    generatePackages(db, Math.ceil(count / (JOBS.length * PLATFORMS.length)));
  });
}

function generateBuild(db: Database, number: number, jobs: readonly number[], content: number): void {
  const { job, platform, day } = placeOf(number);
  const startedAt = START + day * DAY + job * 3600_000 + platform * 600_000;
  const main = generatedMain(number);
  const input = sha256Of(`input ${Math.floor(day / 2)}`);
  const { id } = db
    .query<{ id: number }, (string | number | Uint8Array | null)[]>(
      `INSERT INTO build (uuid, job, platform, started_at, finished_at, result_kind, result_code, input_id, solo5,
         script, console, uploaded_by, received_at)
       VALUES (?, ?, ?, ?, ?, 'exited', ?, ?, ?, ?, ?, 'generated', ?) RETURNING id`,
    )
    .get(
      generatedId(number),
      jobs[job]!,
      PLATFORMS[platform]!,
      startedAt,
      startedAt + 600_000,
      main === undefined ? 1 : 0,
      sha256Bytes(input),
      main === undefined ? null : SOLO5,
      content,
      content,
      startedAt + 600_000,
    )!;
  const artifact = (path: string, sha256: Sha256, size: number) =>
    db
      .query("INSERT INTO artifact (build, path, sha256, size, content) VALUES (?, ?, ?, ?, ?)")
      .run(id, path, sha256Bytes(sha256), size, content).lastInsertRowid;
  artifact("opam-switch", switchOf(day), 50_000);
  artifact("build-environment", sha256Of("environment"), 400);
  artifact("system-packages", sha256Of(`packages ${Math.floor(day / 30)}`), 9000);
  if (main === undefined) return;
  const size = 5_000_000 + day;
  db.query("UPDATE build SET main_artifact = ?, main_sha256 = ?, main_size = ? WHERE id = ?").run(
    artifact(`bin/${JOBS[job]}.hvt`, main, size),
    sha256Bytes(main),
    size,
    id,
  );
}

function switchOf(day: number): Sha256 {
  return sha256Of(`switch ${Math.floor(day / 7)}`);
}

/** A switch a week: x509 with a new version each, and a hundred packages that stay. */
function generatePackages(db: Database, days: number): void {
  const put = db.query<{ id: number }, [string, string]>(
    "INSERT INTO package (name, version) VALUES (?, ?) ON CONFLICT DO UPDATE SET name = name RETURNING id",
  );
  for (let week = 0; week * 7 < days; week++) {
    const names = Array.from({ length: 100 }, (_, i) => [`package-${i}`, "1.0.0"] as const);
    for (const [name, version] of [["x509", `0.${week}.0`] as const, ...names]) {
      db.query("INSERT INTO switch_package (package, switch) VALUES (?, ?)").run(
        put.get(name, version)!.id,
        sha256Bytes(switchOf(week * 7)),
      );
    }
  }
}
