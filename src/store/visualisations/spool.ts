/** A content as a file without a name, for a thread that reads it here and there. It is gone with the process. */
import { randomUUID } from "node:crypto";
import { closeSync, constants, openSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Content, ContentStore } from "../api.ts";
import type { OpenFile } from "./messages.ts";

export interface SpooledContent extends OpenFile, Disposable {}

/** O_TMPFILE of open(2) with O_DIRECTORY, which node:fs doesn't name. */
const O_TMPFILE = 0o20_200_000;

/** Copies a content into it. */
export async function spool(contents: ContentStore, content: Content): Promise<SpooledContent> {
  const fd = openNameless(tmpdir());
  try {
    for await (const bytes of contents.read(content)) {
      for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return { fd, size: content.size, [Symbol.dispose]: () => closeSync(fd) };
}

function openNameless(directory: string): number {
  try {
    return openSync(directory, constants.O_RDWR | O_TMPFILE, 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Kernels and file systems that know no such files.
    if (code !== "EISDIR" && code !== "EOPNOTSUPP" && code !== "EINVAL") throw error;
  }
  const path = join(directory, `robur-${randomUUID()}`);
  const fd = openSync(path, "wx+", 0o600);
  unlinkSync(path);
  return fd;
}
