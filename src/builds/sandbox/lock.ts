/** Waiting for a lock file that other processes hold for long. */
import { ERRNO } from "../../linux/errno.ts";
import { openLocked } from "../../linux/file-lock.ts";
import { O_CLOEXEC, O_CREAT, O_RDWR, OsError, close, open } from "../../linux/libc.ts";

const PAUSE_MS = 200;

/** Locks a file, made if need be, until disposed of. `onWait` is called once if others have it. Throws OsError. */
export async function waitForLock(path: string, onWait: () => void = () => {}): Promise<Disposable> {
  for (let isFirst = true; ; isFirst = false) {
    const fd = tryLockFile(path);
    if (fd !== undefined) return { [Symbol.dispose]: () => close(fd) };
    if (isFirst) onWait();
    await Bun.sleep(PAUSE_MS);
  }
}

/** The locked descriptor; undefined where somebody else has it. Throws OsError. */
function tryLockFile(path: string): number | undefined {
  const made = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600);
  if (made < 0) throw new OsError(path, -made);
  close(made);
  const fd = openLocked(path, O_RDWR | O_CLOEXEC, "exclusive");
  if (fd === -ERRNO.EAGAIN) return undefined;
  if (fd < 0) throw new OsError(path, -fd);
  return fd;
}
