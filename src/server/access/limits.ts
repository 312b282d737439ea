/** How often what may be asked, and by whom. One set for a server. */
import { HttpError } from "../http/http-error.ts";
import { RateLimiter } from "./rate-limit.ts";

const MINUTE_MS = 60_000;

/** The limiters of one server. */
export function createLimits() {
  return {
    /** Everything, of one visitor. A page with its parts is about ten requests. */
    general: new RateLimiter({ burst: 1200, perMs: MINUTE_MS }),
    /** Passwords, tokens and set-up links that were wrong, from one address. */
    secretByAddress: new RateLimiter({ burst: 10, perMs: 5 * MINUTE_MS }),
    /** Wrong passwords for one user, from wherever they come. */
    passwordByUser: new RateLimiter({ burst: 20, perMs: 15 * MINUTE_MS }),
  };
}

export type Limits = ReturnType<typeof createLimits>;

/** Takes one from a bucket. Throws HttpError 429. */
export function spend(limiter: RateLimiter, key: string, now: number): void {
  const wait = limiter.take(key, now);
  if (wait === 0) return;
  const seconds = Math.ceil(wait / 1000);
  throw new HttpError(429, "too-many", "too many requests", {
    hint: `try again in ${seconds} seconds`,
    retryAfter: seconds,
  });
}

/** One home has one prefix of 64 bits in IPv6, so its addresses count together. */
export function limitKey(address: string): string {
  if (!address.includes(":")) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [front = "", back] = address.split("::");
  const head = front === "" ? [] : front.split(":");
  const tail = back === undefined || back === "" ? [] : back.split(":");
  const groups =
    back === undefined
      ? head
      : [...head, ...Array(Math.max(8 - head.length - tail.length, 0)).fill("0"), ...tail];
  return groups.slice(0, 4).join(":");
}
