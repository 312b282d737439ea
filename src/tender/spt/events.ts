/**
 * What an spt guest waits on: an epoll set with its timer and its network devices. The set holds open files, not
 * numbers, so it may be made under one numbering of descriptors and used under another.
 */
import { HOST_ARCHITECTURE } from "../../lib/architecture.ts";
import type { Attachment } from "../../image/manifest.ts";
import { O_CLOEXEC, O_NONBLOCK, OsError, close, syscall } from "../../linux/libc.ts";
import { syscallNumber } from "../../linux/syscalls.ts";

export interface Events {
  readonly epoll: number;
  readonly timer: number;
}

const CLOCK_MONOTONIC = 1;
const EPOLL_CTL_ADD = 1;
const EPOLLIN = 1;
/** What the timer is called in the set. A device is called by its handle, which is below 64. */
const TIMER_NAME = 0xffff_fffe;

/** Makes the set for devices with these descriptors; both results are closed by exec. Throws OsError. */
export function openEvents(devices: readonly Attachment[]): Events {
  const epoll = make("epoll set", syscall(syscallNumber("epoll_create1"), O_CLOEXEC));
  try {
    const flags = O_NONBLOCK | O_CLOEXEC;
    const timer = make("timer", syscall(syscallNumber("timerfd_create"), CLOCK_MONOTONIC, flags));
    add(epoll, timer, TIMER_NAME);
    for (const { kind, hostFd, handle } of devices) {
      if (kind === "net") add(epoll, hostFd, handle);
    }
    return { epoll, timer };
  } catch (error) {
    close(epoll);
    throw error;
  }
}

/** struct epoll_event is packed on x86_64: events u32 @0, data u64 @4; elsewhere data is @8. */
function add(epoll: number, fd: number, name: number): void {
  const event = new DataView(new ArrayBuffer(16));
  event.setUint32(0, EPOLLIN, true);
  event.setUint32(HOST_ARCHITECTURE === "x86_64" ? 4 : 8, name, true);
  make(`descriptor ${fd}`, syscall(syscallNumber("epoll_ctl"), epoll, EPOLL_CTL_ADD, fd, event));
}

function make(what: string, result: number): number {
  if (result < 0) throw new OsError(what, -result);
  return result;
}
