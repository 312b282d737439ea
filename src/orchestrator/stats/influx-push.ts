/** The connection that statistics are pushed over, as lines of Influx's protocol. */
import type { UnikernelName } from "../names.ts";
import { influxLines } from "./influx.ts";
import type { StatsSample } from "./sample.ts";

export interface InfluxTarget {
  readonly host: string;
  /** Default: 8094, telegraf's socket listener. */
  readonly port?: number;
  /** Unikernels by their whole names, as albatross-influx writes them with --no-drop-path. */
  readonly keepPath?: boolean;
}

export interface PushOptions {
  /** Where to, asked before each round; undefined: nowhere just now. */
  readonly target: () => InfluxTarget | undefined;
  /** `Orchestrator.stats.follow`. */
  readonly rounds: AsyncIterable<ReadonlyMap<UnikernelName, StatsSample>>;
  readonly signal: AbortSignal;
  /** Called for the first failure, and for a connection that is there again. */
  readonly report: (level: "info" | "warning", message: string) => void;
  /** The first pause between two attempts; it doubles up to LONGEST_PAUSE_MS. Default: 5 s. */
  readonly pauseMs?: number;
}

const DEFAULT_PORT = 8094;
const LONGEST_PAUSE_MS = 60_000;

/**
 * Sends each round of samples until `signal`. Connections are made and lost behind it: what comes while there is none
 * is not sent, since the next round has newer figures. Throws what
 * `target` throws.
 */
export async function pushInflux(options: PushOptions): Promise<void> {
  let line: Line | undefined;
  for await (const round of options.rounds) {
    if (options.signal.aborted) break;
    const target = options.target();
    if (line !== undefined && !Bun.deepEquals(line.target, target)) {
      line.close();
      line = undefined;
    }
    if (target === undefined) continue;
    line ??= new Line(target, options);
    let text = "";
    for (const [name, sample] of round) text += influxLines(name, sample, target.keepPath ?? false);
    line.send(text);
  }
  line?.close();
}

/** One target, over as many connections as it takes. */
class Line {
  readonly target: InfluxTarget;
  readonly #options: PushOptions;
  #socket: Bun.Socket | undefined;
  /** What the listener hasn't taken yet. */
  #rest: Uint8Array = new Uint8Array();
  #isConnecting = false;
  #isClosed = false;
  #nextAttempt = -Infinity;
  #pause: number;
  #isTroubled = false;

  constructor(target: InfluxTarget, options: PushOptions) {
    this.target = target;
    this.#options = options;
    this.#pause = this.#firstPause;
  }

  get #firstPause(): number {
    return this.#options.pauseMs ?? 5000;
  }

  get #name(): string {
    const { host, port = DEFAULT_PORT } = this.target;
    return `${host.includes(":") ? `[${host}]` : host}:${port}`;
  }

  /** Sends the text if there is a connection, and sees to one if there is none. */
  send(text: string): void {
    if (this.#socket === undefined) {
      if (!this.#isConnecting && performance.now() >= this.#nextAttempt) void this.#connect(text);
    } else if (this.#rest.length > 0) {
      // A whole round later: nobody reads there.
      const socket = this.#socket;
      this.#lost("nothing is read there");
      socket.terminate();
    } else {
      this.#write(new TextEncoder().encode(text));
    }
  }

  #write(bytes: Uint8Array): void {
    if (this.#socket === undefined) return;
    const taken = this.#socket.write(bytes);
    this.#rest = bytes.subarray(Math.max(taken, 0));
    if (this.#rest.length > 0 || bytes.length === 0) return;
    this.#pause = this.#firstPause;
  }

  /** Connects and sends `first`. Whatever comes of it is known to the next round. */
  async #connect(first: string): Promise<void> {
    this.#isConnecting = true;
    try {
      const socket = await Bun.connect({
        hostname: this.target.host,
        port: this.target.port ?? DEFAULT_PORT,
        socket: {
          data: () => undefined,
          drain: (socket) => {
            if (socket === this.#socket) this.#write(this.#rest);
          },
          close: (socket) => {
            if (socket === this.#socket) this.#lost("the connection was closed");
          },
          error: (_socket, error) => this.#lost(error.message),
        },
      });
      if (this.#isClosed) {
        socket.end();
        return;
      }
      this.#socket = socket;
      if (this.#isTroubled) this.#options.report("info", `statistics are pushed to ${this.#name} again`);
      this.#isTroubled = false;
      socket.setKeepAlive(true, 60_000);
      this.#write(new TextEncoder().encode(first));
    } catch (error) {
      this.#lost(error instanceof Error ? error.message : String(error));
    } finally {
      this.#isConnecting = false;
    }
  }

  #lost(why: string): void {
    this.#socket = undefined;
    this.#rest = new Uint8Array();
    this.#nextAttempt = performance.now() + this.#pause;
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
    if (this.#isTroubled || this.#isClosed) return;
    this.#isTroubled = true;
    this.#options.report("warning", `statistics can't be pushed to ${this.#name}: ${why}`);
  }

  close(): void {
    this.#isClosed = true;
    this.#socket?.end();
    this.#socket = undefined;
  }
}
