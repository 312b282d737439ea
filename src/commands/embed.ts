/**
 * Runs while the executable is built (a macro of the bundler), not in it: puts a file's bytes into the program
 * as text. For files of a few kilobytes that are needed at once: reading one out of the executable would load
 * node:fs first, which takes as long as booting the unikernel.
 */
import { readFileSync } from "node:fs";

/** A file in base64; `path` from the project's root. */
export function base64Of(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url)).toString("base64");
}
