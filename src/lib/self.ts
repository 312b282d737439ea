/** How to start this very program again. */
import { join } from "node:path";

/**
 * The command line of this program, to put arguments behind. The compiled one is named by the kernel's link to it,
 * which goes on leading to the same file after an upgrade has put another one in its place.
 */
export function selfCommand(): string[] {
  return Bun.isStandaloneExecutable
    ? ["/proc/self/exe"]
    : [process.execPath, join(import.meta.dir, "../main.ts")];
}
