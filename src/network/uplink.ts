/**
 * An interface of the host as a port of a bridge: what it had moves to the bridge, and back again. Pure, but for
 * looking. The host is unreachable for a moment in between, and for good where something is wrong: whoever does
 * this over that same interface would be locked out. So it is undone unless somebody confirms it.
 */
import { existsSync } from "node:fs";
import { type Interface, readJson } from "./kernel.ts";
import { NetworkError } from "./network-error.ts";
import type { Command } from "./programs.ts";
import type { Moved, NetworkRecord, Route } from "./records.ts";

/** How long somebody has to confirm. */
export const CONFIRM_MS = 30_000;

interface KernelRoute {
  readonly dst: string;
  readonly gateway?: string;
  readonly metric?: number;
  readonly protocol?: string;
  readonly type?: string;
}

/** What the interface has that must move. Throws NetworkError missing or in-use for one that can't be a port. */
export async function lookAtUplink(name: string, interfaces: readonly Interface[]): Promise<Moved> {
  const found = interfaces.find(({ ifname }) => ifname === name);
  if (found === undefined) {
    throw new NetworkError("missing", `there is no interface ${name}`, { hint: "ip -br link" });
  }
  if (found.master !== undefined) {
    throw new NetworkError("in-use", `${name} is a port of ${found.master}`, {
      hint: `use that bridge as it is: robur network create NAME --bridge ${found.master}`,
    });
  }
  if (existsSync(`/sys/class/net/${name}/phy80211`) || found.flags.includes("LOOPBACK")) {
    throw new NetworkError("in-use", `${name} can't be a port of a bridge`, {
      why: "a Wi-Fi station speaks for one address only, and the loopback for none",
      hint: "a network of mode nat",
    });
  }
  const routes = [
    ...((await readJson("-4", "route", "show", "dev", name)) as KernelRoute[]),
    ...((await readJson("-6", "route", "show", "dev", name)) as KernelRoute[]),
  ];
  return {
    mac: found.address ?? "",
    addresses: found.addr_info
      .filter(({ scope }) => scope !== "link")
      .map(({ local, prefixlen, broadcast }) => {
        const address = `${local}/${prefixlen}`;
        return broadcast === undefined ? { address } : { address, broadcast };
      }),
    // The kernel makes the routes of the addresses itself.
    routes: routes
      .filter(({ protocol, dst }) => protocol !== "kernel" && dst !== "fe80::/64")
      .map(({ dst, gateway, metric }): Route => {
        return {
          dst,
          ...(gateway === undefined ? {} : { gateway }),
          ...(metric === undefined ? {} : { metric }),
        };
      }),
  };
}

const ip = (...args: string[]): Command => ({ program: "ip", args });

/** After the bridge has the addresses: the interface becomes its port. */
export function enslave({ bridge, uplink, moved }: NetworkRecord): Command[] {
  if (uplink === null || moved === null) return [];
  return [
    ip("link", "set", "dev", uplink, "master", bridge, "up"),
    ...moved.addresses.map(({ address }) => ip("address", "delete", address, "dev", uplink)),
    ...moved.routes.map((route) => routeTo(route, bridge)),
  ];
}

/** Before the bridge goes: the interface gets back what it had. */
export function release({ uplink, moved }: NetworkRecord): Command[] {
  if (uplink === null || moved === null) return [];
  return [
    ip("link", "set", "dev", uplink, "nomaster"),
    ...moved.addresses.map(({ address, broadcast }) =>
      ip(
        "address",
        "replace",
        address,
        ...(broadcast === undefined ? [] : ["brd", broadcast]),
        "dev",
        uplink,
      ),
    ),
    ...moved.routes.map((route) => routeTo(route, uplink)),
  ];
}

function routeTo({ dst, gateway, metric }: Route, device: string): Command {
  return ip(
    ...(dst.includes(":") || gateway?.includes(":") ? ["-6"] : []),
    ...["route", "replace", dst],
    ...(gateway === undefined ? [] : ["via", gateway]),
    ...["dev", device],
    ...(metric === undefined ? [] : ["metric", String(metric)]),
  );
}
