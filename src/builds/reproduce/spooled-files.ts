/**
 * Files of builds, put into a directory of our own under names of our own: what they are called in the build is only
 * text, and never a path of this machine.
 */
import { join } from "node:path";
import { sha256Text } from "../../lib/sha256.ts";
import type { ImageSource } from "../../image/source.ts";
import { type OpenImage, openImage } from "../../tender/image-file.ts";
import type { OutputFile } from "./outputs.ts";

export class SpooledFiles implements Disposable {
  readonly #directory: string;
  readonly #open: OpenImage[] = [];
  #count = 0;

  /** `directory` is there, and is the caller's to remove. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Writes a file. Throws what the bytes throw, and the file system's errors. */
  async add(path: string, bytes: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<OutputFile> {
    const place = join(this.#directory, String(this.#count++));
    const hash = new Bun.CryptoHasher("sha256");
    const writer = Bun.file(place).writer();
    let size = 0;
    try {
      for await (const part of bytes) {
        hash.update(part);
        size += part.length;
        writer.write(part);
        await writer.flush();
      }
    } finally {
      await writer.end();
    }
    return {
      ...{ path, size, place, sha256: sha256Text(new Uint8Array(hash.digest())) },
      source: this.#sourceOf(place, size),
    };
  }

  /** A build may have more files than a process may have open: only those that are read are opened. */
  #sourceOf(place: string, size: number): ImageSource {
    let file: OpenImage | undefined;
    return {
      size,
      read: (offset, length) => {
        if (file === undefined) this.#open.push((file = openImage(place)));
        return file.source.read(offset, length);
      },
    };
  }

  [Symbol.dispose](): void {
    for (const file of this.#open.splice(0)) file.close();
  }
}
