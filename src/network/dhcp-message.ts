/**
 * DHCP messages (RFC 2131, options RFC 2132) inside of the Ethernet frames that carry them. Decoding takes nothing
 * on trust: whatever isn't a whole request of a client is undefined.
 */
import { formatAddress, parseAddress } from "./addresses.ts";

export const DISCOVER = 1;
export const OFFER = 2;
export const REQUEST = 3;
export const DECLINE = 4;
export const ACK = 5;
export const NAK = 6;
export const RELEASE = 7;
export const INFORM = 8;

const OPTION = {
  mask: 1,
  router: 3,
  dns: 6,
  logServer: 7,
  hostName: 12,
  domain: 15,
  mtu: 26,
  requested: 50,
  leaseTime: 51,
  type: 53,
  server: 54,
  parameters: 55,
  renewal: 58,
  rebinding: 59,
} as const;

const ETHERNET = 14;
const IP_HEADER = 20;
const UDP_HEADER = 8;
const FIXED = 236;
const COOKIE = 0x6382_5363;
const SERVER_PORT = 67;
const CLIENT_PORT = 68;
const UDP = 17;
const TYPE_IPV4 = 0x0800;
const BOOTREQUEST = 1;
const BOOTREPLY = 2;
const BROADCAST_FLAG = 0x8000;
const BROADCAST_MAC = "ff:ff:ff:ff:ff:ff";
/** Shorter messages are dropped by some old clients and relays (BOOTP's size). */
const SHORTEST = 300;

export interface DhcpRequest {
  readonly type: number;
  readonly transaction: number;
  /** The client's hardware address. */
  readonly mac: string;
  readonly broadcast: boolean;
  /** The address that the client has, or `0.0.0.0`. */
  readonly current: string;
  readonly requested: string | undefined;
  /** The server that the client chose. */
  readonly server: string | undefined;
  readonly hostName: string | undefined;
  /** The options it asks for; undefined: it doesn't say. */
  readonly parameters: readonly number[] | undefined;
  /** Seconds. */
  readonly seconds: number;
}

export interface DhcpReply {
  readonly type: typeof OFFER | typeof ACK | typeof NAK;
  readonly server: string;
  readonly serverMac: string;
  /** The client's address; `0.0.0.0` in a refusal and in the answer to an INFORM. */
  readonly address: string;
  readonly prefixLength: number;
  readonly router: string | undefined;
  readonly dns: string | undefined;
  readonly logServer: string | undefined;
  readonly hostName: string | undefined;
  readonly domain: string | undefined;
  /** Seconds; undefined in the answer to an INFORM. */
  readonly leaseTime: number | undefined;
}

const macAt = (bytes: Uint8Array, at: number) =>
  Array.from(bytes.subarray(at, at + 6), (byte) => byte.toString(16).padStart(2, "0")).join(":");
const macBytes = (mac: string) => mac.split(":").map((group) => Number.parseInt(group, 16));
const ipAt = (view: DataView, at: number) =>
  formatAddress({ family: 4, value: BigInt(view.getUint32(at, false)) });
const ipNumber = (text: string) => Number(parseAddress(text)?.value ?? 0n);

/** The request in an Ethernet frame, or undefined. */
export function readDhcp(frame: Uint8Array): DhcpRequest | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (frame.length < ETHERNET + IP_HEADER || view.getUint16(12, false) !== TYPE_IPV4) return undefined;
  const header = (view.getUint8(ETHERNET) & 15) * 4;
  const udp = ETHERNET + header;
  const isFragment = (view.getUint16(ETHERNET + 6, false) & 0x3fff) !== 0;
  if (view.getUint8(ETHERNET) >> 4 !== 4 || header < IP_HEADER || isFragment) return undefined;
  if (view.getUint8(ETHERNET + 9) !== UDP || frame.length < udp + UDP_HEADER + FIXED + 4) return undefined;
  if (view.getUint16(udp + 2, false) !== SERVER_PORT) return undefined;
  const at = udp + UDP_HEADER;
  const end = Math.min(frame.length, udp + view.getUint16(udp + 4, false));
  const isRequest =
    view.getUint8(at) === BOOTREQUEST && view.getUint8(at + 1) === 1 && view.getUint8(at + 2) === 6;
  if (!isRequest || view.getUint32(at + FIXED, false) !== COOKIE) return undefined;
  const options = readOptions(frame, at + FIXED + 4, end);
  const type = options.get(OPTION.type)?.[0];
  if (type === undefined) return undefined;
  const address = (code: number) => {
    const value = options.get(code);
    return value?.length === 4 ? Array.from(value).join(".") : undefined;
  };
  const name = options.get(OPTION.hostName);
  const parameters = options.get(OPTION.parameters);
  return {
    type,
    transaction: view.getUint32(at + 4, false),
    mac: macAt(frame, at + 28),
    broadcast: (view.getUint16(at + 10, false) & BROADCAST_FLAG) !== 0,
    current: ipAt(view, at + 12),
    requested: address(OPTION.requested),
    server: address(OPTION.server),
    hostName: name === undefined ? undefined : new TextDecoder().decode(name),
    parameters: parameters === undefined ? undefined : [...parameters],
    seconds: view.getUint16(at + 8, false),
  };
}

function readOptions(frame: Uint8Array, start: number, end: number): Map<number, Uint8Array> {
  const options = new Map<number, Uint8Array>();
  for (let at = start; at < end;) {
    const code = frame[at]!;
    if (code === 255) break;
    if (code === 0) {
      at += 1;
      continue;
    }
    const length = frame[at + 1];
    if (length === undefined || at + 2 + length > end) break;
    options.set(code, frame.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return options;
}

/** The answer as an Ethernet frame. */
export function writeDhcp(request: DhcpRequest, reply: DhcpReply): Uint8Array {
  const options = replyOptions(reply);
  const message = new Uint8Array(Math.max(SHORTEST, FIXED + 4 + options.length));
  const view = new DataView(message.buffer);
  message.set([BOOTREPLY, 1, 6, 0]);
  view.setUint32(4, request.transaction, false);
  view.setUint16(10, request.broadcast ? BROADCAST_FLAG : 0, false);
  const isRefusal = reply.type === NAK;
  if (!isRefusal) view.setUint32(12, ipNumber(request.current), false);
  view.setUint32(16, ipNumber(reply.address), false);
  view.setUint32(20, ipNumber(reply.server), false);
  message.set(macBytes(request.mac), 28);
  view.setUint32(FIXED, COOKIE, false);
  message.set(options, FIXED + 4);
  const hasAddress = request.current !== "0.0.0.0";
  const isBroadcast = isRefusal || (!hasAddress && request.broadcast);
  const to = isRefusal ? "255.255.255.255" : hasAddress ? request.current : reply.address;
  return frameFor(message, {
    mac: isBroadcast ? BROADCAST_MAC : request.mac,
    serverMac: reply.serverMac,
    from: reply.server,
    to: isBroadcast ? "255.255.255.255" : to,
  });
}

function replyOptions(reply: DhcpReply): Uint8Array {
  const { leaseTime } = reply;
  const bytes: number[] = [];
  const add = (code: number, value: readonly number[]) => bytes.push(code, value.length, ...value);
  const u32 = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255);
  const address = (code: number, text: string | undefined) =>
    text === undefined ? undefined : add(code, text.split(".").map(Number));
  const text = (code: number, value: string | undefined) =>
    value === undefined ? undefined : add(code, [...new TextEncoder().encode(value)].slice(0, 255));
  add(OPTION.type, [reply.type]);
  address(OPTION.server, reply.server);
  if (reply.type !== NAK) {
    if (leaseTime !== undefined) {
      add(OPTION.leaseTime, u32(leaseTime));
      add(OPTION.renewal, u32(Math.floor(leaseTime / 2)));
      add(OPTION.rebinding, u32(Math.floor((leaseTime * 7) / 8)));
    }
    add(OPTION.mask, u32(reply.prefixLength === 0 ? 0 : -1 << (32 - reply.prefixLength)));
    address(OPTION.router, reply.router);
    address(OPTION.dns, reply.dns);
    address(OPTION.logServer, reply.logServer);
    text(OPTION.hostName, reply.hostName);
    text(OPTION.domain, reply.domain);
  }
  return new Uint8Array([...bytes, 255]);
}

interface Envelope {
  readonly mac: string;
  readonly serverMac: string;
  readonly from: string;
  readonly to: string;
}

function frameFor(message: Uint8Array, { mac, serverMac, from, to }: Envelope): Uint8Array {
  const frame = new Uint8Array(ETHERNET + IP_HEADER + UDP_HEADER + message.length);
  const view = new DataView(frame.buffer);
  frame.set([...macBytes(mac), ...macBytes(serverMac)]);
  view.setUint16(12, TYPE_IPV4, false);
  const ip = ETHERNET;
  view.setUint16(ip, 0x4500, false);
  view.setUint16(ip + 2, IP_HEADER + UDP_HEADER + message.length, false);
  view.setUint16(ip + 8, 0x4000 | UDP, false);
  view.setUint32(ip + 12, ipNumber(from), false);
  view.setUint32(ip + 16, ipNumber(to), false);
  view.setUint16(ip + 10, checksum(view, ip, IP_HEADER, 0), false);
  const udp = ip + IP_HEADER;
  view.setUint16(udp, SERVER_PORT, false);
  view.setUint16(udp + 2, CLIENT_PORT, false);
  view.setUint16(udp + 4, UDP_HEADER + message.length, false);
  frame.set(message, udp + UDP_HEADER);
  const pseudo = [12, 14, 16, 18].reduce((sum, at) => sum + view.getUint16(ip + at, false), 0);
  const sum = checksum(view, udp, UDP_HEADER + message.length, pseudo + UDP + UDP_HEADER + message.length);
  view.setUint16(udp + 6, sum === 0 ? 0xffff : sum, false);
  return frame;
}

/** The Internet checksum (RFC 1071) of a part of a frame. */
function checksum(view: DataView, start: number, length: number, begin: number): number {
  let sum = begin;
  for (let i = 0; i + 1 < length; i += 2) sum += view.getUint16(start + i, false);
  if (length % 2 === 1) sum += view.getUint8(start + length - 1) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/**
 * The packet filter for a server's socket (classic BPF): IPv4, UDP, no fragment, destination port 67; the whole
 * frame is handed on.
 */
export const DHCP_FILTER = [
  [0x28, 0, 0, 12], //        load the EtherType
  [0x15, 0, 8, TYPE_IPV4], // IPv4, or drop
  [0x30, 0, 0, 23], //        load the protocol
  [0x15, 0, 6, UDP], //       UDP, or drop
  [0x28, 0, 0, 20], //        load flags and fragment offset
  [0x45, 4, 0, 0x1fff], //    a later fragment: drop
  [0xb1, 0, 0, 14], //        x = length of the IP header
  [0x48, 0, 0, 16], //        load the destination port behind it
  [0x15, 0, 1, SERVER_PORT], // 67, or drop
  [0x06, 0, 0, 0x4_0000], //  hand on
  [0x06, 0, 0, 0], //         drop
] as const;
