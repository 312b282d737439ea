/** Unikernels in the database. All of them are in memory as well: what is read often is read there. */
import type { Database } from "bun:sqlite";
import type { NetworkView, Sha256, UnikernelConfig, UnikernelId, UnikernelName } from "./api.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { ProcessRecord } from "./process/identity.ts";

/** The process of a unikernel and what it was given at its start. */
export interface RunRecord extends ProcessRecord {
  /** Its name at its start, by which it is known to whatever it was given. */
  readonly name: UnikernelName;
  readonly image: Sha256;
  /** The configuration of its start: what runs, whatever was changed since. */
  readonly config: UnikernelConfig;
  readonly cpus: readonly number[] | null;
  readonly networks: readonly NetworkView[];
  /** `--name` was given. */
  readonly isNamed: boolean;
  /** Where its console began. */
  readonly consoleStart: number;
}

export interface UnikernelRecord {
  readonly id: UnikernelId;
  readonly name: UnikernelName;
  readonly image: Sha256;
  readonly createdAt: number;
  readonly config: UnikernelConfig;
  readonly lifecycle: Lifecycle;
  readonly run: RunRecord | null;
}

interface Row {
  id: string;
  name: string;
  image: string;
  created_at: number;
  config: string;
  lifecycle: string;
  process: string | null;
}

/** Every unikernel, by name. */
export function readUnikernels(db: Database): UnikernelRecord[] {
  return db.query<Row, []>("SELECT * FROM unikernel ORDER BY name").all().map(toRecord);
}

function toRecord(row: Row): UnikernelRecord {
  return {
    id: row.id as UnikernelId,
    name: row.name as UnikernelName,
    image: row.image as Sha256,
    createdAt: row.created_at,
    config: JSON.parse(row.config) as UnikernelConfig,
    lifecycle: JSON.parse(row.lifecycle) as Lifecycle,
    run: row.process === null ? null : (JSON.parse(row.process) as RunRecord),
  };
}

/** Writes one, new or changed. Within a write transaction of the caller's. */
export function putUnikernel(db: Database, record: UnikernelRecord): void {
  db.query<unknown, (string | number | null)[]>(
    `INSERT INTO unikernel (id, name, image, created_at, config, lifecycle, process) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET name = excluded.name, image = excluded.image, config = excluded.config,
       lifecycle = excluded.lifecycle, process = excluded.process`,
  ).run(
    record.id,
    record.name,
    record.image,
    record.createdAt,
    JSON.stringify(record.config),
    JSON.stringify(record.lifecycle),
    record.run === null ? null : JSON.stringify(record.run),
  );
}

/** Deletes one, with its console's and statistics' rows. Within a write transaction of the caller's. */
export function deleteUnikernel(db: Database, id: UnikernelId): void {
  db.query("DELETE FROM unikernel WHERE id = ?").run(id);
}
