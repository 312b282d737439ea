/** What this process may do to networks. */
import { readFileSync } from "node:fs";

const CAP_NET_ADMIN = 12n;
const CAP_NET_RAW = 13n;

/** A set of this process's capabilities by its name in /proc/self/status. */
function capabilities(set: "CapEff" | "CapAmb"): bigint {
  const status = readFileSync("/proc/self/status", "utf8");
  return BigInt(`0x${new RegExp(`^${set}:\\s+([0-9a-f]+)$`, "m").exec(status)?.[1] ?? "0"}`);
}

/**
 * Whether it may make interfaces and rules (CAP_NET_ADMIN). It is `ip` and `nft` that do it: a right that was given
 * to this executable alone (setcap) isn't theirs, one that systemd gave (AmbientCapabilities) is.
 */
export function mayMakeNetworks(): boolean {
  const set = capabilities(process.geteuid?.() === 0 ? "CapEff" : "CapAmb");
  return ((set >> CAP_NET_ADMIN) & 1n) === 1n;
}

/** Whether it may open sockets that see frames (CAP_NET_RAW). */
export function maySeeFrames(): boolean {
  return ((capabilities("CapEff") >> CAP_NET_RAW) & 1n) === 1n;
}
