/**
 * The image that a command line names: a file, or one of the unikernels built into the executable. A file of
 * that name in the current directory comes first.
 */
import { base64Of } from "./embed.ts" with { type: "macro" };
import { ImageFileError, type OpenImage, openImage } from "../tender/image-file.ts";
import { bytesSource } from "../image/source.ts";
import { close, memoryFile } from "../linux/libc.ts";

/** By name, in base64. */
const BUILT_IN: Readonly<Record<string, string>> = {
  "hello.hvt": base64Of("assets/hello/hello.hvt"),
  "hello.spt": base64Of("assets/hello/hello.spt"),
  "hello.virtio": base64Of("assets/hello/hello.virtio"),
};

export interface FoundImage extends OpenImage {
  readonly isBuiltIn: boolean;
}

/** Opens the image. Throws ImageFileError. */
export function findImage(name: string): FoundImage {
  const inside = Object.hasOwn(BUILT_IN, name) ? BUILT_IN[name] : undefined;
  if (inside === undefined) return { ...openImage(name), isBuiltIn: false };
  try {
    return { ...openImage(name), isBuiltIn: false };
  } catch (error) {
    if (!(error instanceof ImageFileError) || error.code !== "missing") throw error;
  }
  // A tender reads its image by descriptor, and what is inside the executable has none.
  const bytes = Uint8Array.fromBase64(inside);
  const fd = memoryFile(name, bytes);
  return { path: name, fd, source: bytesSource(bytes), isBuiltIn: true, close: () => close(fd) };
}

/** What to say about which image is used, where two could be meant; undefined where there is no doubt. */
export function sayWhich(image: FoundImage): string | undefined {
  if (image.isBuiltIn) return `using the built-in ${image.path} (there is no ./${image.path})`;
  return Object.hasOwn(BUILT_IN, image.path) ? `using ./${image.path}` : undefined;
}
