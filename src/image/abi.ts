/** The ABI1 note: which tender an image is for, and which version of its interface. */
import type { Elf } from "./elf.ts";
import { ImageError } from "./image-error.ts";
import { findAbiNote } from "./notes.ts";
import { type ImageSource, fieldsOf } from "./source.ts";

export type Target = "hvt" | "spt" | "virtio" | "muen" | "genode" | "xen";

/** By the number in the note. */
const TARGETS: readonly (Target | undefined)[] = [undefined, "hvt", "spt", "virtio", "muen", "genode", "xen"];

export interface Abi {
  /** "unknown" for a number that no Solo5 release has given out. */
  readonly target: Target | "unknown";
  readonly version: number;
}

/**
 * The versions that robur's tenders run. Solo5 raised hvt and spt from 1 to 2 for a change in the ELF segments
 * alone; a loader that skips empty segments runs both.
 */
export const SUPPORTED_VERSIONS: readonly number[] = [1, 2];

/** The image's ABI, or undefined where it has no such note. Throws ImageError invalid-note. */
export function readAbi(source: ImageSource, elf: Elf): Abi | undefined {
  const content = findAbiNote(source, elf);
  if (content === undefined) return undefined;
  if (content.length < 8)
    throw new ImageError("invalid-note", "invalid executable: the ABI1 note is too short");
  const view = fieldsOf(content);
  return { target: TARGETS[view.getUint32(0, true)] ?? "unknown", version: view.getUint32(4, true) };
}
