/**
 * A worker's way to its server: over HTTP, on the Unix socket or with a token. What fails is sent again, for as long
 * as a server that is being upgraded may be away; sequence numbers keep the server from taking anything twice.
 */
import { RoburError } from "../../lib/errors.ts";
import type { Assignment, BuildId } from "../api.ts";
import { type SentLine, encodeLines } from "../runs/console.ts";
import { readOutput } from "./collect.ts";
import type { JobEnd } from "./run-job.ts";

export interface ServerAddress {
  /** http://localhost for a socket. */
  readonly origin: string;
  readonly unix: string | undefined;
  readonly token: string | undefined;
}

export class WorkerError extends RoburError<"no-server" | "not-permitted" | "refused"> {}

/** Who asks for work. `ticket`: the same again when the answer was lost. */
export interface Asking {
  readonly name: string;
  readonly instance: string;
  readonly platforms: readonly string[];
  readonly ticket: string;
}

/** What the server says to lines: how many it has, and who wants the job to end. */
export interface LinesAnswer {
  readonly taken: number;
  readonly abort: string | null;
}

interface Extras {
  readonly unix?: string;
  readonly timeout?: false;
}

interface Sending {
  readonly body: () => string | Uint8Array | ReadableStream<Uint8Array>;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** When a try comes to nothing. */
  readonly limit: () => Limit;
}

interface Limit extends Disposable {
  readonly signal: AbortSignal;
}

export interface LinkOptions {
  /** How long a server may be away. Default: 10 minutes. */
  readonly giveUpMs?: number;
  /** Told when it is away, and when it is back. */
  readonly say?: (text: string) => void;
}

const GIVE_UP_MS = 10 * 60_000;
const FIRST_PAUSE_MS = 200;
const LAST_PAUSE_MS = 5000;
/** The server answers a request for work after 25 seconds. A connection that was forgotten on the way never answers. */
const TAKE_MS = 60_000;
const LINES_MS = 15_000;
/** Lines over the slowest network that anybody would build over. */
const BYTES_PER_MS = 8;
/** For so long no byte of a build may go out, and no beat come through. */
const STALLED_MS = 60_000;
const JSON_TYPE = { "content-type": "application/json" };
const BYTES_TYPE = { "content-type": "application/octet-stream" };

export class ServerLink {
  readonly #address: ServerAddress;
  readonly #giveUpMs: number;
  readonly #say: (text: string) => void;
  /** The last sign of life. */
  #heardAt = 0;
  #isAway = false;

  constructor(address: ServerAddress, { giveUpMs = GIVE_UP_MS, say = () => {} }: LinkOptions = {}) {
    this.#address = address;
    this.#giveUpMs = giveUpMs;
    this.#say = say;
  }

  /** Work, or undefined after a while. Throws WorkerError. */
  async take(who: Asking, signal: AbortSignal): Promise<Assignment | undefined> {
    const response = await this.#send("/api/v1/worker/take", {
      body: () => JSON.stringify(who),
      ...{ headers: JSON_TYPE, signal, limit: () => after(TAKE_MS) },
    });
    const { assignment } = (await response.json()) as { assignment: Assignment | null };
    return assignment ?? undefined;
  }

  /** Also without lines: it tells the server that the worker lives. "stale": the attempt was given up. */
  async append(uuid: BuildId, from: number, lines: readonly SentLine[]): Promise<LinesAnswer | "stale"> {
    const bytes = encodeLines(lines);
    const response = await this.#send(`/api/v1/worker/lines?uuid=${uuid}&from=${from}`, {
      ...{ body: () => bytes, headers: BYTES_TYPE },
      limit: () => after(LINES_MS + bytes.length / BYTES_PER_MS),
    });
    return response.status === 409 ? "stale" : ((await response.json()) as LinesAnswer);
  }

  /** The end, with the files. "stale": the attempt was given up, and nothing of it was taken. */
  async finish(uuid: BuildId, end: JobEnd): Promise<"done" | "stale"> {
    let movedAt = 0;
    const stall = (): Limit => {
      const limit = new AbortController();
      movedAt = performance.now();
      const timer = setInterval(() => {
        if (performance.now() - Math.max(movedAt, this.#heardAt) < STALLED_MS) return;
        limit.abort(new Error(`nothing was taken for ${STALLED_MS / 1000} s`));
      }, 1000);
      return { signal: limit.signal, [Symbol.dispose]: () => clearInterval(timer) };
    };
    const response = await this.#send(`/api/v1/worker/finish?uuid=${uuid}`, {
      body: () => streamOf(finishBody(end), () => (movedAt = performance.now())),
      ...{ headers: BYTES_TYPE, limit: stall },
    });
    return response.status === 409 ? "stale" : "done";
  }

  async #send(path: string, { body, headers, signal, limit }: Sending): Promise<Response> {
    const { origin, unix, token } = this.#address;
    const extras: Extras = { timeout: false, ...(unix === undefined ? {} : { unix }) };
    const end = performance.now() + this.#giveUpMs;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(LAST_PAUSE_MS, pause * 2)) {
      let why: string;
      using limited = limit();
      try {
        const response = await fetch(`${origin}${path}`, {
          method: "POST",
          headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
          body: body(),
          signal: signal === undefined ? limited.signal : AbortSignal.any([signal, limited.signal]),
          ...extras,
        });
        if (response.ok || response.status === 409) {
          this.#isThere();
          return response;
        }
        why = await this.#refusal(response);
      } catch (error) {
        if (error instanceof RoburError || signal?.aborted === true) throw error;
        why = error instanceof Error ? error.message : String(error);
      }
      if (performance.now() + pause > end) {
        throw new WorkerError("no-server", `${unix ?? origin} can't be reached`, { why });
      }
      if (!this.#isAway) this.#say(`${unix ?? origin} can't be reached (${why}); it is tried again`);
      this.#isAway = true;
      await Bun.sleep(pause);
    }
  }

  #isThere(): void {
    this.#heardAt = performance.now();
    if (this.#isAway) this.#say("the server is there again");
    this.#isAway = false;
  }

  /** Why it is worth another try. Throws WorkerError for what isn't. */
  async #refusal(response: Response): Promise<string> {
    const text = await messageOf(response);
    if (response.status === 401 || response.status === 403) {
      throw new WorkerError("not-permitted", `${this.#address.origin} doesn't take this worker: ${text}`, {
        hint: "robur token create USER worker --scope worker, on the server; ROBUR_TOKEN here",
      });
    }
    if (response.status < 500 && response.status !== 429) throw new WorkerError("refused", text);
    return text;
  }
}

function after(ms: number): Limit {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(new Error(`no answer after ${Math.round(ms / 1000)} s`)), ms);
  return { signal: limit.signal, [Symbol.dispose]: () => clearTimeout(timer) };
}

async function messageOf(response: Response): Promise<string> {
  const text = await response.text();
  try {
    const { error } = JSON.parse(text) as { error?: { message?: string } };
    return error?.message ?? `status ${response.status}`;
  } catch {
    return `status ${response.status}`;
  }
}

/** One line of JSON, and behind it the files' bytes one after the other. */
function* finishBody({ result, directory, files, sandbox }: JobEnd): Generator<Uint8Array, void> {
  yield new TextEncoder().encode(`${JSON.stringify({ result, files, sandbox })}\n`);
  for (const file of files) yield* readOutput(directory, file);
}

/** `onPull`: told each time when there is room for more. */
function streamOf(pieces: Iterator<Uint8Array, void>, onPull: () => void): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull(controller) {
      onPull();
      const { value, done } = pieces.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    cancel: () => void pieces.return?.(),
  });
}
