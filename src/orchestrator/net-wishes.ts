/**
 * Which of a unikernel's network devices robur provides, and which were given by hand. Small and without a database,
 * because a unikernel without networks must not pay for them.
 */
import { type Manifest, devicesOf } from "../image/manifest.ts";
import { type InterfaceKind, interfaceKind } from "../linux/interface.ts";
import type { NetSource } from "../tender/attach.ts";

/** What of the command line is about networks. */
export interface NetOptions {
  /** `--net NAME=VALUE` by device: an existing tap, a descriptor, or the name of a network or a bridge. */
  readonly nets: ReadonlyMap<string, NetSource>;
  /** `--network`: for the devices that `--net` doesn't name. */
  readonly network?: string | undefined;
  /** `--no-network`: only what `--net` gives. */
  readonly disabled?: boolean;
}

export interface SortedNets {
  /** Taps and descriptors: left to the tender, as they are. */
  readonly given: ReadonlyMap<string, NetSource>;
  /** Devices to provide, in the manifest's order, with the network's name where one was said. */
  readonly wished: readonly { readonly device: string; readonly network: string | undefined }[];
}

/** The names of the manifest's network devices, in its order. */
export function netDevices(manifest: Manifest): string[] {
  return [
    ...new Set(
      devicesOf(manifest)
        .filter(({ device }) => device.type === "NET_BASIC")
        .map(({ device }) => device.name),
    ),
  ];
}

const NETWORK_NAME = /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/;

/**
 * Sorts the devices. A value of `--net` that is an interface and no bridge is a tap, as ever. `isNetwork` says
 * whether there is a network of a name; a name that is neither is left to the tender, which says so.
 */
export function sortNets(
  manifest: Manifest,
  { nets, network, disabled = false }: NetOptions,
  isNetwork: (name: string) => boolean,
  kindOf: (name: string) => InterfaceKind = interfaceKind,
): SortedNets {
  if (disabled) return { given: nets, wished: [] };
  const given = new Map(nets);
  const wished: { device: string; network: string | undefined }[] = [];
  for (const device of netDevices(manifest)) {
    const source = nets.get(device);
    if (source === undefined) {
      wished.push({ device, network });
      continue;
    }
    if ("fd" in source || kindOf(source.tap) === "other") continue;
    if (!isNetwork(source.tap) && kindOf(source.tap) !== "bridge") continue;
    given.delete(device);
    wished.push({ device, network: source.tap });
  }
  return { given, wished };
}

/** Whether a run has anything to do with networks of robur's. Quick; may say yes where `sortNets` finds none. */
export function needsNetworks(manifest: Manifest, options: NetOptions, hasPorts: boolean): boolean {
  if (hasPorts) return true;
  return sortNets(manifest, options, (name) => NETWORK_NAME.test(name)).wished.length > 0;
}
