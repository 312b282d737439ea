/** What this process may do to networks. */
import { readFileSync } from "node:fs";

const CAP_NET_ADMIN = 12n;
const CAP_NET_RAW = 13n;

function effective(): bigint {
  const hex = /^CapEff:\s+([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  return BigInt(`0x${hex}`);
}

/** Whether it may make interfaces and rules (CAP_NET_ADMIN). */
export function mayMakeNetworks(): boolean {
  return ((effective() >> CAP_NET_ADMIN) & 1n) === 1n;
}

/** Whether it may open sockets that see frames (CAP_NET_RAW). */
export function maySeeFrames(): boolean {
  return ((effective() >> CAP_NET_RAW) & 1n) === 1n;
}
