/**
 * Server-sent events (https://html.spec.whatwg.org/#server-sent-events). An item is asked for only when the
 * connection has room for it, so a client that stops reading costs a buffer and no more; a comment each few seconds
 * keeps proxies from cutting a silent stream, and tells the server of a client that went away.
 */
import type { Visit } from "../access/visit.ts";

export interface StreamEvent {
  /** What a client says as Last-Event-ID when it comes back. */
  readonly id?: string | number;
  /** Default: message. */
  readonly event?: string;
  readonly data: unknown;
}

const KEEP_ALIVE_MS = 10_000;
/** Items that are there already go out together, up to about this many characters. */
const BATCH = 16_384;
/** Milliseconds after which a browser comes back. */
const RETRY_MS = 2000;

export interface StreamOptions {
  /** Aborted when the client goes away: ends the source. */
  readonly abort: AbortController;
  /** The server stops. */
  readonly stopping: AbortSignal;
  readonly keepAliveMs?: number;
}

/** The events of `source` as an answer. A text is some that `formatEvent` has made: many streams may share it. */
export function eventStream<T>(
  visit: Visit,
  source: AsyncIterable<T>,
  toEvent: (item: T) => StreamEvent | string,
  { abort, stopping, keepAliveMs = KEEP_ALIVE_MS }: StreamOptions,
): Response {
  visit.peer.keepOpen();
  const stop = () => abort.abort();
  stopping.addEventListener("abort", stop, { once: true });
  if (stopping.aborted) stop();
  const iterator = source[Symbol.asyncIterator]();
  let next: Promise<IteratorResult<T>> | undefined;
  const encoder = new TextEncoder();
  let first = `retry: ${RETRY_MS}\n\n`;

  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        let text = first;
        first = "";
        for (let wait = text === "" ? keepAliveMs : 0; ; wait = 0) {
          next ??= iterator.next();
          const result = await within(next, wait);
          if (result === undefined) break;
          next = undefined;
          if (result.done === true) {
            if (text !== "") controller.enqueue(encoder.encode(text));
            stopping.removeEventListener("abort", stop);
            controller.close();
            return;
          }
          const event = toEvent(result.value);
          text += typeof event === "string" ? event : formatEvent(event);
          if (text.length > BATCH) break;
        }
        controller.enqueue(encoder.encode(text === "" ? ": still here\n\n" : text));
      },
      cancel() {
        stopping.removeEventListener("abort", stop);
        abort.abort();
      },
    },
    { highWaterMark: 1 },
  );
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      // nginx would collect the answer first.
      "x-accel-buffering": "no",
    },
  });
}

/** The promise's value if it is there within that time; 0 asks for what is there now. */
async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  // An immediate, not a timer: it comes after whatever has come in already.
  if (milliseconds === 0) setImmediate(() => resolve(undefined));
  const timer = milliseconds === 0 ? undefined : setTimeout(() => resolve(undefined), milliseconds);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** One event in the format's lines. JSON has no newline in it, so one line of data does. */
export function formatEvent({ id, event, data }: StreamEvent): string {
  const lines = [`data: ${JSON.stringify(data)}\n\n`];
  if (event !== undefined) lines.unshift(`event: ${event}\n`);
  if (id !== undefined) lines.unshift(`id: ${id}\n`);
  return lines.join("");
}

/** Where a stream goes on: what a browser says by itself, or a program by `after`. Digits only. */
export function resumePoint(request: Request, after: string | undefined): number | undefined {
  const text = request.headers.get("last-event-id") ?? after;
  return text !== null && text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
