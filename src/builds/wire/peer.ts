/** One connection of builder's protocol: messages in, messages out, with bounds on what a peer may send and hold. */
import type { Socket } from "node:net";
import { RoburError } from "../../lib/errors.ts";
import {
  FrameError,
  type OpenFrame,
  frameHeader,
  messageFrame,
  readFrames,
} from "../../protocols/builder/framing.ts";
import { type Message, decodeMessage } from "../../protocols/builder/messages.ts";
import { DerError } from "../../protocols/der/der-error.ts";

/** Bytes that wait to be read; beyond, the socket isn't read. */
const HELD_MAX = 256 * 1024;
const KEEP_ALIVE_MS = 30_000;
const WRITE_TIMEOUT_MS = 60_000;

export class PeerError extends RoburError<"gone" | "silent" | "bad-frame"> {}

export class Peer {
  readonly address: string;
  /** Aborted when the other end sends no more: it has left, or half left. */
  readonly ended: AbortSignal;
  readonly #socket: Socket;
  readonly #ended = new AbortController();
  readonly #chunks: Uint8Array[] = [];
  #held = 0;
  #wake: (() => void) | undefined;
  #cap: number;
  readonly #frames: AsyncGenerator<OpenFrame, void>;

  /** `cap`: bytes of a message at most. What comes is looked at only when it is asked for. */
  constructor(socket: Socket, cap: number) {
    this.#socket = socket;
    this.#cap = cap;
    this.ended = this.#ended.signal;
    this.address = `${socket.remoteAddress ?? ""}:${socket.remotePort ?? 0}`;
    this.#frames = readFrames(this.#bytes(), () => this.#cap);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.setNoDelay(true);
    socket.on("data", (bytes: Uint8Array) => this.#take(bytes));
    socket.on("end", () => this.#leave());
    socket.on("close", () => this.#leave());
    socket.on("error", () => this.#leave());
  }

  #take(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
    this.#held += bytes.length;
    if (this.#held > HELD_MAX) this.#socket.pause();
    this.#wake?.();
  }

  #leave(): void {
    this.#ended.abort();
    this.#wake?.();
  }

  async *#bytes(): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      for (let chunk = this.#chunks.shift(); chunk !== undefined; chunk = this.#chunks.shift()) {
        this.#held -= chunk.length;
        if (this.#held < HELD_MAX / 2) this.#socket.resume();
        yield chunk;
      }
      if (this.ended.aborted) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
      this.#wake = undefined;
    }
  }

  /** Takes further messages, of up to so many bytes: it is known who speaks. */
  allow(cap: number): void {
    this.#cap = cap;
  }

  /** The next message, its bytes as they come. All of them must be read before the next. Throws PeerError. */
  async open(): Promise<OpenFrame> {
    try {
      const { done, value } = await this.#frames.next();
      if (done !== true) return value;
    } catch (error) {
      if (error instanceof FrameError) throw new PeerError("bad-frame", error.message, { cause: error });
      if (!(error instanceof DerError)) throw error;
    }
    throw new PeerError("gone", "end of file");
  }

  /**
   * The next message. Throws PeerError, and DerError for what is none. `ms`: how long it may take; when it took longer
   * nothing can be read any more.
   */
  async read(ms?: number): Promise<Message> {
    const reading = this.open().then(({ bytes }) => bytes(this.#cap));
    if (ms === undefined) return decodeMessage(await reading);
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new PeerError("silent", "time-out")), ms);
    try {
      return decodeMessage(await Promise.race([reading, late]));
    } finally {
      clearTimeout(timer);
      // Whoever waited has gone.
      reading.catch(() => undefined);
    }
  }

  /** Resolves when the socket has room for more. Throws PeerError when the peer is gone, or doesn't read. */
  async send(message: Message, limitMs = WRITE_TIMEOUT_MS): Promise<void> {
    await this.#write(messageFrame(message), limitMs);
  }

  /** A message that may be larger than memory: a payload of `size` bytes. Throws PeerError. */
  async sendLarge(size: number, payload: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#write(frameHeader(size), WRITE_TIMEOUT_MS);
    for await (const piece of payload) await this.#write(piece, WRITE_TIMEOUT_MS);
  }

  async #write(bytes: Uint8Array, limitMs: number): Promise<void> {
    if (this.#socket.destroyed) throw new PeerError("gone", "end of file");
    if (this.#socket.write(bytes)) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => reject(new PeerError("silent", "the peer doesn't read")), limitMs);
    const onClose = () => reject(new PeerError("gone", "end of file"));
    this.#socket.once("drain", resolve);
    this.#socket.once("close", onClose);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#socket.off("drain", resolve);
      this.#socket.off("close", onClose);
    }
  }

  /** Sends what is to be sent, and ends. */
  close(): void {
    if (this.#socket.destroyed) return;
    this.#socket.end();
    setTimeout(() => this.#socket.destroy(), 2000).unref();
  }

  /** Ends at once: what it says can't be followed. */
  drop(): void {
    this.#socket.destroy();
  }
}
