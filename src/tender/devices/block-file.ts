/** Block devices on a regular file or a host's block device. Their size is fixed when they are attached. */
import { O_CLOEXEC, O_RDWR, close, open, sizeOf } from "../../linux/libc.ts";
import { ERRNO, errnoText } from "../../linux/errno.ts";
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
 * Opens the backing storage of a block device for reading and writing.
 * Throws TenderError block-device: missing, read-only, empty, or not a whole number of sectors.
 */
export function openBlockFile(path: string, sectorSize: number): BlockFile {
  const fd = open(path, O_RDWR | O_CLOEXEC);
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

function refuse(message: string, more: { why?: string; hint?: string } = {}): never {
  throw new TenderError("block-device", message, more);
}
