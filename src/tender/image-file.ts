/** An image file on disk: opened once, read by descriptor from then on, so that it can't change its name under us. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { ImageError } from "./image-error.ts";
import type { ImageSource } from "./source.ts";
import { RoburError } from "../lib/errors.ts";

export interface OpenImage {
  readonly path: string;
  readonly fd: number;
  readonly source: ImageSource;
  close(): void;
}

/** The file can't be read. */
export class ImageFileError extends RoburError<"missing" | "not-permitted" | "not-a-file" | "unreadable"> {}

/** Opens a regular file read-only. Throws ImageFileError. */
export function openImage(path: string): OpenImage {
  const fd = tryOpen(path);
  const stat = fstatSync(fd);
  if (!stat.isFile()) {
    closeSync(fd);
    const what = stat.isDirectory() ? "a directory" : "not a regular file";
    throw new ImageFileError("not-a-file", `${path}: ${what}, an image file is needed`);
  }
  const source: ImageSource = {
    size: stat.size,
    read(offset, length) {
      if (offset >= stat.size) return new Uint8Array(0);
      const bytes = new Uint8Array(Math.min(length, stat.size - offset));
      let done = 0;
      while (done < bytes.length) {
        const count = readSync(fd, bytes, done, bytes.length - done, offset + done);
        if (count === 0) break;
        done += count;
      }
      return bytes.subarray(0, done);
    },
  };
  return { path, fd, source, close: () => closeSync(fd) };
}

function tryOpen(path: string): number {
  try {
    return openSync(path, "r");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") {
      throw new ImageFileError("missing", `${path}: no such file`, {
        hint: "robur run hello.hvt runs the built-in image",
      });
    }
    if (code === "EACCES" || code === "EPERM") {
      throw new ImageFileError("not-permitted", `${path}: permission denied`, { hint: `ls -l ${path}` });
    }
    throw new ImageFileError("unreadable", `${path}: ${code ?? String(error)}`, { cause: error });
  }
}

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
