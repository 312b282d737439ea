/** Lock files that other processes hold, some for minutes. */
import { ERRNO } from "../../linux/errno.ts";
import { type LockKind, openLocked } from "../../linux/file-lock.ts";
import { O_CLOEXEC, O_CREAT, O_RDWR, OsError, close } from "../../linux/libc.ts";

const PAUSE_MS = 50;

/** Locks a file, made if need be, until disposed of; undefined where others have it. Throws OsError. */
export function tryLock(path: string, kind: LockKind = "exclusive"): Disposable | undefined {
  const fd = openLocked(path, O_RDWR | O_CREAT | O_CLOEXEC, kind, 0o600);
  if (fd >= 0) return { [Symbol.dispose]: () => close(fd) };
  if (fd === -ERRNO.EAGAIN) return undefined;
  throw new OsError(path, -fd);
}

/** As soon as others let go of it. `onWait` is called once if they have it. Throws OsError. */
export async function waitForLock(
  path: string,
  kind: LockKind,
  onWait: () => void = () => {},
): Promise<Disposable> {
  for (let isFirst = true; ; isFirst = false) {
    const lock = tryLock(path, kind);
    if (lock !== undefined) return lock;
    if (isFirst) onWait();
    await Bun.sleep(PAUSE_MS);
  }
}
