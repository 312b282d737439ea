/** A data directory for tests of volumes, and what they are filled with. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { databasePath, openDatabase } from "../../../src/db/open.ts";
import type { VolumeRoom } from "../../../src/orchestrator/volumes/inventory.ts";
import { VolumeError } from "../../../src/orchestrator/volumes/volume-error.ts";

export const MIB = 1024 * 1024;
export const PROJECT = join(import.meta.dir, "../../..");

/** Goes with its test. */
export class TestRoom implements VolumeRoom, Disposable {
  readonly dataDirectory = mkdtempSync(join(tmpdir(), "robur-volumes-"));
  readonly db = openDatabase(databasePath(this.dataDirectory));
  readonly volumes = join(this.dataDirectory, "volumes");

  path(name: string): string {
    return join(this.dataDirectory, name);
  }

  /** What lies in the directory of volumes, hidden files too. */
  files(): string[] {
    return existsSync(this.volumes) ? readdirSync(this.volumes).sort() : [];
  }

  content(name: string): Buffer {
    return readFileSync(join(this.volumes, `${name}.img`));
  }

  [Symbol.dispose](): void {
    this.db.close();
    rmSync(this.dataDirectory, { recursive: true, force: true });
  }
}

/** Bytes that nothing packs and no two seeds share, and always the same. */
export function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(Math.ceil(length / 8) * 8);
  const words = new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8);
  let state = BigInt(seed) * 0x9e3779b97f4a7c15n;
  for (let i = 0; i < words.length; i++) {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    words[i] = state ^ (state >> 29n);
  }
  return bytes.subarray(0, length);
}

/** The code of the VolumeError that it fails with; "none" if it doesn't fail. */
export async function failure(action: () => unknown): Promise<VolumeError> {
  try {
    await action();
  } catch (error) {
    if (error instanceof VolumeError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

/** Waits until it is so. Only a test that fails waits long. */
export async function until(isSo: () => boolean): Promise<void> {
  const end = performance.now() + 30_000;
  while (!isSo()) {
    if (performance.now() > end) throw new Error("it never came to that");
    await Bun.sleep(2);
  }
}
