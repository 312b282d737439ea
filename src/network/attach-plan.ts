/**
 * Which network each device of a unikernel is put on, and with which addresses. Pure: what comes out are changes
 * to the records; the kernel follows from them.
 */
import {
  addressIn,
  cidr,
  contains,
  formatAddress,
  freeAddress,
  freeRange,
  isGuestAddress,
  parseAddress,
  rangeOf,
  type Cidr,
} from "./addresses.ts";
import { DEFAULT_NETWORK, bridgeName, checkNetworkName, freeTapName, unikernelMac } from "./names.ts";
import { NetworkError } from "./network-error.ts";
import { type PortSpec, collide } from "./ports.ts";
import {
  type LeaseRecord,
  type NetworkRecord,
  type Owner,
  type PortRecord,
  type Records,
  type TapRecord,
  leaseOf,
} from "./records.ts";
import { type Changes, isSameDevice as isSame } from "./record-changes.ts";

/** A device of a unikernel and where it is to be. */
export interface DeviceWish {
  /** Its name in the manifest. */
  readonly device: string;
  /** A network's name; undefined: chosen by the device's name. */
  readonly network?: string | undefined;
  /** An address that it must have, because the unikernel was told so by its arguments. */
  readonly ipv4?: string | undefined;
  readonly mac?: string | undefined;
}

export interface AttachRequest {
  readonly unikernel: string;
  readonly devices: readonly DeviceWish[];
  /** Published on the first device. */
  readonly ports: readonly PortSpec[];
  readonly owner: Owner;
}

export interface AttachContext {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Ranges that routes and interfaces have. */
  readonly used: readonly Cidr[];
  /** Names of interfaces that exist. */
  readonly interfaces: ReadonlySet<string>;
  /** Bridges that are there and no network's: a device may be put on one by its name. */
  readonly bridges: ReadonlySet<string>;
}

/** A device on a network, as its unikernel and its tender must know it. */
export interface Attached {
  readonly device: string;
  readonly network: string;
  readonly tap: string;
  readonly mac: string;
  /** With the network's prefix length; null where the network gives no addresses. */
  readonly ipv4: string | null;
  readonly ipv4Gateway: string | null;
  readonly ipv6: string | null;
  readonly ipv6Gateway: string | null;
}

export interface AttachPlan {
  readonly changes: Changes;
  readonly attached: readonly Attached[];
  /** Networks that are made for this. */
  readonly made: readonly NetworkRecord[];
}

/** Throws NetworkError: missing, bad-name, bad-range, exhausted, in-use. */
export function planAttach(records: Records, request: AttachRequest, context: AttachContext): AttachPlan {
  const { unikernel } = request;
  const networks = [...records.networks];
  const dropped: LeaseRecord[] = [];
  let leases = [...records.leases];
  const names = new Set([...context.interfaces, ...records.taps.map(({ tap }) => tap)]);
  const made: NetworkRecord[] = [];
  const putLeases: LeaseRecord[] = [];
  const putTaps: TapRecord[] = [];
  const attached: Attached[] = [];
  for (const [i, wish] of request.devices.entries()) {
    const name = wish.network ?? networkForDevice(networks, wish.device, i);
    let network = networks.find((known) => known.name === name);
    if (network === undefined) {
      const isDefault = name === DEFAULT_NETWORK;
      const isBridge = wish.network !== undefined && context.bridges.has(name);
      if (wish.network !== undefined && !isDefault && !isBridge) throw noNetwork(name, records);
      network = isBridge
        ? adoptedNetwork(name, context.now)
        : newNetwork(name, isDefault ? "nat" : "isolated", networks, context);
      networks.push(network);
      made.push(network);
    }
    const given = planLease({ ...records, leases }, network, unikernel, wish, context.now);
    dropped.push(...given.dropped);
    leases = leases.filter((lease) => !isSame(lease, given.lease) && !given.dropped.includes(lease));
    leases.push(given.lease);
    putLeases.push(given.lease);
    const tap = freeTapName(names);
    names.add(tap);
    putTaps.push({ tap, unikernel, device: wish.device, network: network.name, owner: request.owner });
    attached.push(describe(network, given.lease, tap));
  }
  const putPorts = planPorts(request, attached);
  return {
    changes: { putNetworks: made, dropLeases: dropped, putLeases, putTaps, putPorts },
    attached,
    made,
  };
}

/** Whether a device is for a network that no record has: it is made then, or it is a bridge of somebody else's. */
export function needsNewNetwork({ networks }: Records, { devices }: AttachRequest): boolean {
  return devices.some(({ device, network }, i) => {
    const name = network ?? networkForDevice(networks, device, i);
    return !networks.some((known) => known.name === name);
  });
}

/** A network of the device's own name, else `service` for the first device, else a network made for that name. */
function networkForDevice(networks: readonly NetworkRecord[], device: string, index: number): string {
  const name = device.toLowerCase();
  if (networks.some((network) => network.name === name)) return name;
  return index === 0 ? DEFAULT_NETWORK : name;
}

function noNetwork(name: string, records: Records): NetworkError {
  const known = records.networks.map((network) => network.name).join(", ");
  return new NetworkError("missing", `there is no network ${name}`, {
    why: known === "" ? "there are none yet" : `there are: ${known}`,
    hint: `robur network create ${name}`,
  });
}

/** A bridge of somebody else's, used as it is. */
function adoptedNetwork(bridge: string, now: number): NetworkRecord {
  return {
    ...{ name: bridge, mode: "bridged", bridge, adopted: true, onDemand: true, ipv4: null, ipv6: null },
    ...{ uplink: null, moved: null, confirmBy: null, createdAt: now },
  };
}

/** A network for a unikernel that needs it. Throws NetworkError exhausted or bad-name. */
export function newNetwork(
  name: string,
  mode: "nat" | "isolated",
  networks: readonly NetworkRecord[],
  { now, used }: Pick<AttachContext, "now" | "used">,
): NetworkRecord {
  checkNetworkName(name);
  const others = networks.flatMap(({ ipv4 }) => (ipv4 === null ? [] : [cidr(ipv4)]));
  const ipv4 = freeRange([...used, ...others]);
  if (ipv4 === undefined) {
    throw new NetworkError("exhausted", "no private range is free", {
      why: "routes of this machine cover all of 10/8, 172.16/12 and 192.168/16",
      hint: `robur network create ${name} --ipv4 ADDRESS/LENGTH`,
    });
  }
  return {
    name,
    mode,
    bridge: bridgeName(name),
    adopted: false,
    onDemand: true,
    ipv4,
    ipv6: null,
    uplink: null,
    moved: null,
    confirmBy: null,
    createdAt: now,
  };
}

interface GivenLease {
  readonly lease: LeaseRecord;
  /** Leases of others that had to give way: nobody uses them. */
  readonly dropped: readonly LeaseRecord[];
}

/** The lease that the device had, or a new one. Throws NetworkError bad-range, in-use or exhausted. */
export function planLease(
  records: Records,
  network: NetworkRecord,
  unikernel: string,
  { device, ipv4: wanted, mac }: DeviceWish,
  now: number,
  expiresAt: number | null = null,
): GivenLease {
  const before = leaseOf(records, unikernel, device);
  const kept = before?.network === network.name ? before : undefined;
  const others = records.leases.filter(
    (lease) => lease.network === network.name && !isSame(lease, { unikernel, device }),
  );
  const base = {
    unikernel,
    device,
    network: network.name,
    mac: mac ?? unikernelMac(unikernel, device),
    usedAt: now,
    expiresAt,
  };
  const isUsed = (lease: LeaseRecord) =>
    records.taps.some((tap) => isSame(tap, lease)) || (lease.expiresAt ?? 0) > now;
  if (network.ipv4 === null) {
    return { lease: { ...base, ipv4: wanted ?? null, ipv6: kept?.ipv6 ?? null }, dropped: [] };
  }
  const range = cidr(network.ipv4);
  const dropped: LeaseRecord[] = [];
  let ipv4 = wanted ?? kept?.ipv4 ?? undefined;
  if (wanted !== undefined) {
    checkWanted(wanted, range, network);
    const holder = others.find((lease) => lease.ipv4 === wanted);
    if (holder !== undefined && isUsed(holder)) {
      throw new NetworkError("in-use", `${wanted} is the address of the unikernel ${holder.unikernel}`, {
        hint: "leave --ipv4 out: the address is chosen then",
      });
    }
    if (holder !== undefined) dropped.push(holder);
  }
  ipv4 ??= freeAddress(range, new Set(others.map((lease) => lease.ipv4 ?? "")));
  if (ipv4 === undefined) {
    const idle = others.filter((lease) => !isUsed(lease)).sort((a, b) => a.usedAt - b.usedAt)[0];
    if (idle === undefined) {
      throw new NetworkError("exhausted", `no address is free on the network ${network.name}`, {
        why: `all of ${network.ipv4} are in use`,
      });
    }
    dropped.push(idle);
    ipv4 = idle.ipv4!;
  }
  const ipv6 = network.ipv6 === null ? null : (kept?.ipv6 ?? ipv6For(network.ipv6, range, ipv4));
  return { lease: { ...base, ipv4, ipv6 }, dropped };
}

function checkWanted(wanted: string, range: Cidr, network: NetworkRecord): void {
  const address = parseAddress(wanted);
  if (address !== undefined && isGuestAddress(range, address)) return;
  throw new NetworkError("bad-range", `${wanted} can't be an address on the network ${network.name}`, {
    why: `the network is ${network.ipv4}, whose address is this host's`,
    hint: "leave --ipv4 out: the address is chosen then",
  });
}

/** The same place in its range as the IPv4 address has. */
function ipv6For(host: string, range: Cidr, ipv4: string): string {
  const place = parseAddress(ipv4)!.value - rangeOf(range).value;
  return formatAddress(addressIn(cidr(host), place));
}

function describe(network: NetworkRecord, lease: LeaseRecord, tap: string): Attached {
  const { ipv4, ipv6 } = network;
  // On a bridge of somebody else's an address was said, so that the unikernels have a way out.
  const hasRouter = network.mode !== "isolated";
  const withLength = (address: string | null, range: string | null) =>
    address === null || range === null || !contains(cidr(range), parseAddress(address)!)
      ? null
      : `${address}/${cidr(range).length}`;
  const gateway = (range: string | null) =>
    range === null || !hasRouter ? null : formatAddress(cidr(range));
  return {
    device: lease.device,
    network: network.name,
    tap,
    mac: lease.mac,
    ipv4: withLength(lease.ipv4, ipv4),
    ipv4Gateway: gateway(ipv4),
    ipv6: withLength(lease.ipv6, ipv6),
    ipv6Gateway: gateway(ipv6),
  };
}

/** Throws NetworkError bad-port when two of them collide, or when there is no device to publish. */
function planPorts(request: AttachRequest, attached: readonly Attached[]): PortRecord[] {
  const [first] = attached;
  for (const [i, port] of request.ports.entries()) {
    if (request.ports.slice(0, i).some((other) => collide(other, port))) {
      throw new NetworkError("bad-port", `port ${port.hostPort}/${port.protocol} is published twice`);
    }
  }
  if (first === undefined) {
    if (request.ports.length === 0) return [];
    throw new NetworkError("bad-port", "a port can't be published: the unikernel has no network device");
  }
  const { device, network } = first;
  return request.ports.map((port) => ({
    ...port,
    unikernel: request.unikernel,
    device,
    network,
    kept: false,
  }));
}

/** What goes with a unikernel: taps, and the ports that were published for its run. The leases stay. */
export function planDetach(records: Records, isGone: (tap: TapRecord) => boolean): Changes {
  const gone = records.taps.filter(isGone);
  const ports = records.ports.filter((port) => !port.kept && gone.some((tap) => isSame(tap, port)));
  return { dropTaps: gone.map(({ tap }) => tap), dropPorts: ports };
}
