/**
 * Network interfaces of this process's network namespace, asked by ioctl. Not by /sys/class/net: that shows the
 * namespace in which somebody mounted it, which is another one under `nsenter --net`.
 */
import { type Bytes, addressOf, close, ioctl, socket } from "./libc.ts";

const SIOCGIFFLAGS = 0x8913;
const SIOCETHTOOL = 0x8946;
const ETHTOOL_GDRVINFO = 3;
const AF_INET = 2;
const SOCK_DGRAM = 2;

/** struct ifreq: a name of 16 bytes, then a union. */
const IFREQ_SIZE = 40;
export const IFNAMSIZ = 16;
/** struct ethtool_drvinfo: the command u32 @0, the driver's name of 32 bytes @4. */
const DRVINFO_SIZE = 196;

/** A struct ifreq with this name, cut to what fits. */
export function ifreq(name: string): DataView {
  const bytes = new Uint8Array(IFREQ_SIZE);
  bytes.set(new TextEncoder().encode(name).subarray(0, IFNAMSIZ - 1));
  return new DataView(bytes.buffer);
}

/** Whether a name is too long to be an interface's. */
export function isTooLong(name: string): boolean {
  return new TextEncoder().encode(name).length >= IFNAMSIZ;
}

/** The name that the kernel left in a struct ifreq. */
export function nameIn(request: DataView): string {
  return textIn(new Uint8Array(request.buffer, 0, IFNAMSIZ));
}

/** A socket to ask about interfaces with, or -errno. The caller closes it. */
export function querySocket(): number {
  return socket(AF_INET, SOCK_DGRAM, 0);
}

/** One ethtool request about an interface; `command` holds its structure. 0, or -errno. */
export function ethtool(query: number, name: string, command: Bytes): number {
  const request = ifreq(name);
  request.setBigUint64(IFNAMSIZ, BigInt(addressOf(command)), true);
  return ioctl(query, SIOCETHTOOL, request);
}

/** The interface's flags (IFF_UP, IFF_RUNNING, …), or -errno: ENODEV where there is none. */
export function interfaceFlags(query: number, name: string): number {
  const request = ifreq(name);
  const result = ioctl(query, SIOCGIFFLAGS, request);
  return result < 0 ? result : request.getUint16(IFNAMSIZ, true);
}

export type InterfaceKind = "none" | "bridge" | "other";

/** What an interface's name means in this namespace now. */
export function interfaceKind(name: string): InterfaceKind {
  if (name === "" || isTooLong(name)) return "none";
  const query = querySocket();
  if (query < 0) return "none";
  try {
    if (interfaceFlags(query, name) < 0) return "none";
    const info = new Uint8Array(DRVINFO_SIZE);
    info[0] = ETHTOOL_GDRVINFO;
    if (ethtool(query, name, info) < 0) return "other";
    return textIn(info.subarray(4, 36)) === "bridge" ? "bridge" : "other";
  } finally {
    close(query);
  }
}

function textIn(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
