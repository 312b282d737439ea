/** Data directories with a database and volumes in them, for the tests of backups. */
import type { Database } from "bun:sqlite";
import { ftruncateSync, mkdirSync, mkdtempSync, openSync, closeSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { databasePath, openDatabase, write } from "../../../src/db/open.ts";

export class Room implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "robur-backup-"));
  readonly data = join(this.path, "data");
  readonly database = databasePath(this.data);
  readonly db: Database;

  constructor() {
    this.db = openDatabase(this.database);
  }

  file(...names: string[]): string {
    return join(this.path, ...names);
  }

  /** A setting of this name; `bytes` makes the database large. */
  put(key: string, bytes = 0): void {
    const value = JSON.stringify(
      bytes === 0 ? key : Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString("hex"),
    );
    write(this.db, () => this.db.query("INSERT OR REPLACE INTO setting VALUES (?, ?)").run(key, value));
  }

  /** Makes a volume of `size` bytes that begins with `text`; the rest is a hole. */
  volume(name: string, text: string, size = 1024 * 1024): string {
    mkdirSync(join(this.data, "volumes"), { recursive: true });
    const path = join(this.data, "volumes", `${name}.img`);
    writeFileSync(path, text);
    const fd = openSync(path, "r+");
    ftruncateSync(fd, size);
    closeSync(fd);
    return path;
  }

  [Symbol.dispose](): void {
    this.db.close();
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** The keys of the settings in a database. */
export function keysIn(path: string): string[] {
  using db = openDatabase(path);
  return db
    .query<{ key: string }, []>("SELECT key FROM setting ORDER BY key")
    .all()
    .map(({ key }) => key);
}

/** What a promise fails with. */
export async function failure(
  work: Promise<unknown>,
): Promise<Error & { code: string; why?: string; hint?: string }> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Error && "code" in error) return error as Error & { code: string };
    throw error;
  }
  throw new Error("it did not fail");
}
