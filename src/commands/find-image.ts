/**
 * The image that a command line names: a file, or one of the unikernels built into the executable. A file of
 * that name in the current directory comes first.
 */
import helloHvt from "../../assets/hello/hello.hvt" with { type: "file" };
import helloSpt from "../../assets/hello/hello.spt" with { type: "file" };
import helloVirtio from "../../assets/hello/hello.virtio" with { type: "file" };
import { ImageFileError, type OpenImage, openImage } from "../tender/image-file.ts";
import { bytesSource } from "../image/source.ts";
import { close, memoryFile } from "../linux/libc.ts";

/** By name: where the executable keeps its bytes. */
const BUILT_IN: Readonly<Record<string, string>> = {
  "hello.hvt": helloHvt,
  "hello.spt": helloSpt,
  "hello.virtio": helloVirtio,
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
  const { readFileSync } = require("node:fs") as typeof import("node:fs");
  const bytes = readFileSync(inside);
  const fd = memoryFile(name, bytes);
  return { path: name, fd, source: bytesSource(bytes), isBuiltIn: true, close: () => close(fd) };
}

/** What to say about which image is used, where two could be meant; undefined where there is no doubt. */
export function sayWhich(image: FoundImage): string | undefined {
  if (image.isBuiltIn) return `using the built-in ${image.path} (there is no ./${image.path})`;
  return Object.hasOwn(BUILT_IN, image.path) ? `using ./${image.path}` : undefined;
}
