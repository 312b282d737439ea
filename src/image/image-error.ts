import { RoburError } from "../lib/errors.ts";

/** Everything that can be wrong with a unikernel file. */
export type ImageErrorCode =
  /** Not an ELF file at all. */
  | "not-elf"
  /** An ELF file, but not a 64-bit little-endian static executable of a known machine. */
  | "unsupported-elf"
  /** An ELF file whose headers point outside of it or contradict each other. */
  | "invalid-elf"
  /** An ELF executable without Solo5 notes: a program of some operating system. */
  | "not-a-unikernel"
  | "no-abi-note"
  | "no-manifest"
  | "invalid-note"
  | "invalid-manifest"
  /** Made for another machine than this. */
  | "wrong-machine"
  /** A unikernel for a target that the asking tender does not run. */
  | "wrong-target"
  | "unsupported-abi-version"
  /** A segment that can't be loaded as it says. */
  | "invalid-segment"
  /** Sound, but it needs more memory than it was given. */
  | "too-little-memory";

/** A unikernel file is not acceptable. `message` has the reason; the file's name is the caller's to add. */
export class ImageError extends RoburError<ImageErrorCode> {}

/** Gives an image's error the name of its file. */
export function nameFile<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    throw new ImageError(error.code, `${path}: ${error.message}`, {
      ...(error.why === undefined ? {} : { why: error.why }),
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      cause: error,
    });
  }
}
