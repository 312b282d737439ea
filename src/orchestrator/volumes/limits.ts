/**
 * What the policies of a volume's path leave for it. Looked up in the database, so that they bind whoever makes
 * volumes: the server, and commands that work beside it.
 */
import { MIB } from "../../lib/units.ts";
import type { PolicyPath } from "../api.ts";
import { ROOT_PATH, parsePath } from "../names.ts";
import { USUAL_RULES, bindingPolicies, checkVolume, usedWithin } from "../policies.ts";
import { readPolicies } from "../policy-records.ts";
import { type VolumeRoom, listVolumes } from "./inventory.ts";
import { VolumeError } from "./volume-error.ts";

/** The path that a volume belongs to: its name begins with it. */
export function pathOfVolume(name: string): PolicyPath {
  return parsePath(name.slice(0, Math.max(0, name.lastIndexOf(":")))) ?? ROOT_PATH;
}

/** MiB of volumes by path, of their sizes in MiB by name. */
export function volumesByPath(sizes: ReadonlyMap<string, number>): Map<PolicyPath, number> {
  const byPath = new Map<PolicyPath, number>();
  for (const [name, size] of sizes) {
    const path = pathOfVolume(name);
    byPath.set(path, (byPath.get(path) ?? 0) + size);
  }
  return byPath;
}

/** What bytes of a volume count, in MiB: policies know no smaller unit. */
export function countedSize(bytes: number): number {
  return Math.ceil(bytes / MIB);
}

/** All volumes but this one. */
function usedByOthers(room: VolumeRoom, name: string): Map<PolicyPath, number> {
  const others = listVolumes(room).filter((volume) => volume.name !== name);
  return volumesByPath(new Map(others.map((volume) => [volume.name, countedSize(volume.size)])));
}

/** How many bytes a volume can have at most; Infinity where no policy says. */
export function limitOf(room: VolumeRoom, name: string): number {
  const binding = bindingPolicies(readPolicies(room.db), pathOfVolume(name), USUAL_RULES);
  if (binding.length === 0) return Infinity;
  const used = usedByOthers(room, name);
  const left = binding.map(([path, { blockMb }]) => (blockMb ?? 0) - usedWithin(path, [], used).blockMb);
  return Math.max(0, Math.min(...left)) * MIB;
}

/** Whether a volume may be made that has, or become larger and have, `size` bytes. Throws VolumeError over-policy. */
export function checkLimit(room: VolumeRoom, name: string, size: number): void {
  const policies = readPolicies(room.db);
  const path = pathOfVolume(name);
  if (bindingPolicies(policies, path, USUAL_RULES).length === 0) return;
  const used = usedByOthers(room, name);
  const refusal = checkVolume(policies, path, countedSize(size), used, USUAL_RULES);
  if (refusal === undefined) return;
  throw new VolumeError("over-policy", `volume ${name} can't have ${countedSize(size)} MiB`, {
    why: refusal.message,
    hint: "robur policy ls",
  });
}
