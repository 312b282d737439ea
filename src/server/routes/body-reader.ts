/** A request's body in parts: a line, so many bytes, the rest. Nothing is held that wasn't asked for. */
import { HttpError } from "../http/http-error.ts";

const NEWLINE = 10;

interface BytesReader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
}

export class BodyReader {
  readonly #reader: BytesReader | undefined;
  #piece: Uint8Array = new Uint8Array();

  constructor(body: ReadableStream<Uint8Array> | null) {
    this.#reader = body?.getReader();
  }

  /** The bytes before the next line end, at most `limit`. Throws HttpError. */
  async line(limit: number): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let size = 0;
    for (;;) {
      if (this.#piece.length === 0 && !(await this.#fill())) throw cutShort();
      const end = this.#piece.indexOf(NEWLINE);
      const part = end < 0 ? this.#piece : this.#piece.subarray(0, end);
      pieces.push(part);
      size += part.length;
      if (size > limit) throw tooLarge(limit);
      this.#piece = end < 0 ? new Uint8Array() : this.#piece.subarray(end + 1);
      if (end >= 0) return Buffer.concat(pieces);
    }
  }

  /** Exactly so many bytes, as they come. Throws HttpError when there are fewer. */
  async *take(size: number): AsyncGenerator<Uint8Array, void> {
    for (let left = size; left > 0;) {
      if (this.#piece.length === 0 && !(await this.#fill())) throw cutShort();
      const part = this.#piece.subarray(0, left);
      this.#piece = this.#piece.subarray(part.length);
      left -= part.length;
      yield part;
    }
  }

  /** All that is left, at most `limit` bytes. Throws HttpError. */
  async rest(limit: number): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let size = 0;
    do {
      size += this.#piece.length;
      if (size > limit) throw tooLarge(limit);
      pieces.push(this.#piece);
    } while (await this.#fill());
    return new Uint8Array(Buffer.concat(pieces));
  }

  async #fill(): Promise<boolean> {
    this.#piece = new Uint8Array();
    const { done, value } = (await this.#reader?.read()) ?? { done: true, value: undefined };
    if (done || value === undefined) return false;
    this.#piece = value;
    return true;
  }
}

function cutShort(): HttpError {
  return new HttpError(400, "unreadable", "the request's body ends too early");
}

function tooLarge(limit: number): HttpError {
  return new HttpError(413, "too-large", "the request is too large", {
    why: `this part may have ${limit} bytes`,
  });
}
