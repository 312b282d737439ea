/** One connection of builder's protocol: messages in, messages out, with bounds on what a peer may send and hold. */
import type { Socket } from "node:net";
import { RoburError } from "../../lib/errors.ts";
import { FrameReader, messageFrame } from "../../protocols/builder/framing.ts";
import { type Message, decodeMessage } from "../../protocols/builder/messages.ts";

/** Payloads that wait to be read; beyond, the socket isn't read. */
const WAITING_MAX = 64;
/** Bytes behind the first message that are held until it was looked at. */
const EARLY_MAX = 256 * 1024;
const KEEP_ALIVE_MS = 30_000;
const WRITE_TIMEOUT_MS = 60_000;

export class PeerError extends RoburError<"gone" | "silent" | "bad-frame"> {}

export class Peer {
  readonly address: string;
  /** Aborted when the other end sends no more: it has left, or half left. */
  readonly ended: AbortSignal;
  readonly #socket: Socket;
  readonly #ended = new AbortController();
  readonly #firstCap: number;
  /** What came before the peer was allowed more than its first message. */
  #early: Uint8Array | undefined = new Uint8Array();
  #frames: FrameReader | undefined;
  readonly #payloads: Uint8Array[] = [];
  #failure: PeerError | undefined;
  #wake: (() => void) | undefined;

  /** `cap`: bytes of the first message at most; nothing more is looked at before `allow`. */
  constructor(socket: Socket, cap: number) {
    this.#socket = socket;
    this.#firstCap = cap;
    this.ended = this.#ended.signal;
    this.address = `${socket.remoteAddress ?? ""}:${socket.remotePort ?? 0}`;
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.setNoDelay(true);
    socket.on("data", (bytes: Uint8Array) => this.#take(bytes));
    socket.on("end", () => this.#leave());
    socket.on("close", () => this.#leave());
    socket.on("error", () => this.#leave());
  }

  #take(bytes: Uint8Array): void {
    try {
      if (this.#frames === undefined) this.#takeEarly(bytes);
      else this.#payloads.push(...this.#frames.push(bytes));
    } catch (error) {
      this.#failure = new PeerError("bad-frame", error instanceof Error ? error.message : String(error));
      this.#socket.pause();
    }
    if (this.#payloads.length > WAITING_MAX) this.#socket.pause();
    this.#wake?.();
  }

  /** Nothing is read beyond the first message until it is known who speaks. */
  #takeEarly(bytes: Uint8Array): void {
    this.#early = Buffer.concat([this.#early ?? new Uint8Array(), bytes]);
    if (this.#payloads.length > 0) return this.#pauseWhenFull();
    if (this.#early.length < 8) return;
    const length = new DataView(this.#early.buffer, this.#early.byteOffset).getBigUint64(0);
    if (length > BigInt(this.#firstCap)) throw new Error(`a first message of ${length} bytes`);
    const end = 8 + Number(length);
    if (this.#early.length < end) return;
    this.#payloads.push(this.#early.slice(8, end));
    this.#early = this.#early.subarray(end);
    this.#pauseWhenFull();
  }

  #pauseWhenFull(): void {
    if ((this.#early?.length ?? 0) > EARLY_MAX) this.#socket.pause();
  }

  #leave(): void {
    if (this.#ended.signal.aborted) return;
    try {
      this.#frames?.finish();
      this.#failure ??= new PeerError("gone", "end of file");
    } catch (error) {
      this.#failure ??= new PeerError("bad-frame", error instanceof Error ? error.message : String(error));
    }
    this.#ended.abort();
    this.#wake?.();
  }

  /** Takes further messages, of up to so many bytes: the first one was read. */
  allow(cap: number): void {
    const early = this.#early ?? new Uint8Array();
    this.#frames = new FrameReader(cap);
    this.#early = undefined;
    this.#take(early);
    this.#socket.resume();
  }

  /** The next message. Throws PeerError, and DerError for what is none. `ms`: how long it may take. */
  async read(ms?: number): Promise<Message> {
    const end = ms === undefined ? Infinity : performance.now() + ms;
    while (this.#payloads.length === 0) {
      if (this.#failure !== undefined) throw this.#failure;
      const left = end - performance.now();
      if (left <= 0) throw new PeerError("silent", "time-out");
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = left === Infinity ? undefined : setTimeout(resolve, left);
      await promise;
      clearTimeout(timer);
      this.#wake = undefined;
    }
    const payload = this.#payloads.shift()!;
    if (this.#payloads.length < WAITING_MAX / 2 && this.#failure === undefined) this.#socket.resume();
    return decodeMessage(payload);
  }

  /** Resolves when the socket has room for more. Throws PeerError when the peer is gone, or doesn't read. */
  async send(message: Message): Promise<void> {
    const bytes = messageFrame(message);
    if (this.#socket.destroyed) throw new PeerError("gone", "end of file");
    if (this.#socket.write(bytes)) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => reject(new PeerError("silent", "the peer doesn't read")),
      WRITE_TIMEOUT_MS,
    );
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
}
