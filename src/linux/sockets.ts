/**
 * Sockets that the runtime can't make: pairs that keep messages apart, and sockets on one interface that see
 * Ethernet frames. What they return are descriptors for `Bun.connect({ fd })`, which hands on one message a call
 * (it calls recv once for each, and recv on such a socket answers one message).
 */
import { type Pointer, dlopen, ptr } from "bun:ffi";
import { OsError, close, lastErrno, socket } from "./libc.ts";

const { symbols: c } = dlopen("libc.so.6", {
  socketpair: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  flock: { args: ["i32", "i32"], returns: "i32" },
  if_nametoindex: { args: ["ptr"], returns: "u32" },
});

const AF_UNIX = 1;
const AF_PACKET = 17;
const SOCK_STREAM = 1;
const SOCK_RAW = 3;
const SOCK_SEQPACKET = 5;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;

function check(what: string, result: number): void {
  if (result === -1) throw new OsError(what, lastErrno());
}

/**
 * Two connected sockets, closed by exec, that don't wait. `stream`: bytes; `messages`: one write is one read.
 * Throws OsError.
 */
export function socketPair(kind: "stream" | "messages"): readonly [number, number] {
  const type = (kind === "stream" ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_CLOEXEC | SOCK_NONBLOCK;
  const pair = new Int32Array(2);
  check("a pair of sockets", c.socketpair(AF_UNIX, type, 0, ptr(pair)));
  return [pair[0]!, pair[1]!];
}

/** One instruction of a classic packet filter (linux/filter.h): code, jumps, operand. */
export type PacketInstruction = readonly [code: number, jt: number, jf: number, k: number];

/**
 * A socket that sees every frame of one interface for which the filter answers other than 0, and sends frames on
 * it. The host's packet filter doesn't judge what goes through it. Needs CAP_NET_RAW. Throws OsError.
 */
export function packetSocket(
  interfaceName: string,
  etherType: number,
  filter: readonly PacketInstruction[],
): number {
  const name = new TextEncoder().encode(`${interfaceName}\0`);
  const index = c.if_nametoindex(ptr(name));
  if (index === 0) throw new OsError(interfaceName, lastErrno());
  // Protocol 0 receives nothing yet: no frame gets in before the filter is there.
  const fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) throw new OsError("a packet socket", -fd);
  try {
    attachFilter(fd, filter);
    // struct sockaddr_ll: family u16, protocol u16 (network order), ifindex i32, 12 bytes that bind ignores.
    const address = new DataView(new ArrayBuffer(20));
    address.setUint16(0, AF_PACKET, true);
    address.setUint16(2, etherType, false);
    address.setInt32(4, index, true);
    check(interfaceName, c.bind(fd, ptr(address), 20));
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}

function attachFilter(fd: number, filter: readonly PacketInstruction[]): void {
  const code = new DataView(new ArrayBuffer(filter.length * 8));
  for (const [i, [op, jt, jf, k]] of filter.entries()) {
    code.setUint16(i * 8, op, true);
    code.setUint8(i * 8 + 2, jt);
    code.setUint8(i * 8 + 3, jf);
    code.setUint32(i * 8 + 4, k, true);
  }
  // struct sock_fprog: length u16, then the address of the instructions at 8.
  const program = new DataView(new ArrayBuffer(16));
  program.setUint16(0, filter.length, true);
  program.setBigUint64(8, BigInt(ptr(code) as Pointer), true);
  check("a packet filter", c.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, ptr(program), 16));
}

const LOCK_EX = 2;
const LOCK_NB = 4;
const EWOULDBLOCK = 11;

/** Takes the lock of an open file, if nobody has it. It is given back when the descriptor is closed. */
export function tryLock(fd: number): boolean {
  if (c.flock(fd, LOCK_EX | LOCK_NB) === 0) return true;
  const errno = lastErrno();
  if (errno !== EWOULDBLOCK) throw new OsError("a lock", errno);
  return false;
}

/** What is done with what comes on a descriptor. */
export interface DescriptorHandler {
  /** Bytes, or one message, valid until the handler returns. */
  data(bytes: Uint8Array): void;
  close?(): void;
  /** There is room again. */
  drain?(): void;
}

export interface DescriptorSocket {
  /** How many bytes of it were taken: of a message all or none. */
  write(bytes: Uint8Array): number;
  terminate(): void;
}

/** Lets the event loop watch a socket by its descriptor, which belongs to the runtime from then on. */
export async function watchDescriptor(fd: number, handler: DescriptorHandler): Promise<DescriptorSocket> {
  const options = {
    fd,
    socket: {
      binaryType: "uint8array",
      data: (_: unknown, bytes: Uint8Array) => handler.data(bytes),
      close: () => handler.close?.(),
      drain: () => handler.drain?.(),
      // A descriptor that fails is closed, which is told by `close`.
      error: () => undefined,
    },
  };
  // The runtime documents `fd` (FdSocketOptions), but its types leave this form of the call out.
  return Bun.connect(options as unknown as Parameters<typeof Bun.connect>[0]);
}
