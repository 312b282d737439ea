/** What the database says of volumes. The files are the truth: see inventory.ts. */
import type { Database } from "bun:sqlite";
import { write } from "../../db/open.ts";

export interface VolumeRecord {
  readonly name: string;
  /** Bytes, when robur last wrote it. */
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** Relative to the data directory, or absolute where the file was adopted. */
  readonly path: string;
  /** `empty`, `stdin`, `file:PATH`, `volume:NAME`, `adopted`, or `found`. */
  readonly origin: string;
}

const COLUMNS = "name, size, created_at AS createdAt, path, origin";

export function readRecords(db: Database): VolumeRecord[] {
  return db.query<VolumeRecord, []>(`SELECT ${COLUMNS} FROM volume ORDER BY name`).all();
}

/** Records volumes, all of them or none; what was recorded under their names is replaced. */
export function recordVolumes(db: Database, records: readonly VolumeRecord[]): void {
  const statement = db.query(
    `INSERT INTO volume (name, size, created_at, path, origin) VALUES ($name, $size, $createdAt, $path, $origin)
     ON CONFLICT (name) DO UPDATE SET size = excluded.size, created_at = excluded.created_at,
       path = excluded.path, origin = excluded.origin`,
  );
  write(db, () => {
    for (const { name, size, createdAt, path, origin } of records) {
      statement.run({ name, size, createdAt, path, origin });
    }
  });
}

export function forgetVolume(db: Database, name: string): void {
  write(db, () => db.query("DELETE FROM volume WHERE name = ?").run(name));
}
