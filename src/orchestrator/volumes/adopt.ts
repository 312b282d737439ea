/**
 * Volumes of albatross, used where they are. Its block devices are files of whole MiB, named as the device is, in
 * one directory. Nothing is moved or renamed, so that albatross can go on with them; but it doesn't lock them, so
 * it must not run meanwhile.
 */
import { readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { type VolumeRoom, listVolumes } from "./inventory.ts";
import { type VolumeRecord, recordVolumes } from "./records.ts";
import { explainIo } from "./volume-error.ts";
import { nameOfAlbatrossFile } from "./volume-name.ts";

export interface Adoption {
  readonly adopted: readonly VolumeRecord[];
  readonly skipped: readonly { readonly path: string; readonly why: string }[];
}

/** Records every block device in a directory, all at once. Throws VolumeError missing or not-permitted. */
export function adoptDirectory(room: VolumeRoom, directory: string): Adoption {
  const volumes = listVolumes(room);
  const names = new Set(volumes.map(({ name }) => name));
  const paths = new Set(volumes.map(({ path }) => path));
  const adopted: VolumeRecord[] = [];
  const skipped: { path: string; why: string }[] = [];
  for (const fileName of entries(directory)) {
    const path = join(resolve(directory), fileName);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined || !stat.isFile()) continue;
    const name = nameOfAlbatrossFile(fileName, stat.size);
    if (paths.has(path)) skipped.push({ path, why: "is a volume already" });
    else if (name === undefined) skipped.push({ path, why: "isn't a block device of albatross" });
    else if (names.has(name)) skipped.push({ path, why: `another volume is named ${name}` });
    else {
      names.add(name);
      const createdAt = Math.floor(stat.mtimeMs);
      adopted.push({ name, size: stat.size, createdAt, path, origin: "adopted" });
    }
  }
  recordVolumes(room.db, adopted);
  return { adopted, skipped };
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    throw explainIo(error, "can't adopt volumes", directory);
  }
}
