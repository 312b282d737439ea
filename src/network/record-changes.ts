/** Changes to the records as values: applied to what was read, written to the database, or found between two states. */
import type { LeaseRecord, NetworkRecord, PortRecord, Records, SysctlRecord, TapRecord } from "./records.ts";

type DeviceKey = Pick<LeaseRecord, "unikernel" | "device">;
type PortKey = Pick<PortRecord, "protocol" | "address" | "hostPort">;

/** What is to be written at once; what is left out stays as it is. */
export interface Changes {
  readonly putNetworks?: readonly NetworkRecord[];
  readonly dropNetworks?: readonly string[];
  readonly putLeases?: readonly LeaseRecord[];
  readonly dropLeases?: readonly DeviceKey[];
  readonly putTaps?: readonly TapRecord[];
  readonly dropTaps?: readonly string[];
  readonly putPorts?: readonly PortRecord[];
  readonly dropPorts?: readonly PortKey[];
  readonly putSysctls?: readonly SysctlRecord[];
  readonly dropSysctls?: readonly string[];
}

export const isSameDevice = (a: DeviceKey, b: DeviceKey) =>
  a.unikernel === b.unikernel && a.device === b.device;
export const isSamePort = (a: PortKey, b: PortKey) =>
  a.protocol === b.protocol && a.address === b.address && a.hostPort === b.hostPort;

/** The records after changes, as the database has them: what refers to a network goes with it. */
export function applyChanges(records: Records, changes: Changes): Records {
  const { dropNetworks = [], dropTaps = [], dropLeases = [], dropPorts = [], dropSysctls = [] } = changes;
  const isGone = ({ network }: { network: string }) => dropNetworks.includes(network);
  return {
    networks: replace(
      records.networks.filter(({ name }) => !dropNetworks.includes(name)),
      changes.putNetworks,
      (a, b) => a.name === b.name,
    ),
    leases: replace(
      records.leases.filter((lease) => !isGone(lease) && !dropLeases.some((key) => isSameDevice(key, lease))),
      changes.putLeases,
      isSameDevice,
    ),
    taps: replace(
      records.taps.filter((tap) => !isGone(tap) && !dropTaps.includes(tap.tap)),
      changes.putTaps,
      (a, b) => a.tap === b.tap || isSameDevice(a, b),
    ),
    ports: replace(
      records.ports.filter((port) => !isGone(port) && !dropPorts.some((key) => isSamePort(key, port))),
      changes.putPorts,
      isSamePort,
    ),
    sysctls: replace(
      records.sysctls.filter(({ path }) => !dropSysctls.includes(path)),
      changes.putSysctls,
      (a, b) => a.path === b.path,
    ),
  };
}

function replace<T>(old: readonly T[], put: readonly T[] = [], isSame: (a: T, b: T) => boolean): T[] {
  return [...old.filter((item) => !put.some((other) => isSame(other, item))), ...put];
}

/** What turns `from` into `to`. */
export function changesBetween(from: Records, to: Records): Changes {
  return {
    dropNetworks: missing(from.networks, to.networks, (a, b) => a.name === b.name).map(({ name }) => name),
    putNetworks: to.networks,
    dropTaps: missing(from.taps, to.taps, (a, b) => a.tap === b.tap).map(({ tap }) => tap),
    putTaps: to.taps,
    dropLeases: missing(from.leases, to.leases, isSameDevice),
    putLeases: to.leases,
    dropPorts: missing(from.ports, to.ports, isSamePort),
    putPorts: to.ports,
    dropSysctls: missing(from.sysctls, to.sysctls, (a, b) => a.path === b.path).map(({ path }) => path),
    putSysctls: to.sysctls,
  };
}

function missing<T>(from: readonly T[], to: readonly T[], isSame: (a: T, b: T) => boolean): T[] {
  return from.filter((item) => !to.some((other) => isSame(other, item)));
}
