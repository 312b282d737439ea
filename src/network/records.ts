/** What robur knows of its networks. The kernel is made to agree with this: see plan.ts. */

export type NetworkMode = "nat" | "bridged" | "routed" | "isolated";
export const MODES: readonly NetworkMode[] = ["nat", "bridged", "routed", "isolated"];

export type Protocol = "tcp" | "udp";

/** A route of `ip -j route`, as far as it is moved with its interface. */
export interface Route {
  readonly dst: string;
  readonly gateway?: string;
  readonly metric?: number;
}

/** What the host's interface had before it became a port of a bridge. */
export interface Moved {
  readonly mac: string;
  readonly addresses: readonly {
    /** With prefix length. */
    readonly address: string;
    readonly broadcast?: string;
  }[];
  readonly routes: readonly Route[];
}

export interface NetworkRecord {
  readonly name: string;
  readonly mode: NetworkMode;
  readonly bridge: string;
  /** The bridge is somebody else's: taps are attached to it, and nothing of it is changed. */
  readonly adopted: boolean;
  /** Made because a unikernel needed it: its bridge exists while a unikernel is on it. */
  readonly onDemand: boolean;
  /** The host's address on the bridge with its prefix length, `10.0.42.1/24`. */
  readonly ipv4: string | null;
  readonly ipv6: string | null;
  /** bridged: the host's interface that is a port of the bridge. */
  readonly uplink: string | null;
  readonly moved: Moved | null;
  /** bridged: milliseconds since 1970 at which it is taken back; null once somebody confirmed it. */
  readonly confirmBy: number | null;
  readonly createdAt: number;
}

export interface LeaseRecord {
  readonly unikernel: string;
  /** The device's name in the manifest; `dhcp` for a host that robur didn't start. */
  readonly device: string;
  readonly network: string;
  readonly mac: string;
  readonly ipv4: string | null;
  readonly ipv6: string | null;
  /** Milliseconds since 1970. */
  readonly usedAt: number;
  readonly expiresAt: number | null;
}

/** A process for whose life something was made. */
export interface Owner {
  readonly pid: number;
  /** Start time in ticks and the boot's id, so that no other process of this number is taken for it. */
  readonly start: string;
}

export interface TapRecord {
  readonly tap: string;
  readonly unikernel: string;
  readonly device: string;
  readonly network: string;
  readonly owner: Owner;
}

export interface PortRecord {
  readonly protocol: Protocol;
  /** Empty: all addresses of the host. */
  readonly address: string;
  readonly hostPort: number;
  readonly unikernel: string;
  readonly device: string;
  readonly network: string;
  readonly guestPort: number;
  /** Published by name, until it is unpublished; otherwise it goes with the tap. */
  readonly kept: boolean;
}

/** A kernel setting of the whole machine that was changed, in the boot of that id. */
export interface SysctlRecord {
  /** Below /proc/sys, with slashes. */
  readonly path: string;
  readonly before: string;
  readonly boot: string;
}

export interface Records {
  readonly networks: readonly NetworkRecord[];
  readonly leases: readonly LeaseRecord[];
  readonly taps: readonly TapRecord[];
  readonly ports: readonly PortRecord[];
  readonly sysctls: readonly SysctlRecord[];
}

export const NO_RECORDS: Records = { networks: [], leases: [], taps: [], ports: [], sysctls: [] };

/** The network of that name. */
export function networkOf(records: Records, name: string): NetworkRecord | undefined {
  return records.networks.find((network) => network.name === name);
}

/** The lease of a unikernel's device. */
export function leaseOf(records: Records, unikernel: string, device: string): LeaseRecord | undefined {
  return records.leases.find((lease) => lease.unikernel === unikernel && lease.device === device);
}

/** Whether the network is to exist in the kernel: one made on demand does while a unikernel is on it. */
export function isActive(records: Records, network: NetworkRecord): boolean {
  return !network.onDemand || records.taps.some((tap) => tap.network === network.name);
}
