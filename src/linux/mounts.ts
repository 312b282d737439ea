/** mount(2) and umount2(2). */
import { OsError, cString, syscall } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";

export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_BIND = 0x1000;
const MNT_DETACH = 2;

/** Mounts. Throws OsError, which names the target. */
export function mount(source: string, target: string, type: string, flags: number, options: string): void {
  const texts = [source, target, type].map(cString);
  const result = syscall(syscallNumber("mount"), texts[0]!, texts[1]!, texts[2]!, flags, cString(options));
  if (result < 0) throw new OsError(`mounting ${type || source} at ${target}`, -result);
}

/** Takes a mount away at once; files that are still open keep it alive, unseen. 0, or -errno. */
export function detachMount(target: string): number {
  return syscall(syscallNumber("umount2"), cString(target), MNT_DETACH);
}
