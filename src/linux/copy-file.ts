/**
 * What the kernel does better than a loop of reads and writes: sharing blocks between files, finding the holes of
 * a sparse file, and giving a file a name only if it is free.
 */
import { ERRNO } from "./errno.ts";
import { cString, ioctl, syscall } from "./libc.ts";

/** Numbers that nothing else here needs, for x86_64 and aarch64 (the same sources as syscalls.ts). */
const NUMBERS = { lseek: [8, 62], renameat2: [316, 276] } as const;
const number = (name: keyof typeof NUMBERS) => NUMBERS[name][process.arch === "arm64" ? 1 : 0];

/** _IOW(0x94, 9, int), include/uapi/linux/fs.h */
const FICLONE = 0x4004_9409;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const AT_FDCWD = -100n;
const RENAME_NOREPLACE = 1;

/**
 * Makes the whole of `to` share the blocks of `from`, in an instant and at one moment in time: 0, or -errno where
 * the file system can't (btrfs, XFS and some others can), or the two are on different ones.
 */
export function shareBlocks(from: number, to: number): number {
  return ioctl(to, FICLONE, from);
}

export interface Extent {
  readonly start: number;
  /** One past its last byte. */
  readonly end: number;
}

/**
 * The next part of a file that isn't a hole, at or behind `offset` and before `size`; undefined: only holes
 * follow. A file system without holes answers the whole rest. Moves the descriptor's position.
 */
export function nextData(fd: number, offset: number, size: number): Extent | undefined {
  const start = syscall(number("lseek"), fd, offset, SEEK_DATA);
  if (start === -ERRNO.ENXIO || start >= size) return undefined;
  if (start < 0) return { start: offset, end: size };
  const end = syscall(number("lseek"), fd, start, SEEK_HOLE);
  return { start, end: end < 0 ? size : Math.min(end, size) };
}

/**
 * Gives a file another name in one step, unless there is a file of that name: 0 or -errno, -EEXIST then, -EINVAL
 * where the file system can't do that in one step.
 */
export function renameToFree(from: string, to: string): number {
  return syscall(number("renameat2"), AT_FDCWD, cString(from), AT_FDCWD, cString(to), RENAME_NOREPLACE);
}
