/** Making and removing networks, and publishing ports by name: what `robur network` and the server do. */
import { cidr, formatCidr, freeRange, localIpv6, overlap, parseCidr, rangeOf } from "./addresses.ts";
import { lookAtInterfaces, usedRanges } from "./kernel.ts";
import { bridgeName, checkNetworkName } from "./names.ts";
import { NetworkError } from "./network-error.ts";
import type { Networks } from "./networks.ts";
import { type PortSpec, checkPortFree, collide } from "./ports.ts";
import { runProgram } from "./programs.ts";
import { type NetworkMode, type NetworkRecord, type PortRecord, type Records, networkOf } from "./records.ts";
import { CONFIRM_MS, enslave, lookAtUplink, release } from "./uplink.ts";

export interface NetworkOptions {
  readonly mode: NetworkMode;
  /** The host's address with its prefix length, or a range: then its first address. Default: the next free /24. */
  readonly ipv4?: string | undefined;
  /** The same, or `auto` for a unique local prefix. Default: none. */
  readonly ipv6?: string | undefined;
  /** An existing bridge to use as it is. */
  readonly bridge?: string | undefined;
  /** bridged: the host's interface that becomes a port of the new bridge. */
  readonly uplink?: string | undefined;
}

/**
 * Makes a network. With an uplink it isn't confirmed yet: see `confirmNetwork`. Throws NetworkError exists,
 * bad-name, bad-range, no-bridge, missing, in-use, exhausted.
 */
export async function createNetwork(
  networks: Networks,
  name: string,
  options: NetworkOptions,
): Promise<NetworkRecord> {
  checkNetworkName(name);
  let made: NetworkRecord | undefined;
  await networks.change(async (records) => {
    if (networkOf(records, name) !== undefined) {
      throw new NetworkError("exists", `there is a network ${name}`, {
        hint: `robur network inspect ${name}`,
      });
    }
    made = await planNetwork(networks, records, name, options);
    return { putNetworks: [made] };
  });
  const network = made!;
  if (network.uplink === null) return network;
  try {
    for (const command of enslave(network)) await runProgram(command);
  } catch (error) {
    await removeNetwork(networks, name, true);
    throw error;
  }
  return network;
}

async function planNetwork(
  networks: Networks,
  records: Records,
  name: string,
  { mode, ipv4, ipv6, bridge, uplink }: NetworkOptions,
): Promise<NetworkRecord> {
  const now = Date.now();
  const interfaces = await lookAtInterfaces();
  const base = {
    name,
    mode,
    bridge: bridge ?? bridgeName(name),
    adopted: bridge !== undefined,
    onDemand: false,
    uplink: uplink ?? null,
    moved: null,
    confirmBy: null,
    createdAt: now,
  };
  const there = interfaces.find(({ ifname }) => ifname === base.bridge);
  if (bridge !== undefined) {
    if (there?.linkinfo?.info_kind !== "bridge") {
      throw new NetworkError("no-bridge", `there is no bridge ${bridge}`, {
        why: there === undefined ? "no interface has that name" : "an interface of that name is no bridge",
        hint: "ip -br link show type bridge",
      });
    }
    const owner = records.networks.find((other) => other.bridge === bridge);
    if (owner !== undefined)
      throw new NetworkError("in-use", `${bridge} is the bridge of the network ${owner.name}`);
    return { ...base, ipv4: ipv4 === undefined ? null : hostAddress(ipv4, 4), ipv6: null };
  }
  if (there !== undefined) {
    throw new NetworkError("in-use", `an interface ${base.bridge} is there, and isn't robur's`, {
      hint: `robur network create ${name} --bridge ${base.bridge}`,
    });
  }
  if (mode === "bridged") {
    if (uplink === undefined) {
      throw new NetworkError(
        "no-bridge",
        "a bridged network needs a bridge, or an interface to put into one",
        {
          hint: `robur network create ${name} --mode bridged --bridge br0\nor: --uplink eth0`,
        },
      );
    }
    const moved = await lookAtUplink(uplink, interfaces);
    return { ...base, ipv4: null, ipv6: null, moved, confirmBy: now + CONFIRM_MS };
  }
  const used = [
    ...(await usedRanges()),
    ...records.networks.flatMap(({ ipv4: own }) => (own === null ? [] : [cidr(own)])),
  ];
  return {
    ...base,
    ipv4: ipv4 === undefined ? anyRange(used, name) : checkRange(hostAddress(ipv4, 4), used),
    ipv6:
      ipv6 === undefined
        ? null
        : ipv6 === "auto"
          ? localIpv6(networks.instance, name)
          : checkRange(hostAddress(ipv6, 6), used),
  };
}

function anyRange(used: Parameters<typeof freeRange>[0], name: string): string {
  const found = freeRange(used);
  if (found !== undefined) return found;
  throw new NetworkError("exhausted", "no private range is free", {
    hint: `robur network create ${name} --ipv4 ADDRESS/LENGTH`,
  });
}

/** Longest prefix that leaves room for a host and a guest, and the shortest that makes sense, by family. */
const LENGTHS = { 4: [8, 30], 6: [32, 120] } as const;

/** The host's address for what was given: a range means its first address. Throws NetworkError bad-range. */
function hostAddress(text: string, family: 4 | 6): string {
  const parsed = parseCidr(text);
  const [shortest, longest] = LENGTHS[family];
  if (parsed?.family !== family || parsed.length < shortest || parsed.length > longest) {
    throw new NetworkError("bad-range", `${text} is not a range for a network`, {
      why: `it is an IPv${family} address with a prefix length from ${shortest} to ${longest}`,
      hint: family === 4 ? "--ipv4 10.0.42.1/24" : "--ipv6 fd00:42::1/64",
    });
  }
  const isRange = rangeOf(parsed).value === parsed.value;
  return formatCidr(isRange ? { ...parsed, value: parsed.value + 1n } : parsed);
}

function checkRange(text: string, used: Parameters<typeof freeRange>[0]): string {
  // The default route is in nobody's way.
  const other = used.find((range) => range.length > 0 && overlap(range, cidr(text)));
  if (other === undefined) return text;
  throw new NetworkError("bad-range", `${text} is in use: this machine has a route to ${formatCidr(other)}`, {
    hint: "leave it out: a free one is chosen then",
  });
}

/** The network of that name. Throws NetworkError missing, with the names that there are. */
export function findNetwork(records: Records, name: string): NetworkRecord {
  const found = networkOf(records, name);
  if (found !== undefined) return found;
  const names = records.networks.map((network) => network.name).join(", ");
  throw new NetworkError("missing", `there is no network ${name}`, {
    why: names === "" ? "there are none" : `there are: ${names}`,
  });
}

/** Removes a network; its leases and published ports go with it. Throws NetworkError missing or in-use. */
export async function removeNetwork(networks: Networks, name: string, force = false): Promise<void> {
  await networks.change(async (records) => {
    const network = findNetwork(records, name);
    const users = [
      ...new Set(records.taps.filter((tap) => tap.network === name).map(({ unikernel }) => unikernel)),
    ];
    if (users.length > 0 && !force) {
      throw new NetworkError("in-use", `the network ${name} is in use`, {
        why: `by ${users.join(", ")}`,
        hint: "stop them first",
      });
    }
    for (const command of release(network)) await runProgram(command);
    return {
      dropNetworks: [name],
      dropTaps: records.taps.filter((tap) => tap.network === name).map(({ tap }) => tap),
    };
  });
}

/** Keeps a bridged network for good. Throws NetworkError missing. */
export async function confirmNetwork(networks: Networks, name: string): Promise<void> {
  await networks.change((records) => {
    return { putNetworks: [{ ...findNetwork(records, name), confirmBy: null }] };
  });
}

/**
 * Publishes a port of a unikernel that has an address, until it is unpublished; the rule is there whenever the
 * unikernel is. Throws NetworkError missing, port-in-use.
 */
export async function publishPort(
  networks: Networks,
  unikernel: string,
  spec: PortSpec,
): Promise<PortRecord> {
  let port: PortRecord | undefined;
  await networks.change((records) => {
    const known = records.leases.filter(({ expiresAt }) => expiresAt === null);
    const isUp = (device: string) =>
      records.taps.some((tap) => tap.unikernel === unikernel && tap.device === device);
    const leases = known.filter((lease) => lease.unikernel === unikernel);
    const lease = leases.find(({ device }) => isUp(device)) ?? leases[0];
    if (lease === undefined) {
      const names = [...new Set(known.map((other) => other.unikernel))].join(", ");
      throw new NetworkError("missing", `no unikernel ${unikernel} has an address`, {
        why: names === "" ? "there are none yet" : `there are: ${names}`,
      });
    }
    if (lease.ipv4 === null) {
      throw new NetworkError("missing", `the address of ${unikernel} is not known`, {
        why: `the network ${lease.network} doesn't give addresses`,
        hint: "start it with --ipv4=ADDRESS/LENGTH among its arguments",
      });
    }
    checkPortFree(spec, records.ports);
    port = { ...spec, unikernel, device: lease.device, network: lease.network, kept: true };
    return { putPorts: [port] };
  });
  return port!;
}

/** Takes back what was published: by address and port of the host. Throws NetworkError missing. */
export async function unpublishPort(
  networks: Networks,
  spec: Pick<PortSpec, "protocol" | "address" | "hostPort">,
): Promise<void> {
  await networks.change((records) => {
    const found = records.ports.filter(
      (port) => collide(port, spec) && (spec.address === "" || port.address === spec.address),
    );
    if (found.length === 0) {
      const ports = records.ports.map(({ hostPort, protocol }) => `${hostPort}/${protocol}`).join(", ");
      throw new NetworkError("missing", `port ${spec.hostPort}/${spec.protocol} is not published`, {
        why: ports === "" ? "no port is" : `published are: ${ports}`,
      });
    }
    return { dropPorts: found };
  });
}
