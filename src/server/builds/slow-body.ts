/** Bodies of uploads: nobody holds a connection open by sending a byte now and then. */
import { visitOf } from "../access/visit.ts";
import { HttpError } from "../http/http-error.ts";

export interface Pace {
  /** Milliseconds that may pass without a byte. */
  readonly silence: number;
  /** Bytes a second that are the least, counted over each `window`. */
  readonly rate: number;
  /** Milliseconds. */
  readonly window: number;
}

const PACE: Pace = { silence: 60_000, rate: 256, window: 60_000 };

/**
 * The body of an upload at its sender's pace; null where there is none. The runtime's own time-out, which cuts off
 * without a word whatever comes more slowly than 16 KB/s, doesn't count for it.
 */
export function uploadBody(request: Request): ReadableStream<Uint8Array> | null {
  if (request.body === null) return null;
  visitOf(request).peer.waitForAnswer?.();
  return pacedBody(request.body);
}

/** The body's bytes as they come, and HttpError 408 where they come too slowly. */
export function pacedBody(
  body: ReadableStream<Uint8Array>,
  { silence, rate, window }: Pace = PACE,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let waited = 0;
  let received = 0;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const asked = performance.now();
        const { promise: late, reject } = Promise.withResolvers<never>();
        const timer = setTimeout(() => reject(tooSlow()), silence);
        try {
          const { done, value } = await Promise.race([reader.read(), late]);
          if (done) return controller.close();
          received += value.length;
          // Only the time spent waiting for the sender counts: a busy disk is not the sender's fault.
          waited += performance.now() - asked;
          if (waited > window) {
            if (received < (rate * waited) / 1000) throw tooSlow();
            [waited, received] = [0, 0];
          }
          controller.enqueue(value);
        } catch (error) {
          await reader.cancel(error).catch(() => undefined);
          throw error;
        } finally {
          clearTimeout(timer);
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

function tooSlow(): HttpError {
  return new HttpError(408, "too-slow", "the upload came too slowly", { hint: "send it again" });
}
