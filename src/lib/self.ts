/** How to start this very program again, and where its file is. */
import { existsSync } from "node:fs";
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

/**
 * A path by which the compiled executable is found: its own, also when an upgrade has put another file there, which the
 * kernel says of the path's end. Where there is none any more, the kernel's link to it.
 */
export function executablePath(): string {
  const path = process.execPath.replace(/ \(deleted\)$/, "");
  return existsSync(path) ? path : "/proc/self/exe";
}
