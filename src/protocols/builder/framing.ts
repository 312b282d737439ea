/**
 * Frames: eight bytes of length, big endian, and one message. The length is the peer's word: it is held to a cap before
 * any room is made, and room is made for what has come, never for what was announced.
 */
import { ByteInput } from "../der/byte-input.ts";
import { RoburError } from "../../lib/errors.ts";
import { GIB } from "../../lib/units.ts";
import { type Message, decodeMessage, encodeMessage } from "./messages.ts";

export type FrameErrorCode = "too-large" | "truncated";

/** The bytes of a connection aren't frames, or not such that are taken. The connection can't go on. */
export class FrameError extends RoburError<FrameErrorCode> {}

const HEADER = 8;
/** A finished job's files travel in one frame. */
export const LARGEST_FRAME = GIB;

/** A payload's length, as it stands before it. */
export function frameHeader(length: number): Uint8Array {
  const header = new Uint8Array(HEADER);
  new DataView(header.buffer).setBigUint64(0, BigInt(length));
  return header;
}

/** A whole frame. */
export function frame(payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER + payload.length);
  bytes.set(frameHeader(payload.length));
  bytes.set(payload, HEADER);
  return bytes;
}

/** A message as a whole frame. Throws DerError for one that can't be written. */
export function messageFrame(message: Message): Uint8Array {
  return frame(encodeMessage(message));
}

function payloadLength(header: Uint8Array, cap: number): number {
  const length = new DataView(header.buffer, header.byteOffset).getBigUint64(0);
  if (length <= BigInt(cap)) return Number(length);
  throw new FrameError("too-large", `a frame of ${length} bytes is more than the ${cap} that are taken`);
}

/** Puts frames together from whatever pieces a socket gives. One for each direction of a connection. */
export class FrameReader {
  readonly #cap: number;
  #parts: Uint8Array[] = [];
  #held = 0;
  /** Of the payload; undefined as long as its header isn't complete. */
  #length: number | undefined;

  /** `cap`: bytes of the largest payload that is taken. */
  constructor(cap: number = LARGEST_FRAME) {
    this.#cap = cap;
  }

  /** The payloads that these bytes complete. The bytes are the caller's again then. Throws FrameError too-large. */
  push(bytes: Uint8Array): Uint8Array[] {
    const payloads: Uint8Array[] = [];
    for (let rest = bytes; rest.length > 0 || this.#length === 0;) {
      const wanted = (this.#length ?? HEADER) - this.#held;
      const part = rest.subarray(0, wanted);
      rest = rest.subarray(part.length);
      if (part.length > 0) this.#parts.push(part.slice());
      this.#held += part.length;
      if (part.length < wanted) break;
      const whole = this.#parts.length === 1 ? this.#parts[0]! : new Uint8Array(Buffer.concat(this.#parts));
      [this.#parts, this.#held] = [[], 0];
      if (this.#length === undefined) this.#length = payloadLength(whole, this.#cap);
      else {
        this.#length = undefined;
        payloads.push(whole);
      }
    }
    return payloads;
  }

  /** At the end of the connection: throws FrameError truncated within a frame. */
  finish(): void {
    if (this.#held > 0 || this.#length !== undefined) throw new FrameError("truncated", "end of file");
  }
}

/** A frame whose payload hasn't been read yet. All of it must be, before the next. */
export interface OpenFrame {
  readonly length: number;
  /** The payload at once. Throws FrameError too-large beyond `limit`, and DerError truncated. */
  bytes(limit: number): Promise<Uint8Array>;
  /** The payload as it comes. Throws DerError truncated. */
  stream(): AsyncGenerator<Uint8Array, void, void>;
}

/**
 * The frames of a stream, for payloads too large to be held. `cap`: bytes of the largest payload that is taken, asked
 * for each. Throws FrameError, DerError truncated within a header.
 */
export async function* readFrames(
  stream: AsyncIterable<Uint8Array>,
  cap: () => number = () => LARGEST_FRAME,
): AsyncGenerator<OpenFrame, void, void> {
  await using input = new ByteInput(stream);
  while (!(await input.isAtEnd())) {
    const length = payloadLength(await input.take(HEADER), cap());
    yield {
      length,
      async bytes(limit) {
        if (length <= limit) return await input.take(length);
        throw new FrameError(
          "too-large",
          `a frame of ${length} bytes is more than the ${limit} that are taken`,
        );
      },
      stream: () => input.pass(length),
    };
  }
}

/** The messages of a stream, each whole. Throws FrameError and DerError. */
export async function* readMessages(
  stream: AsyncIterable<Uint8Array>,
  cap: number = LARGEST_FRAME,
): AsyncGenerator<Message, void, void> {
  for await (const open of readFrames(stream, () => cap)) yield decodeMessage(await open.bytes(cap));
}
