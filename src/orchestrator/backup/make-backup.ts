/** Makes a backup of a database that a server may be using, with or without the volumes. */
import { Database } from "bun:sqlite";
import { BackupError } from "../../db/backup/backup-error.ts";
import { hashFile } from "../../db/backup/copy-database.ts";
import { VERSION } from "../../lib/version.ts";
import { type Volume, listVolumes } from "../volumes/inventory.ts";
import type { ArchivedVolume } from "./archive-format.ts";
import { type LongWork, copyInChild } from "./copy-in-child.ts";
import { placeBackup } from "./place-backup.ts";
import { readArchive } from "./read-archive.ts";
import { writeArchive } from "./write-archive.ts";

export interface BackupRequest {
  /** The database's path. */
  readonly database: string;
  /** Where the volumes are. */
  readonly dataDirectory: string;
  readonly target: string;
  readonly withVolumes: boolean;
  /** A file that is at `target` is replaced. */
  readonly replace: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export interface BackupMade {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  /** The database's last migration. */
  readonly schema: number;
  /** Those that are in it. */
  readonly volumes: readonly ArchivedVolume[];
  /** Those that aren't, because nobody asked for them or because their files are gone. */
  readonly leftOut: readonly Volume[];
}

/** What is being done, for whoever shows progress. */
export type BackupStep = "copying the database" | "packing" | "checking";

export interface BackupWork {
  readonly onProgress?: ((step: BackupStep, done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes the backup, checks it, and only then gives it its name. Throws DatabaseError, BackupError, VolumeError;
 * what was at the target is unchanged then.
 */
export async function makeBackup(request: BackupRequest, work: BackupWork = {}): Promise<BackupMade> {
  const at = (step: BackupStep): LongWork => ({
    signal: work.signal,
    onProgress: (done, total) => work.onProgress?.(step, done, total),
  });
  return placeBackup(request.target, request.replace, async (unfinished) => {
    const { database, dataDirectory, target: path, now } = request;
    const copy = request.withVolumes ? `${unfinished}.db` : unfinished;
    const facts = await copyInChild(database, copy, at("copying the database"));
    const { schema } = facts;
    const all = volumesIn(copy, dataDirectory);
    if (!request.withVolumes) {
      return { path, bytes: facts.bytes, sha256: facts.sha256, schema, volumes: [], leftOut: all };
    }
    const volumes = all.filter(({ state }) => state !== "missing");
    const leftOut = all.filter(({ state }) => state === "missing");
    const content = { database: { path: copy, facts }, volumes, createdAt: now, version: VERSION };
    const { manifest, sha256 } = await writeArchive(unfinished, content, at("packing"));
    await readArchive(unfinished, {}, at("checking"));
    const bytes = Bun.file(unfinished).size;
    return { path, bytes, sha256, schema, volumes: manifest.volumes, leftOut };
  });
}

/** The volumes that a copied database knows of, and those that lie beside them. */
function volumesIn(copy: string, dataDirectory: string): Volume[] {
  const db = new Database(copy, { readonly: true, strict: true });
  try {
    return listVolumes({ db, dataDirectory });
  } finally {
    db.close();
  }
}

/** Checks that a file still has the SHA-256 that it had. Throws BackupError damaged. */
export function checkHash(path: string, expected: string): void {
  const { sha256 } = hashFile(path);
  if (sha256 === expected.toLowerCase()) return;
  throw new BackupError("damaged", `${path}: not the file that it was`, {
    why: `its SHA-256 is ${sha256}, not ${expected}`,
  });
}
