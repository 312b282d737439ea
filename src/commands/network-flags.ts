/** The flags of `robur run` that are about networks of robur's. */
import type { Manifest } from "../image/manifest.ts";
import { needsNetworks } from "../orchestrator/net-wishes.ts";
import type { DeviceRequest } from "../tender/attach.ts";
import type { NetworkedRun } from "../orchestrator/foreground.ts";
import type { FlagTable, Scanned } from "./flags.ts";

export const NETWORK_FLAGS: FlagTable = {
  publish: {
    type: "string",
    alias: ["p"],
    describe: "publish a port: [ADDRESS:]HOST:GUEST[/udp]; repeatable",
  },
  network: {
    type: "string",
    describe: "network for the devices that --net doesn't name (default service), or passt",
  },
  "no-network": { type: "boolean", describe: "make no networks: attach only what --net gives" },
  dhcp: { type: "boolean", describe: "no addresses by boot argument: the unikernel asks by DHCP" },
  name: { type: "string", describe: "the unikernel's name (default: that of the image's file)" },
  "data-dir": { type: "string", describe: "where robur keeps its data" },
};

export type NetworkFlags = Pick<NetworkedRun, "publish" | "name" | "network" | "disabled" | "byDhcp">;

/** What was given of them. */
export function readNetworkFlags({ values }: Scanned): NetworkFlags {
  const last = (name: string) => values.get(name)?.at(-1);
  return {
    publish: values.get("publish") ?? [],
    name: last("name"),
    network: last("network"),
    disabled: values.has("no-network"),
    byDhcp: values.has("dhcp"),
  };
}

/** Whether this run is one for run-networks.ts. Quick: no database, no process. */
export function wantsNetworks(manifest: Manifest, { nets }: DeviceRequest, flags: Scanned): boolean {
  const { publish, network, disabled = false } = readNetworkFlags(flags);
  return needsNetworks(manifest, { nets, network, disabled }, publish.length > 0);
}
