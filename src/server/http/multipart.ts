/**
 * multipart/form-data (RFC 7578) as a stream: a part's content is handed on as it comes in, so a file of any size
 * passes through a few kilobytes of memory. Parts are to be read in their order; what isn't read of one is skipped.
 */
import { HttpError } from "./http-error.ts";

export interface Part {
  readonly name: string;
  /** Undefined for a plain field. An empty file input sends an empty name. */
  readonly filename: string | undefined;
  /** The content, once. */
  readonly content: AsyncIterable<Uint8Array>;
}

const HEADERS_LIMIT = 16_384;
const FIELD_LIMIT = 1 << 20;
const PARTS_LIMIT = 1000;

/** The parts of a request's body. Throws HttpError 415 and 400. */
export async function* readMultipart(request: Request): AsyncGenerator<Part> {
  const type = request.headers.get("content-type") ?? "";
  const [, quoted, bare] =
    /^multipart\/form-data\s*;.*?\bboundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(type) ?? [];
  const boundary = quoted ?? bare;
  if (boundary === undefined || request.body === null) {
    throw new HttpError(415, "not-multipart", "this must be sent as multipart/form-data", {
      why: type === "" ? "it has no content type" : `it was sent as ${type.slice(0, 100)}`,
      hint: "curl -F name=hello -F image=@hello.spt",
    });
  }
  const input = new Input(request.body);
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  // The first delimiter may stand at the very beginning.
  input.unread("\r\n");
  await drain(input.until(delimiter));
  for (let count = 0; ; count++) {
    const end = await input.take(2);
    if (end.equals(Buffer.from("--"))) return;
    if (!end.equals(Buffer.from("\r\n")) || count >= PARTS_LIMIT) throw broken();
    const { name, filename } = parseHeaders(await input.headers());
    const content = input.until(delimiter);
    yield { name, filename, content };
    await drain(content);
  }
}

/** A field's text. Throws HttpError 413. */
export async function fieldText(part: Part): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of part.content) {
    size += piece.length;
    if (size > FIELD_LIMIT) throw new HttpError(413, "too-large", `the field ${part.name} is too large`);
    pieces.push(piece.slice());
  }
  return Buffer.concat(pieces).toString("utf8");
}

/** A part's content as a stream, which reads no further than it is asked to. */
export function contentStream(part: Part): ReadableStream<Uint8Array> {
  const iterator = part.content[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await iterator.next();
        if (done === true) controller.close();
        // A copy: the piece lies in a buffer that is used again.
        else controller.enqueue(value.slice());
      },
    },
    { highWaterMark: 1 },
  );
}

class Input {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #buffer: Buffer = Buffer.alloc(0);

  constructor(body: ReadableStream<Uint8Array>) {
    this.#pieces = body[Symbol.asyncIterator]();
  }

  unread(text: string): void {
    this.#buffer = Buffer.concat([Buffer.from(text), this.#buffer]);
  }

  /** Throws HttpError 400 at the end of the body. */
  async #fill(): Promise<void> {
    const { done, value } = await this.#pieces.next();
    if (done === true) throw broken();
    this.#buffer = this.#buffer.length === 0 ? Buffer.from(value) : Buffer.concat([this.#buffer, value]);
  }

  async take(length: number): Promise<Buffer> {
    while (this.#buffer.length < length) await this.#fill();
    const taken = this.#buffer.subarray(0, length);
    this.#buffer = this.#buffer.subarray(length);
    return taken;
  }

  /** All bytes before the delimiter, which is taken away as well. */
  async *until(delimiter: Buffer): AsyncGenerator<Uint8Array> {
    for (;;) {
      const at = this.#buffer.indexOf(delimiter);
      if (at >= 0) {
        const rest = await this.take(at);
        await this.take(delimiter.length);
        if (rest.length > 0) yield rest;
        return;
      }
      // The delimiter's beginning may be the buffer's end.
      const sure = this.#buffer.length - delimiter.length + 1;
      if (sure > 0) yield await this.take(sure);
      await this.#fill();
    }
  }

  async headers(): Promise<string> {
    for (;;) {
      const at = this.#buffer.indexOf("\r\n\r\n");
      if (at > HEADERS_LIMIT || (at < 0 && this.#buffer.length > HEADERS_LIMIT)) throw broken();
      if (at >= 0) return (await this.take(at + 4)).toString("utf8");
      await this.#fill();
    }
  }
}

async function drain(content: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of content);
}

/** Browsers write quotes in names as %22 and leave backslashes alone: HTML's rules, not MIME's. */
function parseHeaders(headers: string): { name: string; filename: string | undefined } {
  const disposition = /^content-disposition:\s*form-data\s*;(.*)$/im.exec(headers)?.[1];
  const name = disposition === undefined ? undefined : parameter(disposition, "name");
  if (disposition === undefined || name === undefined) throw broken();
  return { name, filename: parameter(disposition, "filename") };
}

function parameter(disposition: string, name: string): string | undefined {
  const [, value] = new RegExp(`(?:^|;)\\s*${name}="([^"]*)"`, "i").exec(disposition) ?? [];
  return value?.replaceAll("%22", '"').replaceAll("%0D", "\r").replaceAll("%0A", "\n");
}

function broken(): HttpError {
  return new HttpError(400, "broken-multipart", "the form's content is broken off or malformed");
}
