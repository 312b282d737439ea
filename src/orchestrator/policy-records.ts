/** Policies in the database. The server keeps them in memory; commands that work beside it look at them here. */
import type { Database } from "bun:sqlite";
import { write } from "../db/open.ts";
import type { Policy, PolicyPath } from "./api.ts";

interface Row {
  path: string;
  unikernels: number;
  memory_mb: number;
  cpus: string;
  block_mb: number | null;
  bridges: string;
}

export function readPolicies(db: Database): Map<PolicyPath, Policy> {
  const rows = db.query<Row, []>("SELECT * FROM policy ORDER BY path").all();
  return new Map(rows.map((row) => [row.path as PolicyPath, toPolicy(row)]));
}

/** Throws DatabaseError. */
export function recordPolicy(db: Database, path: PolicyPath, policy: Policy): void {
  const { unikernels, memoryMb, cpus, blockMb, bridges } = policy;
  write(db, () =>
    db
      .query<unknown, (string | number | null)[]>("INSERT OR REPLACE INTO policy VALUES (?, ?, ?, ?, ?, ?)")
      .run(path, unikernels, memoryMb, JSON.stringify(cpus), blockMb, JSON.stringify(bridges)),
  );
}

/** Throws DatabaseError. */
export function forgetPolicy(db: Database, path: PolicyPath): void {
  write(db, () => db.query("DELETE FROM policy WHERE path = ?").run(path));
}

function toPolicy(row: Row): Policy {
  return {
    unikernels: row.unikernels,
    memoryMb: row.memory_mb,
    cpus: JSON.parse(row.cpus) as number[],
    blockMb: row.block_mb,
    bridges: JSON.parse(row.bridges) as string[],
  };
}
