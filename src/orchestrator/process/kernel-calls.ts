/**
 * The few system calls that supervision needs and the runtime has no function for. Numbers are those of
 * arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
 */
import { HOST_ARCHITECTURE } from "../../lib/architecture.ts";
import { ERRNO } from "../../linux/errno.ts";
import { OsError, POLLIN, ioctl, ppoll, syscall } from "../../linux/libc.ts";
import { syscallNumber } from "../../linux/syscalls.ts";

const isX86 = HOST_ARCHITECTURE === "x86_64";
const PIDFD_SEND_SIGNAL = 424;
const PIDFD_OPEN = 434;
const FLOCK = isX86 ? 73 : 32;
const FALLOCATE = isX86 ? 285 : 47;

const LOCK_EX_NB = 2 | 4;
const PUNCH_HOLE_KEEP_SIZE = 2 | 1;

/** A descriptor of a process, or -errno: it stays that process's, whoever gets the number next. */
export function openProcess(pid: number): number {
  return syscall(PIDFD_OPEN, pid, 0);
}

/** 0, or -errno: -ESRCH when it has ended. */
export function signalProcess(pidfd: number, signal: number): number {
  return syscall(PIDFD_SEND_SIGNAL, pidfd, signal, 0, 0);
}

/** Those of the processes' descriptors whose processes have ended. */
export function endedProcesses(pidfds: readonly number[]): number[] {
  // struct pollfd {fd i32, events i16, revents i16}
  const records = new Int16Array(pidfds.length * 4);
  const numbers = new Int32Array(records.buffer);
  for (const [i, fd] of pidfds.entries()) {
    numbers[i * 2] = fd;
    records[i * 4 + 2] = POLLIN;
  }
  const ready = ppoll(records, pidfds.length, new Uint32Array(4));
  return ready <= 0 ? [] : pidfds.filter((_, i) => records[i * 4 + 3] !== 0);
}

/** struct pidfd_info (include/uapi/linux/pidfd.h): mask u64 @0, exit_code i32 @60; 64 bytes in its first version. */
const PIDFD_INFO_SIZE = 64;
const PIDFD_GET_INFO = 0xc000_ff0b + PIDFD_INFO_SIZE * 0x1_0000;
const PIDFD_INFO_EXIT = 8n;

/**
 * How a process ended that is nobody's child here, as wait(2) has it; Linux 6.15 and later know, if the descriptor
 * was opened while it lived. Undefined where the kernel doesn't tell.
 */
export function exitStatusOf(pidfd: number): number | undefined {
  const info = new DataView(new ArrayBuffer(PIDFD_INFO_SIZE));
  info.setBigUint64(0, PIDFD_INFO_EXIT, true);
  if (ioctl(pidfd, PIDFD_GET_INFO, info) < 0) return undefined;
  return (info.getBigUint64(0, true) & PIDFD_INFO_EXIT) === 0n ? undefined : info.getInt32(60, true);
}

/**
 * Takes the lock of an open file, which belongs to the open file itself: every process that has it by inheritance
 * holds it, until the last one is gone. False when somebody else's open file has the lock. Throws OsError.
 */
export function tryLock(fd: number): boolean {
  const result = syscall(FLOCK, fd, LOCK_EX_NB);
  if (result === -ERRNO.EAGAIN) return false;
  if (result < 0) throw new OsError("locking a file", -result);
  return true;
}

/** Gives the disk back what a part of a file takes; the file's size and all offsets stay. 0 or -errno. */
export function punchHole(fd: number, offset: number, length: number): number {
  return syscall(FALLOCATE, fd, PUNCH_HOLE_KEEP_SIZE, offset, length);
}

/** The processors that the calling thread may run on. */
export function ownAffinity(): Uint8Array {
  const mask = new Uint8Array(MASK_BYTES);
  const length = syscall(syscallNumber("sched_getaffinity"), 0, mask.length, mask);
  if (length < 0) throw new OsError("reading this process's processors", -length);
  return mask;
}

/** 0 or -errno. What this thread starts from now on runs there too. */
export function setOwnAffinity(mask: Uint8Array): number {
  return syscall(syscallNumber("sched_setaffinity"), 0, mask.length, mask);
}

const MASK_BYTES = 128;

/** The numbers in a mask of processors, ascending. */
export function cpusOf(mask: Uint8Array): number[] {
  const cpus: number[] = [];
  for (let cpu = 0; cpu < mask.length * 8; cpu++) if ((mask[cpu >> 3]! >> (cpu & 7)) & 1) cpus.push(cpu);
  return cpus;
}

/** The mask for numbers of processors; those beyond 1023 are left out. */
export function maskOf(cpus: readonly number[]): Uint8Array {
  const mask = new Uint8Array(MASK_BYTES);
  for (const cpu of cpus) {
    if (cpu >= 0 && cpu < MASK_BYTES * 8) mask[cpu >> 3]! |= 1 << (cpu & 7);
  }
  return mask;
}
