/**
 * Locks on whole files, by fcntl's open file description locks. Such a lock belongs to the open file, not to a
 * process: every descriptor that was inherited or duplicated from it keeps it, whoever asked for it may end, and
 * the kernel lets go of it when the last of them is closed, however its process dies. QEMU locks its images the
 * same way, so its guests and ours keep out of each other's way. Source: fcntl_locking(2).
 */
import { ERRNO } from "./errno.ts";
import { type Bytes, cString, close, open, syscall } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";

/** Many may have it shared, or one exclusively. */
export type LockKind = "shared" | "exclusive";

const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;
const AT_FDCWD = -100n;
const AT_EMPTY_PATH = 0x1000;
const STATX_INO = 0x100;

/** More files than this never come and go under one name while it is opened. */
const ATTEMPTS = 100;

/**
 * Locks an open file at once or not at all: 0, -EAGAIN where somebody else's lock is in the way, or another
 * -errno. An exclusive lock needs a descriptor that can write, a shared one a descriptor that can read.
 */
export function lockFile(fd: number, kind: LockKind): number {
  return fcntl(fd, F_OFD_SETLK, wholeFile(kind === "exclusive" ? F_WRLCK : F_RDLCK));
}

/** The lock that others have on an open file, or undefined. It is only looked at: nobody is kept out meanwhile. */
export function lockOnFile(fd: number): LockKind | undefined {
  const lock = wholeFile(F_WRLCK);
  if (fcntl(fd, F_OFD_GETLK, lock) < 0) return undefined;
  const type = lock.getInt16(0, true);
  return type === F_UNLCK ? undefined : type === F_RDLCK ? "shared" : "exclusive";
}

/**
 * Opens and locks what a path names: a descriptor, or -errno (-EAGAIN: locked by somebody else). Files are
 * replaced by renaming, and a lock on a file that has lost its name meanwhile would protect nothing: the name is
 * looked at again once the lock is there. `mode`: of a file that O_CREAT makes.
 */
export function openLocked(path: string, flags: number, kind: LockKind, mode = 0): number {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const fd = open(path, flags, mode);
    if (fd < 0) return fd;
    const locked = lockFile(fd, kind);
    if (locked === 0 && isNamed(fd, path)) return fd;
    close(fd);
    if (locked < 0) return locked;
  }
  return -ERRNO.EAGAIN;
}

/** Whether a path leads to this open file. */
export function isNamed(fd: number, path: string): boolean {
  const named = identityOf(path);
  return named !== undefined && named === identityOf(fd);
}

/** What tells a file from all others, of a descriptor or a path. struct statx: ino u64 @32, dev u32 @136, @140. */
export function identityOf(file: number | string): string | undefined {
  const result = new DataView(new ArrayBuffer(256));
  const [directory, path, flags] = typeof file === "number" ? [file, "", AT_EMPTY_PATH] : [AT_FDCWD, file, 0];
  const called = syscall(syscallNumber("statx"), directory, cString(path), flags, STATX_INO, result);
  if (called < 0) return undefined;
  const device = `${result.getUint32(136, true)}:${result.getUint32(140, true)}`;
  return `${device}:${result.getBigUint64(32, true)}`;
}

/** struct flock: type i16 @0, whence i16 @2 (0: from the start), start i64 @8, length i64 @16 (0: all), pid @24. */
function wholeFile(type: number): DataView {
  const lock = new DataView(new ArrayBuffer(32));
  lock.setInt16(0, type, true);
  return lock;
}

function fcntl(fd: number, command: number, argument: Bytes): number {
  return syscall(syscallNumber("fcntl"), fd, command, argument);
}
