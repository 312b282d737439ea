/** The networks of a data directory. */
import { mkdirSync, realpathSync } from "node:fs";
import { databasePath, openDatabase } from "../db/open.ts";
import { Networks } from "./networks.ts";

export interface OpenNetworks extends Disposable {
  readonly networks: Networks;
  /** The data directory's real path. */
  readonly home: string;
}

/** Opens them; the directory is made if need be. Throws DatabaseError. */
export function openNetworks(dataDirectory: string): OpenNetworks {
  mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
  const home = realpathSync(dataDirectory);
  const db = openDatabase(databasePath(home));
  return { networks: new Networks(db, home), home, [Symbol.dispose]: () => db.close() };
}
