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

/** What the server says to lines: how many it has, and who wants the job to end. */
export interface LinesAnswer {
  readonly taken: number;
  readonly abort: string | null;
}

interface Extras {
  readonly unix?: string;
  readonly timeout?: false;
}

const FIRST_PAUSE_MS = 200;
const LAST_PAUSE_MS = 5000;

export class ServerLink {
  readonly #address: ServerAddress;
  readonly #giveUpMs: number;

  /** `giveUpMs`: how long a server may be away. */
  constructor(address: ServerAddress, giveUpMs = 10 * 60_000) {
    this.#address = address;
    this.#giveUpMs = giveUpMs;
  }

  /** Work, or undefined after a while. Throws WorkerError. */
  async take(
    who: { readonly name: string; readonly platforms: readonly string[]; readonly ticket: string },
    signal: AbortSignal,
  ): Promise<Assignment | undefined> {
    const response = await this.#send("/api/v1/worker/take", {
      body: () => JSON.stringify(who),
      headers: { "content-type": "application/json" },
      signal,
    });
    const { assignment } = (await response.json()) as { assignment: Assignment | null };
    return assignment ?? undefined;
  }

  /** Also without lines: it tells the server that the worker lives. "stale": the attempt was given up. */
  async append(uuid: BuildId, from: number, lines: readonly SentLine[]): Promise<LinesAnswer | "stale"> {
    const bytes = encodeLines(lines);
    const response = await this.#send(`/api/v1/worker/lines?uuid=${uuid}&from=${from}`, {
      body: () => bytes,
      headers: { "content-type": "application/octet-stream" },
    });
    return response.status === 409 ? "stale" : ((await response.json()) as LinesAnswer);
  }

  /** The end, with the files. "stale": the attempt was given up, and nothing of it was taken. */
  async finish(uuid: BuildId, end: JobEnd): Promise<"done" | "stale"> {
    const response = await this.#send(`/api/v1/worker/finish?uuid=${uuid}`, {
      body: () => streamOf(finishBody(end)),
      headers: { "content-type": "application/octet-stream" },
    });
    return response.status === 409 ? "stale" : "done";
  }

  async #send(
    path: string,
    {
      body,
      headers,
      signal,
    }: {
      readonly body: () => string | Uint8Array | ReadableStream<Uint8Array>;
      readonly headers: Readonly<Record<string, string>>;
      readonly signal?: AbortSignal;
    },
  ): Promise<Response> {
    const { origin, unix, token } = this.#address;
    const extras: Extras = { timeout: false, ...(unix === undefined ? {} : { unix }) };
    const end = performance.now() + this.#giveUpMs;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(LAST_PAUSE_MS, pause * 2)) {
      let why: string;
      try {
        const response = await fetch(`${origin}${path}`, {
          method: "POST",
          headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
          body: body(),
          ...(signal === undefined ? {} : { signal }),
          ...extras,
        });
        if (response.ok || response.status === 409) return response;
        const text = await messageOf(response);
        if (response.status === 401 || response.status === 403) {
          throw new WorkerError("not-permitted", `${origin} doesn't take this worker: ${text}`, {
            hint: "robur token create USER worker --scope worker, on the server; ROBUR_TOKEN here",
          });
        }
        if (response.status < 500 && response.status !== 429) throw new WorkerError("refused", text);
        why = text;
      } catch (error) {
        if (error instanceof RoburError || signal?.aborted === true) throw error;
        why = error instanceof Error ? error.message : String(error);
      }
      if (performance.now() + pause > end) {
        throw new WorkerError("no-server", `${unix ?? origin} can't be reached`, { why });
      }
      await Bun.sleep(pause);
    }
  }
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

function streamOf(pieces: Iterator<Uint8Array, void>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull(controller) {
      const { value, done } = pieces.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    cancel: () => void pieces.return?.(),
  });
}
