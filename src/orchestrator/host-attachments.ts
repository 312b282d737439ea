/** The attachments of a unikernel, made of robur's networks and volumes. */
import type { Database } from "bun:sqlite";
import { RoburError, errorLine } from "../lib/errors.ts";
import { MIB } from "../lib/units.ts";
import type { AttachRequest, Attached } from "../network/attach-plan.ts";
import { addressInArguments, bootArguments } from "../network/boot-arguments.ts";
import { Networks } from "../network/networks.ts";
import { ownerOf } from "../network/owner.ts";
import { type Responders, startResponders } from "../network/responders.ts";
import type { NetworkView } from "./api.ts";
import type { AttachmentWish, Attachments, Prepared } from "./attachments.ts";
import { findFile, listVolumes } from "./volumes/inventory.ts";

export interface HostAttachments extends Attachments, Disposable {
  readonly networks: Networks;
}

/**
 * Networks and volumes of a data directory, `home` being its real path. DHCP and DNS are answered on every network
 * that a unikernel was put on, until it is disposed of.
 */
export function hostAttachments(db: Database, home: string): HostAttachments {
  const networks = new Networks(db, home);
  const room = { db, dataDirectory: home };
  const responders = new Map<string, Responders>();

  const answerOn = async (names: Iterable<string>) => {
    for (const name of names) {
      if (responders.has(name)) continue;
      const started = startResponders(networks, home, [name], (sentence) =>
        console.error(`robur: ${sentence}`),
      );
      responders.set(name, started);
      await started.ready;
    }
  };

  return {
    networks,
    async prepare(wish) {
      // Volumes first: that they are there is found out without changing anything.
      const blocks = new Map(wish.blocks.map(({ device, volume }) => [device, findFile(room, volume).path]));
      const request = requestFor(wish);
      if (request.devices.length === 0) return preparedFor(wish, [], blocks, networks);
      const { attached } = await networks.attach(request);
      await answerOn(new Set(attached.map(({ network }) => network)));
      return preparedFor(wish, attached, blocks, networks);
    },
    release: async (_id, name) => {
      if (networks.records().taps.some(({ unikernel }) => unikernel === name)) await networks.detach(name);
    },
    async sweep(alive) {
      // What runs keeps its taps, also those that a server was killed over before it could say whose they are.
      for (const { name, pid } of alive) {
        const owner = aliveOwner(pid);
        if (owner !== undefined) networks.handOver(name, owner);
      }
      const { taps } = networks.records();
      if (taps.length === 0 && networks.records().networks.length === 0) return;
      await networks.recover();
      await answerOn(new Set(networks.records().taps.map(({ network }) => network)));
    },
    async forget(_id, name) {
      await dropLeases(networks, name);
    },
    async rename(_id, from, to) {
      await moveLeases(networks, from, to);
    },
    hasNetwork: (name) => networks.records().networks.some((network) => network.name === name),
    volumeSizes: () => new Map(listVolumes(room).map(({ name, size }) => [name, Math.ceil(size / MIB)])),
    [Symbol.dispose]() {
      for (const responder of responders.values()) responder.stop();
      responders.clear();
    },
  };
}

function requestFor(wish: AttachmentWish): AttachRequest {
  const names = deviceNames(wish);
  const devices = wish.networks.map(({ device, network, mac, address }) => {
    const ipv4 = address ?? addressInArguments(device, names, wish.args);
    return {
      device,
      ...(network === null ? {} : { network }),
      ...(mac === null ? {} : { mac }),
      ...(ipv4 === undefined ? {} : { ipv4: ipv4.split("/")[0]! }),
    };
  });
  const ports = wish.publish.map(({ protocol, hostAddress, hostPort, guestPort }) => {
    return { protocol, address: hostAddress ?? "", hostPort, guestPort };
  });
  return { unikernel: wish.name, devices, ports, owner: ownerOf(process.pid) };
}

/** Names of the network devices, in the manifest's order, each once. */
function deviceNames({ devices }: AttachmentWish): string[] {
  return [...new Set(devices.filter(({ type }) => type === "net").map(({ name }) => name))];
}

function preparedFor(
  wish: AttachmentWish,
  attached: readonly Attached[],
  blocks: ReadonlyMap<string, string>,
  networks: Networks,
): Prepared {
  return {
    networks: attached.map(viewOf),
    taps: new Map(attached.map(({ device, tap }) => [device, { tap }])),
    blocks,
    bootArguments: wish.addAddress ? bootArguments(attached, deviceNames(wish), wish.args) : [],
    held: [],
    started: async (pid) => {
      const owner = attached.length === 0 ? undefined : aliveOwner(pid);
      if (owner !== undefined) networks.handOver(wish.name, owner);
    },
  };
}

function viewOf({ device, network, mac, ipv4, ipv4Gateway, tap }: Attached): NetworkView {
  return { device, network, mac, address: ipv4, gateway: ipv4Gateway, tap };
}

/** Undefined for a process that has ended: whoever notices its end takes back what it had. */
function aliveOwner(pid: number): ReturnType<typeof ownerOf> | undefined {
  try {
    return ownerOf(pid);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** A unikernel that is gone needs no address any more. */
async function dropLeases(networks: Networks, unikernel: string): Promise<void> {
  const mine = networks.records().leases.filter((lease) => lease.unikernel === unikernel);
  if (mine.length > 0) await change(networks, () => ({ dropLeases: mine }));
}

/** It keeps its addresses under its new name; its MAC addresses follow from the name, and change. */
async function moveLeases(networks: Networks, from: string, to: string): Promise<void> {
  const { leases } = networks.records();
  const mine = leases.filter((lease) => lease.unikernel === from);
  if (mine.length === 0 || leases.some((lease) => lease.unikernel === to)) return;
  await change(networks, () => ({
    dropLeases: mine,
    putLeases: mine.map((lease) => ({ ...lease, unikernel: to })),
  }));
}

async function change(networks: Networks, decide: Parameters<Networks["change"]>[0]): Promise<void> {
  try {
    await networks.change(decide);
  } catch (error) {
    // An address that stays taken is a small loss, and the next start of the unikernel sorts it out.
    if (!(error instanceof RoburError)) throw error;
    console.error(`robur: ${errorLine(error)}`);
  }
}
