import { RoburError } from "../../lib/errors.ts";

/** An error with an HTTP status of its own. `code` is a word for programs, the rest is for people. */
export class HttpError extends RoburError {
  readonly status: number;
  /** Seconds until it is worth trying again. */
  readonly retryAfter: number | undefined;

  constructor(
    status: number,
    code: string,
    message: string,
    more: { why?: string; hint?: string; cause?: unknown; retryAfter?: number } = {},
  ) {
    super(code, message, more);
    this.status = status;
    this.retryAfter = more.retryAfter;
  }
}

/** There is no such thing, or none that the asker may see; the two are not told apart. */
export function notFound(what: string): HttpError {
  return new HttpError(404, "missing", `there is no ${what}`);
}
