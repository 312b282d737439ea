/**
 * Sandboxes of jobs that failed, kept for a shell: the newest one of each job, and of all together no more than a bound.
 * Whoever has a shell in one, or is about to remove it, holds a lock on it; so neither is done to the other's.
 */
import { existsSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ERRNO } from "../../linux/errno.ts";
import { openLocked } from "../../linux/file-lock.ts";
import { O_CLOEXEC, O_CREAT, O_RDWR, OsError, close } from "../../linux/libc.ts";
import type { Identities } from "./identities.ts";
import { type SandboxPaths, sandboxPaths, sandboxesDirectory } from "./layout.ts";
import { call } from "./programs.ts";
import { endSandbox, removeSandbox } from "./remains.ts";

export interface KeptRecord {
  readonly build: string;
  /** Undefined: it takes no other one's place. */
  readonly job?: string | undefined;
  /** Milliseconds since 1970. */
  readonly keptAt: number;
  /** On the disk, when it was kept. */
  readonly bytes: number;
}

/** Bytes of all kept sandboxes of a data directory. */
export const KEPT_BYTES = 20 * 1024 ** 3;

/** All sandboxes, kept or not. */
export function allSandboxes(dataDirectory: string): SandboxPaths[] {
  const directory = sandboxesDirectory(dataDirectory);
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => /^[0-9a-f]{8}-[0-9a-f]{4}$/.test(name))
    .map((name) => sandboxPaths(dataDirectory, name));
}

/** Undefined for one that isn't kept. */
export function readKept({ kept }: SandboxPaths): KeptRecord | undefined {
  try {
    return JSON.parse(readFileSync(kept, "utf8")) as KeptRecord;
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return undefined;
    throw error;
  }
}

/** The kept sandbox of a build. */
export function findKept(dataDirectory: string, build: string): SandboxPaths | undefined {
  return allSandboxes(dataDirectory).find((paths) => readKept(paths)?.build === build);
}

/** What is known of a build's kept sandbox; undefined when there is none. */
export function keptOf(dataDirectory: string, build: string): KeptRecord | undefined {
  const paths = findKept(dataDirectory, build);
  return paths === undefined ? undefined : readKept(paths);
}

/** Locks a kept sandbox until disposed of; undefined where somebody else has it, or it has just gone. Throws OsError. */
export function lockKept({ home }: SandboxPaths): Disposable | undefined {
  const path = join(home, "shell.lock");
  const fd = openLocked(path, O_RDWR | O_CREAT | O_CLOEXEC, "exclusive", 0o600);
  if (fd === -ERRNO.EAGAIN || fd === -ERRNO.ENOENT) return undefined;
  if (fd < 0) throw new OsError(path, -fd);
  return { [Symbol.dispose]: () => close(fd) };
}

/** Marks a sandbox whose processes have ended as kept. */
export async function markKept(
  paths: SandboxPaths,
  { build, job, keptAt }: Omit<KeptRecord, "bytes">,
): Promise<void> {
  const { stdout } = await call(["/usr/bin/du", "-sx", "--block-size=1", paths.home]);
  const record: KeptRecord = { build, job, keptAt, bytes: Number.parseInt(stdout, 10) || 0 };
  writeFileSync(`${paths.kept}.new`, JSON.stringify(record));
  renameSync(`${paths.kept}.new`, paths.kept);
}

/** Removes a kept sandbox, unless somebody has a shell in it; answers whether it is gone. */
export async function removeKept(paths: SandboxPaths, who: Identities): Promise<boolean> {
  using lock = lockKept(paths);
  if (lock === undefined) return false;
  await endSandbox(paths);
  await removeSandbox(paths, who);
  return true;
}

/** Which of these go: those of jobs that have a newer one, and the oldest ones above the bound. Pure. */
export function tooMany<T extends KeptRecord>(records: readonly T[], maxBytes: number): T[] {
  const jobs = new Set<string>();
  let bytes = 0;
  return records
    .toSorted((a, b) => b.keptAt - a.keptAt)
    .filter((record) => {
      const { job } = record;
      const isOlder = job !== undefined && jobs.has(job);
      if (job !== undefined) jobs.add(job);
      if (isOlder || bytes + record.bytes > maxBytes) return true;
      bytes += record.bytes;
      return false;
    });
}

/** Removes what is too much of kept sandboxes. */
export async function pruneKept(
  dataDirectory: string,
  who: Identities,
  maxBytes = KEPT_BYTES,
): Promise<void> {
  const records = allSandboxes(dataDirectory).flatMap((paths) => {
    const record = readKept(paths);
    return record === undefined ? [] : [{ ...record, paths }];
  });
  for (const { paths } of tooMany(records, maxBytes)) await removeKept(paths, who);
}
