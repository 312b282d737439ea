/** What a running guest's network device needs of the host: frames in, frames out, and something to wait on. */
import { POLLOUT, ppoll, readInto, writeFrom, type Address } from "../../linux/libc.ts";
import { ERRNO } from "../../linux/errno.ts";

export interface NetPort {
  /** The device's handle: its index in the manifest. */
  readonly handle: number;
  /** Readable when a frame is there. */
  readonly fd: number;
  /** One frame into `length` bytes at `address`: its length (cut to fit), or -errno; -EAGAIN when there is none. */
  readFrame(address: Address, length: number): number;
  /** One frame from `length` bytes at `address`: its length, or -errno. */
  writeFrame(address: Address, length: number): number;
}

/** A tap: the kernel keeps frames apart. */
export function tapPort(handle: number, fd: number): NetPort {
  return {
    handle,
    fd,
    readFrame: (address, length) => readInto(fd, address, length),
    writeFrame: (address, length) => writeFrom(fd, address, length),
  };
}

/**
 * Writes console output whole. The console may be a terminal, a file, or a pipe that somebody made
 * non-blocking; nobody reading it any more is no reason to end a unikernel. Other errors are dropped: the
 * guest can't be told.
 */
export function writeConsole(fd: number, address: Address, length: number): void {
  let done = 0;
  while (done < length) {
    const count = writeFrom(fd, address + done, length - done);
    if (count > 0) done += count;
    else if (count === -ERRNO.EAGAIN) ppoll(new Int32Array([fd, POLLOUT]), 1, null);
    else if (count !== -ERRNO.EINTR) return;
  }
}
