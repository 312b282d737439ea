/**
 * An image file on disk: opened once and read by descriptor from then on, so that nobody can put another file in
 * its place between the checks and the start. By libc and not by node:fs, which takes a millisecond to load: a
 * fifth of what the whole start of a unikernel takes.
 */
import { RoburError } from "../lib/errors.ts";
import type { ImageSource } from "../image/source.ts";
import { ERRNO, errnoText } from "../linux/errno.ts";
import { O_CLOEXEC, O_RDONLY, close, open, preadInto, statDescriptor } from "../linux/libc.ts";

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
  const fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw whyNot(path, -fd);
  const { kind, size } = statDescriptor(fd);
  if (kind !== "file") {
    close(fd);
    throw new ImageFileError(
      "not-a-file",
      `${path}: ${kind === "directory" ? "a directory" : "not a regular file"}`,
      {
        why: "an image is a regular file",
      },
    );
  }
  return { path, fd, source: descriptorSource(fd, size), close: () => close(fd) };
}

/** Reads an open file of `size` bytes at any place. */
export function descriptorSource(fd: number, size: number): ImageSource {
  return {
    size,
    read(offset, length) {
      if (offset >= size || length === 0) return new Uint8Array(0);
      const bytes = new Uint8Array(Math.min(length, size - offset));
      let done = 0;
      while (done < bytes.length) {
        const count = preadInto(fd, bytes.subarray(done), bytes.length - done, offset + done);
        if (count < 0)
          throw new ImageFileError("unreadable", `the image can't be read: ${errnoText(-count)}`);
        if (count === 0) break;
        done += count;
      }
      return bytes.subarray(0, done);
    },
  };
}

function whyNot(path: string, errno: number): ImageFileError {
  if (errno === ERRNO.ENOENT || errno === ERRNO.ENOTDIR) {
    return new ImageFileError("missing", `${path}: no such file`, {
      hint: "robur run hello.hvt, which is built in",
    });
  }
  if (errno === ERRNO.EACCES || errno === ERRNO.EPERM) {
    return new ImageFileError("not-permitted", `${path}: permission denied`, { hint: `ls -l ${path}` });
  }
  return new ImageFileError("unreadable", `${path}: ${errnoText(errno)}`);
}
