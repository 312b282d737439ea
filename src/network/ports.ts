/** Published ports: how they are written, and who has a port already. */
import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import { formatAddress, parseAddress } from "./addresses.ts";
import { NetworkError } from "./network-error.ts";
import type { PortRecord, Protocol } from "./records.ts";

export interface PortSpec {
  readonly protocol: Protocol;
  /** An address of the host, or empty for all of them. */
  readonly address: string;
  readonly hostPort: number;
  readonly guestPort: number;
}

/** Reads `[ADDRESS:]HOST:GUEST[/udp]`, an IPv6 address in brackets. Throws NetworkError bad-port. */
export function parsePort(text: string): PortSpec {
  const [, bracketed, plain, host = "", guest = "", protocol = "tcp"] =
    /^(?:\[([^\]]+)\]:|([^:[\]]+):)?(\d{1,5}):(\d{1,5})(?:\/(tcp|udp))?$/.exec(text) ?? [];
  const ports = [Number(host), Number(guest)] as const;
  const given = bracketed ?? plain;
  const address = given === undefined ? undefined : parseAddress(given === "localhost" ? "127.0.0.1" : given);
  const isRight =
    ports.every((port) => port >= 1 && port <= 65535) && (given === undefined || address !== undefined);
  if (host === "" || !isRight) {
    throw new NetworkError("bad-port", `${text}: not a port to publish`, {
      why: "it is [ADDRESS:]HOST:GUEST[/udp], ports from 1 to 65535",
      hint: "-p 8080:80",
    });
  }
  const isAny = address === undefined || address.value === 0n;
  return {
    protocol: protocol as Protocol,
    address: isAny ? "" : formatAddress(address),
    hostPort: ports[0],
    guestPort: ports[1],
  };
}

/** Reads `[ADDRESS:]HOST[/udp]`; the form of `parsePort` is taken too. Throws NetworkError bad-port. */
export function parseHostPort(text: string): PortSpec {
  const [, address = "", host, protocol = ""] =
    /^(\[[^\]]+\]:|localhost:|\d+\.[\d.]+:)?(\d{1,5})(?::\d{1,5})?(\/tcp|\/udp)?$/.exec(text) ?? [];
  if (host !== undefined) return parsePort(`${address}${host}:1${protocol}`);
  throw new NetworkError("bad-port", `${text}: not a published port`, {
    why: "it is [ADDRESS:]HOST[/udp]",
    hint: "robur network unpublish 8080",
  });
}

export function formatPort({ protocol, address, hostPort, guestPort }: PortSpec): string {
  const at = address === "" ? "" : address.includes(":") ? `[${address}]:` : `${address}:`;
  return `${at}${hostPort}:${guestPort}${protocol === "udp" ? "/udp" : ""}`;
}

/** Whether two publications can't both be: same port, and an address in common. */
export function collide(
  a: Pick<PortSpec, "protocol" | "address" | "hostPort">,
  b: Pick<PortSpec, "protocol" | "address" | "hostPort">,
): boolean {
  const sameAddress = a.address === "" || b.address === "" || a.address === b.address;
  return a.protocol === b.protocol && a.hostPort === b.hostPort && sameAddress;
}

/** A socket of a program of the host that waits for others. */
export interface Listener {
  readonly protocol: Protocol;
  /** Empty: all addresses. */
  readonly address: string;
  readonly port: number;
  readonly inode: string;
}

const LISTEN = "0A";
const UNCONNECTED = "07";

/** The waiting sockets in the text of /proc/net/tcp, tcp6, udp or udp6 (Documentation/networking/proc_net_tcp). */
export function parseListeners(text: string, protocol: Protocol): Listener[] {
  return text
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      const [address = "", port = ""] = (fields[1] ?? "").split(":");
      const inode = fields[9];
      if (fields[3] !== (protocol === "tcp" ? LISTEN : UNCONNECTED) || inode === undefined) return [];
      return [{ protocol, address: hexAddress(address), port: Number.parseInt(port, 16), inode }];
    });
}

/** Words of 32 bits in the order of the processor, which is little-endian on both of ours. */
function hexAddress(hex: string): string {
  if (/^0*$/.test(hex)) return "";
  const words = (hex.match(/.{8}/g) ?? []).map((word) => (word.match(/../g) ?? []).toReversed().join(""));
  const value = BigInt(`0x${words.join("")}`);
  if (words.length === 1) return formatAddress({ family: 4, value });
  const isMapped = value >> 32n === 0xffffn;
  return formatAddress(isMapped ? { family: 4, value: value & 0xffff_ffffn } : { family: 6, value });
}

/** All waiting sockets of this network namespace. */
export function listeners(): Listener[] {
  return (["tcp", "udp"] as const).flatMap((protocol) =>
    ["", "6"].flatMap((suffix) => {
      try {
        return parseListeners(readFileSync(`/proc/self/net/${protocol}${suffix}`, "utf8"), protocol);
      } catch (error) {
        if ((error as { code?: string }).code === "ENOENT") return [];
        throw error;
      }
    }),
  );
}

/** `nginx (process 1234)`, or undefined for a socket of a process that we may not look at. */
export function processOfSocket(inode: string): string | undefined {
  const wanted = `socket:[${inode}]`;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const fds = readdirSync(`/proc/${pid}/fd`);
      if (!fds.some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === wanted)) continue;
      return `${readFileSync(`/proc/${pid}/comm`, "utf8").trim()} (process ${pid})`;
    } catch {
      // It ended meanwhile, or it is another user's.
    }
  }
  return undefined;
}

/**
 * Refuses a port that somebody has: another unikernel, or a program of the host, which is named as far as it may
 * be seen. Throws NetworkError port-in-use.
 */
export function checkPortFree(
  spec: PortSpec,
  published: readonly PortRecord[],
  waiting: readonly Listener[] = listeners(),
): void {
  const other = published.find((port) => collide(port, spec));
  const text = `port ${spec.hostPort}/${spec.protocol}`;
  const hint = `another port: -p ${formatPort({ ...spec, hostPort: nextPort(spec, published, waiting) })}`;
  if (other !== undefined) {
    throw new NetworkError("port-in-use", `${text} is in use`, {
      why: `it is published for the unikernel ${other.unikernel}`,
      hint,
    });
  }
  const listener = waiting.find(({ port, ...rest }) => collide({ ...rest, hostPort: port }, spec));
  if (listener === undefined) return;
  const who = processOfSocket(listener.inode) ?? "a process of another user";
  throw new NetworkError("port-in-use", `${text} is in use`, {
    why: `${who} listens on ${listener.address === "" ? "all addresses" : listener.address}`,
    hint,
  });
}

function nextPort(spec: PortSpec, published: readonly PortRecord[], waiting: readonly Listener[]): number {
  const base = spec.hostPort < 1024 ? spec.hostPort + 8000 : spec.hostPort + 1;
  for (let hostPort = base; hostPort < 65536; hostPort++) {
    const wanted = { ...spec, hostPort };
    const isFree =
      !published.some((port) => collide(port, wanted)) &&
      !waiting.some(({ port, ...rest }) => collide({ ...rest, hostPort: port }, wanted));
    if (isFree) return hostPort;
  }
  return spec.hostPort;
}
