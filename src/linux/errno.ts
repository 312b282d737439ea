/**
 * Names and sentences of the error numbers robur meets. The numbers are those of
 * include/uapi/asm-generic/errno*.h, equal on x86_64 and aarch64.
 */
const TABLE = {
  EPERM: [1, "Operation not permitted"],
  ENOENT: [2, "No such file or directory"],
  ESRCH: [3, "No such process"],
  EINTR: [4, "Interrupted system call"],
  EIO: [5, "Input/output error"],
  ENXIO: [6, "No such device or address"],
  E2BIG: [7, "Argument list too long"],
  EBADF: [9, "Bad file descriptor"],
  EAGAIN: [11, "Resource temporarily unavailable"],
  ENOMEM: [12, "Cannot allocate memory"],
  EACCES: [13, "Permission denied"],
  EFAULT: [14, "Bad address"],
  EBUSY: [16, "Device or resource busy"],
  EEXIST: [17, "File exists"],
  ENODEV: [19, "No such device"],
  ENOTDIR: [20, "Not a directory"],
  EISDIR: [21, "Is a directory"],
  EINVAL: [22, "Invalid argument"],
  EMFILE: [24, "Too many open files"],
  ENOTTY: [25, "Inappropriate ioctl for device"],
  ETXTBSY: [26, "Text file busy"],
  EFBIG: [27, "File too large"],
  ENOSPC: [28, "No space left on device"],
  ESPIPE: [29, "Illegal seek"],
  EROFS: [30, "Read-only file system"],
  EPIPE: [32, "Broken pipe"],
  ERANGE: [34, "Numerical result out of range"],
  ENAMETOOLONG: [36, "File name too long"],
  ENOSYS: [38, "Function not implemented"],
  ELOOP: [40, "Too many levels of symbolic links"],
  EBADFD: [77, "File descriptor in bad state"],
  EOPNOTSUPP: [95, "Operation not supported"],
  EAFNOSUPPORT: [97, "Address family not supported by protocol"],
  ENETDOWN: [100, "Network is down"],
  ENOBUFS: [105, "No buffer space available"],
} as const;

export type ErrnoName = keyof typeof TABLE;

/** The number of an error name. */
export const ERRNO = Object.fromEntries(Object.entries(TABLE).map(([name, [number]]) => [name, number])) as {
  readonly [name in ErrnoName]: (typeof TABLE)[name][0];
};

const BY_NUMBER = new Map<number, readonly [name: string, text: string]>(
  Object.entries(TABLE).map(([name, [number, text]]) => [number, [name, text]]),
);

/** "EBUSY" for 16; "errno 131" for a number without a name here. */
export function errnoName(errno: number): string {
  return BY_NUMBER.get(errno)?.[0] ?? `errno ${errno}`;
}

/** "Device or resource busy" for 16. */
export function errnoText(errno: number): string {
  return BY_NUMBER.get(errno)?.[1] ?? `error number ${errno}`;
}
