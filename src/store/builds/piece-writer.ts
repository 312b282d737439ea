/** Puts small pieces together before they are written: a content's writer is made for large ones. */
import { KIB } from "../../lib/units.ts";
import type { Content, ContentWriter } from "../api.ts";

/** What is worth a writing. */
export const PIECE = 64 * KIB;

export class PieceWriter implements AsyncDisposable {
  readonly #writer: ContentWriter;
  #pieces: Uint8Array[] = [];
  #held = 0;

  constructor(writer: ContentWriter) {
    this.#writer = writer;
  }

  /** Takes a copy of the bytes. */
  add(bytes: Uint8Array): void {
    this.#pieces.push(bytes.slice());
    this.#held += bytes.length;
  }

  /** Writes what is held, when it is at least so much. */
  async flush(least: number): Promise<void> {
    if (this.#held === 0 || this.#held < least) return;
    const bytes = Buffer.concat(this.#pieces);
    [this.#pieces, this.#held] = [[], 0];
    await this.#writer.write(bytes);
  }

  async finish(): Promise<Content> {
    return await this.#writer.finish();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]();
  }
}
