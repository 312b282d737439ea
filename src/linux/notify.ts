/**
 * Tells systemd how a service is: sd_notify(3), one datagram to the socket that NOTIFY_SOCKET names. The runtime
 * has no Unix datagrams, so libc sends it.
 */
import { FFIType, dlopen, ptr } from "bun:ffi";
import { close, socket } from "./libc.ts";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;
/** struct sockaddr_un: family u16, then 108 bytes of path. */
const PATH_MAX = 108;

/**
 * Sends `state`, lines such as `READY=1`. False where nobody listens: a service manager that doesn't hear is no
 * reason to stop.
 *
 * @param address a path, or `@name` for an abstract address
 */
export function notify(address: string | undefined, state: string): boolean {
  if (address === undefined || !/^[/@]/.test(address)) return false;
  const name = new TextEncoder().encode(address);
  if (name.length >= PATH_MAX) return false;
  const target = new Uint8Array(2 + name.length);
  new DataView(target.buffer).setUint16(0, AF_UNIX, true);
  target.set(name, 2);
  // An abstract address begins with a NUL and ends where its length says.
  if (address.startsWith("@")) target[2] = 0;
  const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const { symbols, close: unload } = dlopen("libc.so.6", {
    sendto: { args: ["i32", "ptr", "u64", "i32", "ptr", "u32"], returns: FFIType.i64_fast },
  });
  const message = new TextEncoder().encode(state);
  const sent = symbols.sendto(fd, ptr(message), message.length, MSG_NOSIGNAL, ptr(target), target.length);
  unload();
  close(fd);
  return Number(sent) === message.length;
}
