/** The records of networks in the database. Each function is one statement or one transaction. */
import type { Database } from "bun:sqlite";
import { write } from "../db/open.ts";
import type { Changes } from "./record-changes.ts";
import type {
  LeaseRecord,
  Moved,
  NetworkMode,
  NetworkRecord,
  PortRecord,
  Protocol,
  Records,
  SysctlRecord,
  TapRecord,
} from "./records.ts";

interface NetworkRow {
  name: string;
  mode: NetworkMode;
  bridge: string;
  adopted: number;
  on_demand: number;
  ipv4: string | null;
  ipv6: string | null;
  uplink: string | null;
  moved: string | null;
  confirm_by: number | null;
  created_at: number;
}

interface LeaseRow {
  unikernel: string;
  device: string;
  network: string;
  mac: string;
  ipv4: string | null;
  ipv6: string | null;
  used_at: number;
  expires_at: number | null;
}

interface TapRow {
  tap: string;
  unikernel: string;
  device: string;
  network: string;
  owner_pid: number;
  owner_start: string;
}

interface PortRow {
  protocol: Protocol;
  address: string;
  host_port: number;
  unikernel: string;
  device: string;
  network: string;
  guest_port: number;
  kept: number;
}

/** Everything, as one moment saw it. */
export function readRecords(db: Database): Records {
  return db.transaction((): Records => {
    return {
      networks: db.query<NetworkRow, []>("SELECT * FROM network ORDER BY name").all().map(toNetwork),
      leases: db
        .query<LeaseRow, []>("SELECT * FROM network_lease ORDER BY unikernel, device")
        .all()
        .map(toLease),
      taps: db.query<TapRow, []>("SELECT * FROM network_tap ORDER BY tap").all().map(toTap),
      ports: db
        .query<PortRow, []>("SELECT * FROM network_port ORDER BY protocol, host_port, address")
        .all()
        .map(toPort),
      sysctls: db.query<SysctlRecord, []>("SELECT * FROM network_sysctl ORDER BY path").all(),
    };
  })();
}

function toNetwork(row: NetworkRow): NetworkRecord {
  return {
    name: row.name,
    mode: row.mode,
    bridge: row.bridge,
    adopted: row.adopted === 1,
    onDemand: row.on_demand === 1,
    ipv4: row.ipv4,
    ipv6: row.ipv6,
    uplink: row.uplink,
    moved: row.moved === null ? null : (JSON.parse(row.moved) as Moved),
    confirmBy: row.confirm_by,
    createdAt: row.created_at,
  };
}

function toLease({ used_at, expires_at, ...row }: LeaseRow): LeaseRecord {
  return { ...row, usedAt: used_at, expiresAt: expires_at };
}

function toTap({ owner_pid, owner_start, ...row }: TapRow): TapRecord {
  return { ...row, owner: { pid: owner_pid, start: owner_start } };
}

function toPort({ host_port, guest_port, kept, ...row }: PortRow): PortRecord {
  return { ...row, hostPort: host_port, guestPort: guest_port, kept: kept === 1 };
}

/** Writes changes in one transaction; removals come first. Throws DatabaseError. */
export function writeRecords(db: Database, changes: Changes): void {
  write(db, () => {
    for (const name of changes.dropNetworks ?? []) run(db, "DELETE FROM network WHERE name = ?", name);
    for (const tap of changes.dropTaps ?? []) run(db, "DELETE FROM network_tap WHERE tap = ?", tap);
    for (const { unikernel, device } of changes.dropLeases ?? []) {
      run(db, "DELETE FROM network_lease WHERE unikernel = ? AND device = ?", unikernel, device);
    }
    for (const { protocol, address, hostPort } of changes.dropPorts ?? []) {
      const where = "protocol = ? AND address = ? AND host_port = ?";
      run(db, `DELETE FROM network_port WHERE ${where}`, protocol, address, hostPort);
    }
    for (const path of changes.dropSysctls ?? []) run(db, "DELETE FROM network_sysctl WHERE path = ?", path);
    for (const network of changes.putNetworks ?? []) putNetwork(db, network);
    for (const lease of changes.putLeases ?? []) putLease(db, lease);
    for (const { tap, unikernel, device, network, owner } of changes.putTaps ?? []) {
      put(db, "network_tap", [tap, unikernel, device, network, owner.pid, owner.start]);
    }
    for (const port of changes.putPorts ?? []) putPort(db, port);
    for (const { path, before, boot } of changes.putSysctls ?? []) {
      put(db, "network_sysctl", [path, before, boot]);
    }
  });
}

type Value = string | number | null;

function run(db: Database, sql: string, ...values: Value[]): void {
  db.query<unknown, Value[]>(sql).run(...values);
}

/** Replacing a network would take what refers to it along, so that is an update. */
function putNetwork(db: Database, network: NetworkRecord): void {
  const { name, mode, bridge, adopted, onDemand, ipv4, ipv6, uplink, moved, confirmBy, createdAt } = network;
  run(
    db,
    `INSERT INTO network VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (name) DO UPDATE SET mode = excluded.mode, bridge = excluded.bridge, adopted = excluded.adopted,
       on_demand = excluded.on_demand, ipv4 = excluded.ipv4, ipv6 = excluded.ipv6, uplink = excluded.uplink,
       moved = excluded.moved, confirm_by = excluded.confirm_by`,
    ...[name, mode, bridge, Number(adopted), Number(onDemand), ipv4, ipv6, uplink],
    moved === null ? null : JSON.stringify(moved),
    ...[confirmBy, createdAt],
  );
}

function putLease(db: Database, lease: LeaseRecord): void {
  const { unikernel, device, network, mac, ipv4, ipv6, usedAt, expiresAt } = lease;
  put(db, "network_lease", [unikernel, device, network, mac, ipv4, ipv6, usedAt, expiresAt]);
}

function putPort(db: Database, port: PortRecord): void {
  const { protocol, address, hostPort, unikernel, device, network, guestPort, kept } = port;
  put(db, "network_port", [protocol, address, hostPort, unikernel, device, network, guestPort, Number(kept)]);
}

function put(db: Database, table: string, values: readonly Value[]): void {
  run(db, `INSERT OR REPLACE INTO ${table} VALUES (${values.map(() => "?").join(", ")})`, ...values);
}
