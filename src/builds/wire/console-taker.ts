/** Console lines of a worker of the original protocol: written down some together, in the order in which they came. */
import type { BuildId } from "../api.ts";
import { LINE_MAX, type SentLine } from "../runs/console.ts";
import type { WorkerDesk } from "../runs/desk.ts";
import { type Peer, PeerError } from "./peer.ts";

/** Lines are written down after so long, or when there are so many, or so many bytes of them. */
const FLUSH_MS = 200;
const FLUSH_LINES = 500;
const FLUSH_BYTES = 256 * 1024;
const NEWLINE = 10;

export class ConsoleTaker implements Disposable {
  readonly #desk: WorkerDesk;
  readonly #peer: Peer;
  readonly #uuid: BuildId;
  readonly #began = process.hrtime.bigint();
  readonly #timer: ReturnType<typeof setInterval>;
  #pending: SentLine[] = [];
  #pendingBytes = 0;
  #taken = 0;
  /** Why the connection was ended from this side. */
  failure: unknown;

  constructor(desk: WorkerDesk, peer: Peer, uuid: BuildId) {
    this.#desk = desk;
    this.#peer = peer;
    this.#uuid = uuid;
    this.#timer = setInterval(() => this.#tick(), FLUSH_MS);
  }

  /** The job may have been aborted, or given up, while its worker says nothing. */
  #tick(): void {
    try {
      this.#flush();
    } catch (error) {
      this.failure = error;
      clearInterval(this.#timer);
      this.#peer.close();
    }
  }

  /** One line, whose bytes may be any, and any number. Throws PeerError when nothing more is wanted. */
  async take(text: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    const delta = process.hrtime.bigint() - this.#began;
    let rest: Uint8Array = new Uint8Array();
    for await (const piece of text) {
      // A copy: the next piece may be where this one is.
      rest = new Uint8Array(Buffer.concat([rest, piece]));
      for (; rest.length > LINE_MAX; rest = rest.subarray(LINE_MAX)) {
        this.#push(delta, rest.subarray(0, LINE_MAX));
      }
    }
    this.#push(delta, rest);
  }

  #push(delta: bigint, bytes: Uint8Array): void {
    // A line has no line end in it; a worker that sends some together is none of the original's.
    for (let at = 0; ;) {
      const end = bytes.indexOf(NEWLINE, at);
      const text = bytes.slice(at, end < 0 ? bytes.length : end);
      this.#pending.push({ delta, text });
      this.#pendingBytes += text.length;
      if (end < 0) break;
      at = end + 1;
    }
    if (this.#pending.length >= FLUSH_LINES || this.#pendingBytes >= FLUSH_BYTES) this.#flush();
  }

  #flush(): void {
    const lines = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    const outcome = this.#desk.append(this.#uuid, this.#taken, lines);
    this.#taken += lines.length;
    if (!outcome.ok) throw new PeerError("gone", outcome.refusal.message);
    // There is no message for it: the original's worker learns it from the closed connection.
    if (outcome.value.abort !== null) throw new PeerError("gone", `aborted by ${outcome.value.abort}`);
  }

  /** Writes down what is left: nothing more comes. Throws PeerError. */
  end(): void {
    clearInterval(this.#timer);
    this.#flush();
  }

  /** Writes down what came before the end that nobody wanted; once nothing more is wanted, that is nothing. */
  rescue(): void {
    if (this.#pending.length > 0) this.#desk.append(this.#uuid, this.#taken, this.#pending);
    this.#pending = [];
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
