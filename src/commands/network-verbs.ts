/** What `robur network` does to networks, with the words around it. */
import { isatty } from "node:tty";
import { print, printError } from "../linux/libc.ts";
import {
  type NetworkOptions,
  confirmNetwork,
  createNetwork,
  publishPort,
  removeNetwork,
  unpublishPort,
} from "../network/manage.ts";
import { checkUnikernelName } from "../network/names.ts";
import { NetworkError } from "../network/network-error.ts";
import type { Networks } from "../network/networks.ts";
import { openNetworks } from "../network/open-networks.ts";
import { formatPort, parseHostPort, parsePort } from "../network/ports.ts";
import { type NetworkMode, type NetworkRecord, networkOf } from "../network/records.ts";
import { CONFIRM_MS } from "../network/uplink.ts";

const say = (text: string) => printError(`${text}\n`);
/** How often it is looked whether another session confirmed. */
const LOOK_MS = 200;

/** `robur network create`. Prints the name. */
export async function create(
  dataDirectory: string,
  name: string,
  flags: Omit<NetworkOptions, "mode"> & { mode: NetworkMode | undefined },
): Promise<void> {
  using open = openNetworks(dataDirectory);
  const isBridged = flags.bridge !== undefined || flags.uplink !== undefined;
  const mode = flags.mode ?? (isBridged ? "bridged" : "nat");
  if (isBridged !== (mode === "bridged")) {
    throw new NetworkError(
      "bad-range",
      `a network of mode ${mode} ${isBridged ? "makes its own bridge" : "needs a bridge"}`,
      {
        hint: isBridged ? "--mode bridged" : `robur network create ${name} --mode bridged --bridge br0`,
      },
    );
  }
  const { ipv4, ipv6, bridge, uplink } = flags;
  const network = await createNetwork(open.networks, name, { mode, ipv4, ipv6, bridge, uplink });
  if (network.confirmBy !== null) await guard(open.networks, network);
  print(`${network.name}\n`);
  if (network.ipv4 !== null) say(`the network ${name} is ${network.ipv4}, bridge ${network.bridge}`);
  if (mode === "routed") {
    say(`other hosts must know the way: ip route add ${network.ipv4 ?? ""} via ADDRESS-OF-THIS-HOST`);
  }
}

/**
 * Waits until somebody says that this host can still be reached, here or from another session, and takes everything
 * back otherwise. That this terminal is gone is no reason to stop waiting: it is what is being guarded against.
 */
async function guard(networks: Networks, network: NetworkRecord): Promise<void> {
  const { name, uplink, confirmBy } = network;
  const seconds = CONFIRM_MS / 1000;
  const ignore = () => undefined;
  process.on("SIGHUP", ignore);
  process.on("SIGPIPE", ignore);
  say(
    `${uplink} is a port of ${network.bridge} now, and goes back in ${seconds} seconds unless you confirm:`,
  );
  say(isatty(0) ? "  press Enter, or" : "  from another session:");
  say(`  robur network confirm ${name}`);
  const answer = { isGiven: false };
  const onData = () => {
    answer.isGiven = true;
  };
  if (isatty(0)) process.stdin.once("data", onData);
  const isOpen = () => networkOf(networks.records(), name)?.confirmBy !== null;
  try {
    while (!answer.isGiven && isOpen() && Date.now() < (confirmBy ?? 0)) await Bun.sleep(LOOK_MS);
    if (answer.isGiven) await confirmNetwork(networks, name);
    if (networkOf(networks.records(), name)?.confirmBy === null) return;
    await networks.recover();
    if (networkOf(networks.records(), name) !== undefined) await removeNetwork(networks, name, true);
    throw new NetworkError("not-confirmed", `nobody confirmed the network ${name}: ${uplink} is as it was`);
  } finally {
    if (isatty(0)) process.stdin.pause();
    process.off("SIGHUP", ignore);
    process.off("SIGPIPE", ignore);
  }
}

/** `robur network confirm`. */
export async function confirm(dataDirectory: string, name: string): Promise<void> {
  using open = openNetworks(dataDirectory);
  await confirmNetwork(open.networks, name);
  say(`the network ${name} stays`);
}

/** `robur network rm`. */
export async function remove(dataDirectory: string, names: readonly string[]): Promise<void> {
  using open = openNetworks(dataDirectory);
  for (const name of names) {
    await removeNetwork(open.networks, name);
    print(`${name}\n`);
  }
}

/** `robur network publish`. */
export async function publish(dataDirectory: string, unikernel: string, text: string): Promise<void> {
  using open = openNetworks(dataDirectory);
  const port = await publishPort(open.networks, checkUnikernelName(unikernel), parsePort(text));
  print(`${formatPort(port)}\n`);
}

/** `robur network unpublish`. */
export async function unpublish(dataDirectory: string, text: string): Promise<void> {
  using open = openNetworks(dataDirectory);
  await unpublishPort(open.networks, parseHostPort(text));
  print(`${text}\n`);
}
