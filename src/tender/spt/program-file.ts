/** Executable files that exist for one start: in memory, or where that is forbidden, without a name on a disk. */
import { errnoText, ERRNO } from "../../linux/errno.ts";
import {
  O_CLOEXEC,
  O_RDONLY,
  O_TMPFILE,
  O_WRONLY,
  OsError,
  cString,
  close,
  open,
  pwriteFrom,
  syscall,
} from "../../linux/libc.ts";
import { syscallNumber } from "../../linux/syscalls.ts";
import { TenderError } from "../tender-error.ts";
import type { Pieces } from "./launcher-image.ts";

const MFD_CLOEXEC = 1;
/** Linux 6.3: asks for a file that may be executed; vm.memfd_noexec=1 is the default to the contrary. */
const MFD_EXEC = 0x10;
const AT_FDCWD = -100n;
const X_OK = 1;

/**
 * A file that can be executed by its descriptor, which is closed by exec. `contents` is called with that
 * descriptor, for a program that refers to itself. Throws TenderError sandbox-failed where the system forbids
 * programs in memory (vm.memfd_noexec=2) and in every temporary directory.
 */
export function openProgram(name: string, contents: (fd: number) => Pieces): number {
  const fd = createMemoryFile(name);
  if (fd < 0) return openTemporaryProgram(contents, -fd);
  writePieces(fd, contents(fd));
  return fd;
}

function createMemoryFile(name: string): number {
  const create = (flags: number) => syscall(syscallNumber("memfd_create"), cString(name), flags);
  const fd = create(MFD_CLOEXEC | MFD_EXEC);
  // A kernel that doesn't know the second flag lets every memory file be executed.
  return fd === -ERRNO.EINVAL ? create(MFD_CLOEXEC) : fd;
}

function openTemporaryProgram(contents: (fd: number) => Pieces, errno: number): number {
  for (const directory of [process.env["TMPDIR"], "/tmp", "/var/tmp", "/dev/shm"]) {
    const writer = open(directory ?? "/tmp", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0o500);
    if (writer < 0) continue;
    try {
      const path = `/proc/self/fd/${writer}`;
      const fd = mayExecute(path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
      if (fd < 0) continue;
      writePieces(writer, contents(fd));
      return fd;
    } finally {
      // A file that somebody can write to can't be executed.
      close(writer);
    }
  }
  throw new TenderError("sandbox-failed", "this system allows no program to be made for the unikernel", {
    why: `in memory: ${errnoText(errno)}; and every temporary directory is read-only or mounted noexec`,
    hint: "sudo sysctl vm.memfd_noexec=1, or set TMPDIR to a directory where programs may be executed",
  });
}

/** On a file system that is mounted noexec nobody may. */
function mayExecute(path: string): boolean {
  return syscall(syscallNumber("faccessat"), AT_FDCWD, cString(path), X_OK) === 0;
}

function writePieces(fd: number, pieces: Pieces): void {
  for (const { offset, bytes } of pieces) {
    const count = pwriteFrom(fd, bytes, bytes.length, offset);
    if (count !== bytes.length) throw new OsError("writing a program", count < 0 ? -count : ERRNO.ENOSPC);
  }
}
