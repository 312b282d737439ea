/**
 * Block devices on a regular file or a host's block device. Their size is fixed when they are attached, and from
 * then on they are locked: the lock lies on the open descriptor, which the guest's process keeps, so it lasts
 * exactly as long as the guest, whoever else dies.
 */
import { ERRNO, errnoText } from "../../linux/errno.ts";
import { openLocked } from "../../linux/file-lock.ts";
import { O_CLOEXEC, O_RDONLY, O_RDWR, close, sizeOf } from "../../linux/libc.ts";
import { describeHolders, lockHolders } from "../../linux/lock-holders.ts";
import { TenderError } from "../tender-error.ts";

export interface BlockFile {
  readonly fd: number;
  /** Bytes, a multiple of the sector size. */
  readonly capacity: number;
}

export const DEFAULT_SECTOR_SIZE = 512;

/** Whether a sector size is one: a power of two from 512 to 32768 (it is a 16-bit field to the guest). */
export function isSectorSize(size: number): boolean {
  return Number.isInteger(size) && size >= 512 && size <= 32768 && (size & (size - 1)) === 0;
}

/**
 * Opens the backing storage of a block device for reading and writing, and locks it against all others; or
 * read-only, and then it may be shared with others who only read. Throws TenderError block-device: missing, not
 * permitted, in use, empty, or not a whole number of sectors.
 */
export function openBlockFile(
  path: string,
  sectorSize: number,
  { readOnly = false }: { readonly readOnly?: boolean } = {},
): BlockFile {
  const flags = (readOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC;
  const fd = openLocked(path, flags, readOnly ? "shared" : "exclusive");
  if (fd === -ERRNO.EAGAIN) refuseInUse(path);
  if (fd < 0) {
    throw new TenderError(
      "block-device",
      `could not open block device: ${path}: ${errnoText(-fd)}`,
      fd === -ERRNO.ENOENT ? { hint: `truncate --size 16M ${path}` } : {},
    );
  }
  const capacity = sizeOf(fd);
  try {
    if (capacity < 0) refuse(`${path}: its size can't be found: ${errnoText(-capacity)}`);
    if (capacity % sectorSize !== 0) {
      refuse(`${path}: Backing storage size must be block aligned`, {
        why: `${capacity} bytes are not a multiple of ${sectorSize}`,
        hint: `truncate --size %${sectorSize} ${path}`,
      });
    }
    if (capacity < sectorSize) {
      refuse(`${path}: Backing storage must be at least 1 block (${sectorSize} bytes) in size`, {
        hint: `truncate --size 16M ${path}`,
      });
    }
    return { fd, capacity };
  } catch (error) {
    close(fd);
    throw error;
  }
}

function refuseInUse(path: string): never {
  const holders = lockHolders(path);
  if (holders.some(({ pid }) => pid === process.pid)) {
    refuse(`${path}: the same file is given to two block devices`, {
      why: "a block device has its storage for itself, or the two would destroy each other's data",
      hint: "a file of its own for each",
    });
  }
  const known = describeHolders(holders);
  refuse(`${path}: in use by another process`, {
    ...(known === undefined ? {} : { why: `${known} has it locked` }),
    hint: known === undefined ? `sudo fuser -v ${path}` : "stop that one, or use a file of its own",
  });
}

function refuse(message: string, more: { why?: string; hint?: string } = {}): never {
  throw new TenderError("block-device", message, more);
}
