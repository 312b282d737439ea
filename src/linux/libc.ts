/**
 * The one place that calls C. libc's symbols are bound by bun:ffi, so each call here runs at native speed but
 * with no protection at all: a wrong address is a crash of the whole process. The rules that keep it safe:
 *
 * - an address is either a typed array, kept alive by the caller until the call returns, or a number that came
 *   from `mmap` and is checked against the mapping by whoever passes it;
 * - a failing call answers -1 and leaves the reason in errno, read right after on the same thread. Functions
 *   in this file answer `-errno` instead, as the kernel itself does, or throw an OsError where the caller has
 *   no choice but to give up;
 * - `ioctl`, `syscall`, `prctl`, `open` and `fcntl` are variadic in C; Linux on x86_64 and aarch64 passes
 *   integer variadic arguments as it passes fixed ones.
 */
import { FFIType, type Pointer, dlopen, ptr, read, toArrayBuffer } from "bun:ffi";
import { RoburError } from "../lib/errors.ts";
import { ERRNO, errnoName, errnoText } from "./errno.ts";
import { syscallNumber } from "./syscalls.ts";

/** An address in this process: a number below 2^47. */
export type Address = number;
export type Bytes = NodeJS.TypedArray | DataView;

const { symbols: c } = dlopen("libc.so.6", {
  __errno_location: { args: [], returns: "ptr" },
  open: { args: ["ptr", "i32", "u32"], returns: "i32" },
  openat: { args: ["i32", "ptr", "i32", "u32"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
  read: { args: ["i32", "ptr", "u64"], returns: FFIType.i64_fast },
  write: { args: ["i32", "ptr", "u64"], returns: FFIType.i64_fast },
  pread: { args: ["i32", "ptr", "u64", "u64"], returns: FFIType.i64_fast },
  pwrite: { args: ["i32", "ptr", "u64", "u64"], returns: FFIType.i64_fast },
  lseek: { args: ["i32", "i64", "i32"], returns: FFIType.i64_fast },
  ioctl: { args: ["i32", "u64", "u64"], returns: "i32" },
  fcntl: { args: ["i32", "i32", "u64"], returns: "i32" },
  mmap: { args: ["u64", "u64", "i32", "i32", "i32", "u64"], returns: FFIType.i64_fast },
  mprotect: { args: ["u64", "u64", "i32"], returns: "i32" },
  munmap: { args: ["u64", "u64"], returns: "i32" },
  mincore: { args: ["u64", "u64", "ptr"], returns: "i32" },
  ppoll: { args: ["ptr", "u64", "ptr", "u64"], returns: "i32" },
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  sigaction: { args: ["i32", "ptr", "u64"], returns: "i32" },
  prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
  setgroups: { args: ["u64", "ptr"], returns: "i32" },
  setresgid: { args: ["u32", "u32", "u32"], returns: "i32" },
  setresuid: { args: ["u32", "u32", "u32"], returns: "i32" },
  clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
  syscall: { args: ["i64", "u64", "u64", "u64", "u64", "u64", "u64"], returns: FFIType.i64_fast },
});

/** A system call failed. `errno` is the number, `code` its name (ENOENT, EBUSY, …). */
export class OsError extends RoburError<string> {
  readonly errno: number;
  constructor(what: string, errno: number, more: { hint?: string } = {}) {
    super(errnoName(errno), `${what}: ${errnoText(errno)}`, more);
    this.errno = errno;
  }
}

const errnoAddress = c.__errno_location() as Pointer;

/** The reason of the last failing call on the main thread. Workers don't use this file. */
function errno(): number {
  return read.i32(errnoAddress, 0);
}

/** Turns -1 into -errno. */
function negative(result: number | bigint): number {
  return result === -1 ? -errno() : Number(result);
}

function orThrow(what: string, result: number): number {
  if (result < 0) throw new OsError(what, -result);
  return result;
}

/** UTF-8 with a NUL at the end. A NUL inside would silently cut the string, so it is refused. */
export function cString(text: string): Uint8Array {
  if (text.includes("\0")) throw new OsError(JSON.stringify(text), 22);
  return new TextEncoder().encode(text + "\0");
}

/** The address of a typed array's first byte; valid while the array is referenced. */
export function addressOf(buffer: Bytes): Address {
  return ptr(buffer as NodeJS.TypedArray);
}

/** A view of `length` bytes of this process's memory. The mapping must outlive the view. */
export function viewOf(address: Address, length: number): ArrayBuffer {
  return toArrayBuffer(address as Pointer, 0, length);
}

/* ---- descriptors ---- */

export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
/** O_DIRECTORY differs between the two architectures (arch/arm64/include/uapi/asm/fcntl.h). */
export const O_DIRECTORY = process.arch === "arm64" ? 0o40000 : 0o200000;

/** Opens a directory to make a file without a name in it. */
export const O_TMPFILE = 0o20000000 | O_DIRECTORY;

const AT_FDCWD = -100;

/** A new descriptor, or -errno. O_CLOEXEC is the caller's to give. */
export function open(path: string, flags: number, mode = 0): number {
  return negative(c.open(cString(path), flags, mode));
}

/** Like `open`, relative to an open directory. */
export function openAt(directory: number, path: string, flags: number, mode = 0): number {
  return negative(c.openat(directory, cString(path), flags, mode));
}

export const W_OK = 2;
export const X_OK = 1;

/** Whether this process may use a path in these ways (W_OK, X_OK): 0, or -errno. */
export function access(path: string, ways: number): number {
  return syscall(syscallNumber("faccessat"), AT_FDCWD, cString(path), ways);
}

export function close(fd: number): void {
  c.close(fd);
}

/** Bytes read into memory at `address`, 0 at the end, or -errno. */
export function readInto(fd: number, address: Address | Bytes, length: number): number {
  return negative(c.read(fd, address as Pointer, length));
}

/** Bytes written from memory at `address`, or -errno. */
export function writeFrom(fd: number, address: Address | Bytes, length: number): number {
  return negative(c.write(fd, address as Pointer, length));
}

export function preadInto(fd: number, address: Address | Bytes, length: number, offset: number): number {
  return negative(c.pread(fd, address as Pointer, length, offset));
}

export function pwriteFrom(fd: number, address: Address | Bytes, length: number, offset: number): number {
  return negative(c.pwrite(fd, address as Pointer, length, offset));
}

/** The size of a regular file or block device (lseek to the end), or -errno. */
export function sizeOf(fd: number): number {
  return negative(c.lseek(fd, 0, 2));
}

/** The ioctl's result, or -errno. `argument` is a number or the address of a structure. */
export function ioctl(fd: number, request: number, argument: number | Bytes = 0): number {
  return negative(c.ioctl(fd, request, typeof argument === "number" ? argument : addressOf(argument)));
}

/**
 * The ioctl without any conversion, for the one loop that runs a guest: -1 on failure, reason by `lastErrno`.
 */
export const rawIoctl: (fd: number, request: number, argument: number) => number = c.ioctl;
export const lastErrno: () => number = errno;

export type FileKind = "file" | "directory" | "block device" | "other";

/** What an open descriptor is, and its size in bytes. struct statx: stx_mode u16 @28, stx_size u64 @40. */
export function statDescriptor(fd: number): { readonly kind: FileKind; readonly size: number } {
  const AT_EMPTY_PATH = 0x1000;
  const STATX_TYPE_AND_SIZE = 0x201;
  const result = new DataView(new ArrayBuffer(256));
  const called = syscall(syscallNumber("statx"), fd, cString(""), AT_EMPTY_PATH, STATX_TYPE_AND_SIZE, result);
  orThrow(`descriptor ${fd}`, called);
  const kinds: Record<number, FileKind> = {
    0o100000: "file",
    0o040000: "directory",
    0o060000: "block device",
  };
  return {
    kind: kinds[result.getUint16(28, true) & 0o170000] ?? "other",
    size: Number(result.getBigUint64(40, true)),
  };
}

/** All of a small file, such as those of /proc, or undefined where it can't be read. */
export function readSmallFile(path: string): string | undefined {
  const fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return undefined;
  const piece = new Uint8Array(4096);
  const decoder = new TextDecoder();
  let text = "";
  for (let count = readInto(fd, piece, piece.length); count > 0; count = readInto(fd, piece, piece.length)) {
    text += decoder.decode(piece.subarray(0, count), { stream: true });
  }
  close(fd);
  return text;
}

/**
 * Writes text whole, whatever the descriptor is. The runtime's own process.stdout takes six milliseconds to make
 * and needs system calls that a confined tender has given up.
 */
export function printTo(fd: number, text: string | Uint8Array): void {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  for (let done = 0; done < bytes.length;) {
    const count = writeFrom(fd, bytes.subarray(done), bytes.length - done);
    if (count >= 0) done += count;
    else if (count === -ERRNO.EAGAIN) ppoll(new Int32Array([fd, POLLOUT]), 1, null);
    else if (count !== -ERRNO.EINTR) return;
  }
}

/** To standard output. */
export const print = (text: string | Uint8Array) => printTo(1, text);
/** To standard error. */
export const printError = (text: string) => printTo(2, text);

const F_GETFD = 1;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;

/** Whether the descriptor is open. */
export function isOpen(fd: number): boolean {
  return c.fcntl(fd, F_GETFD, 0) !== -1;
}

/** Whether the descriptor was opened for reading only. */
export function isReadOnly(fd: number): boolean {
  const O_ACCMODE = 3;
  return (negative(c.fcntl(fd, F_GETFL, 0)) & O_ACCMODE) === O_RDONLY;
}

/** Makes reads and writes answer EAGAIN instead of waiting. Answers 0 or -errno. */
export function setNonBlocking(fd: number): number {
  const flags = negative(c.fcntl(fd, F_GETFL, 0));
  return flags < 0 ? flags : negative(c.fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

/** Makes reads and writes wait again. A descriptor that isn't open stays as it is. */
export function setBlocking(fd: number): void {
  const flags = c.fcntl(fd, F_GETFL, 0);
  if (flags !== -1 && (flags & O_NONBLOCK) !== 0) c.fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

/** Whether the descriptor is closed by exec. */
export function setCloseOnExec(fd: number, closed: boolean): void {
  orThrow(`descriptor ${fd}`, negative(c.fcntl(fd, F_SETFD, closed ? 1 : 0)));
}

const MFD_CLOEXEC = 1;

/** A file that exists in memory only and holds these bytes; closed by exec. Throws OsError. */
export function memoryFile(name: string, bytes: Uint8Array): number {
  const fd = orThrow("memory file", syscall(syscallNumber("memfd_create"), cString(name), MFD_CLOEXEC));
  for (let done = 0; done < bytes.length;) {
    done += orThrow("memory file", writeFrom(fd, bytes.subarray(done), bytes.length - done));
  }
  return fd;
}

export const POLLIN = 1;
export const POLLOUT = 4;

/**
 * ppoll(2). `fds` holds `count` records of 8 bytes {fd i32, events i16, revents i16}; `timeout` the four
 * words of two i64, seconds and nanoseconds, or null to wait without end. Number of ready records, or -errno.
 */
export function ppoll(fds: Bytes, count: number, timeout: Uint32Array | null): number {
  return negative(c.ppoll(fds as NodeJS.TypedArray, count, timeout, 0));
}

/** A new socket or -errno. */
export function socket(domain: number, type: number, protocol: number): number {
  return negative(c.socket(domain, type, protocol));
}

/* ---- memory ---- */

export const PROT_NONE = 0;
export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const PROT_EXEC = 4;
export const MAP_SHARED = 1;
export const MAP_PRIVATE = 2;
export const MAP_ANONYMOUS = 0x20;
export const MAP_NORESERVE = 0x4000;

/** Maps `length` bytes where the kernel likes and answers the address. Throws OsError. */
export function mmap(length: number, protection: number, flags: number, fd = -1, offset = 0): Address {
  return orThrow(`mapping ${length} bytes`, negative(c.mmap(0, length, protection, flags, fd, offset)));
}

/** Changes the protection of whole pages. Throws OsError. */
export function mprotect(address: Address, length: number, protection: number): void {
  orThrow(`protecting ${length} bytes`, negative(c.mprotect(address, length, protection)));
}

export function munmap(address: Address, length: number): void {
  c.munmap(address, length);
}

/** Which 4 KiB pages are resident: one byte a page, lowest bit. False where the kernel won't tell. */
export function mincore(address: Address, length: number, pages: Uint8Array): boolean {
  return c.mincore(address, length, pages) === 0;
}

/* ---- process ---- */

export const SIGINT = 2;
export const SIGPIPE = 13;
export const SIGTERM = 15;

/**
 * Sets a signal's handler to machine code at `handler`, or to 0 (default) or 1 (ignore).
 * struct sigaction of glibc: handler @0, mask 128 bytes @8, flags i32 @136, restorer @144.
 */
export function sigaction(signal: number, handler: Address | 0 | 1): void {
  const action = new DataView(new ArrayBuffer(152));
  action.setBigUint64(0, BigInt(handler), true);
  orThrow(`handling signal ${signal}`, negative(c.sigaction(signal, action as never, 0)));
}

/** prctl(2): its result, or -errno. */
export function prctl(option: number, a: number | bigint = 0, b: number | bigint = 0): number {
  return negative(c.prctl(option, a, b, 0, 0));
}

/**
 * Becomes another user for good, on every thread of the process (libc tells its threads; the bare system
 * calls would change one). Supplementary groups are dropped. Throws OsError.
 */
export function becomeUser(uid: number, gid: number): void {
  orThrow("dropping groups", negative(c.setgroups(0, null)));
  orThrow(`becoming group ${gid}`, negative(c.setresgid(gid, gid, gid)));
  orThrow(`becoming user ${uid}`, negative(c.setresuid(uid, uid, uid)));
}

/** Ends the process at once, all threads, without any clean-up of the runtime's. */
export function exitGroup(status: number): never {
  c.syscall(syscallNumber("exit_group"), status, 0, 0, 0, 0, 0);
  throw new Error("exit_group returned");
}

export const CLOCK_REALTIME = 0;
export const CLOCK_MONOTONIC = 1;

/** Reads a clock into four words: seconds low and high, nanoseconds, zero. */
export function clockGettime(clock: number, into: Uint32Array): void {
  c.clock_gettime(clock, into);
}

type Argument = number | bigint | Bytes;

/** Any system call by its number (see syscalls.ts): its result, or -errno. */
export function syscall(number: number, ...args: Argument[]): number {
  const a = args.map((x) => (typeof x === "number" || typeof x === "bigint" ? x : addressOf(x)));
  return negative(c.syscall(number, a[0] ?? 0, a[1] ?? 0, a[2] ?? 0, a[3] ?? 0, a[4] ?? 0, a[5] ?? 0));
}
