/**
 * What an archive of `robur backup --with-volumes` consists of: a tar, packed by zstd, with these entries in this
 * order:
 *
 *     manifest.json         what follows; so that it can be listed without unpacking the rest
 *     robur.db              the database
 *     volumes/NAME.img      each volume, whole
 *     SHA256SUMS            of all of the above; an archive without it was cut off
 *
 * so that tar, zstd and sha256sum are enough to unpack and to check one. Everything in here is pure.
 */
import { BackupError } from "../../db/backup/backup-error.ts";
import { fileNameOf, parseVolumeName } from "../volumes/volume-name.ts";

export const MANIFEST = "manifest.json";
export const DATABASE = "robur.db";
export const SUMS = "SHA256SUMS";
const FORMAT = "robur-backup";
const FORMAT_VERSION = 1;

/** How a volume was read: `still`: nobody wrote to it, or a copy made in one instant; `live`: while a unikernel did. */
export type Stillness = "still" | "live";

export interface ArchivedVolume {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly read: Stillness;
}

export interface ArchiveManifest {
  readonly format: typeof FORMAT;
  readonly formatVersion: number;
  /** The robur that made it. */
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly database: { readonly size: number; readonly sha256: string; readonly schema: number };
  readonly volumes: readonly ArchivedVolume[];
}

/** A manifest with the fields that are always the same. */
export function newManifest(fields: Omit<ArchiveManifest, "format" | "formatVersion">): ArchiveManifest {
  return { format: FORMAT, formatVersion: FORMAT_VERSION, ...fields };
}

/** The entry of a volume. */
export function volumeEntry(name: string): string {
  return `volumes/${fileNameOf(name)}`;
}

/** The names that the entries must have, in order, without manifest and sums. */
export function contentEntries(
  manifest: ArchiveManifest,
): { readonly entry: string; readonly size: number }[] {
  return [
    { entry: DATABASE, size: manifest.database.size },
    ...manifest.volumes.map(({ name, size }) => ({ entry: volumeEntry(name), size })),
  ];
}

/** Reads a manifest of an archive called `path`. Throws BackupError not-a-backup. */
export function parseManifest(text: string, path: string): ArchiveManifest {
  const found = parseJson(text);
  if (!isRecord(found) || found["format"] !== FORMAT) {
    throw new BackupError("not-a-backup", `${path}: not a backup of robur's`);
  }
  if (found["formatVersion"] !== FORMAT_VERSION) {
    throw new BackupError("not-a-backup", `${path}: made by a newer robur`, {
      why: `its format has version ${String(found["formatVersion"])}, and this robur knows ${FORMAT_VERSION}`,
      hint: "robur upgrade",
    });
  }
  const { database, volumes, version, createdAt } = found;
  const isWhole =
    isRecord(database) &&
    isSize(database["size"]) &&
    isSize(database["schema"]) &&
    /^[0-9a-f]{64}$/.test(String(database["sha256"])) &&
    typeof version === "string" &&
    isSize(createdAt) &&
    Array.isArray(volumes) &&
    volumes.every(isVolume) &&
    new Set(volumes.map(({ name }) => name)).size === volumes.length;
  if (!isWhole) throw new BackupError("damaged", `${path}: its manifest makes no sense`);
  return found as unknown as ArchiveManifest;
}

/** The lines of SHA256SUMS, as sha256sum reads and writes them. */
export function formatSums(sums: ReadonlyMap<string, string>): string {
  return [...sums].map(([entry, sha256]) => `${sha256}  ${entry}\n`).join("");
}

function isVolume(value: unknown): value is ArchivedVolume {
  // Names become names of files: only those that this robur could have given.
  return (
    isRecord(value) &&
    typeof value["name"] === "string" &&
    parseVolumeName(value["name"]) === value["name"] &&
    isSize(value["size"]) &&
    (value["read"] === "still" || value["read"] === "live")
  );
}

function isSize(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
