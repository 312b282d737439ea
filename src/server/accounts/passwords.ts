/**
 * Passwords: argon2id, and scrypt for those that were taken over from a builder-web. A check takes 64 MiB and 150 ms, so
 * only a few run at once, and more than a few are turned away: otherwise signing in would be the cheapest way to take
 * the machine down.
 */
import { scrypt, timingSafeEqual } from "node:crypto";
import { SCRYPT_MEMORY, isScryptAffordable } from "../../lib/scrypt.ts";
import { HttpError } from "../http/http-error.ts";
import { AccountError } from "./account-error.ts";

const PARAMETERS = { algorithm: "argon2id", memoryCost: 65_536, timeCost: 2 } as const;
const SHORTEST = 10;
/** Longer ones only cost time. */
const LONGEST = 1024;
const AT_ONCE = 2;
const WAITING = 16;

/** The hash of some password that nobody knows: checked for users who don't exist, so that it takes as long. */
const NOBODYS =
  "$argon2id$v=19$m=65536,t=2,p=1$8SDcy+VOOeey67/YGDc+9Qs/zm3PQ6DiDotMc0OaEKI$omXelomNpNfBEpxaF5CIuDlNeu0YR6G6RRNUdwd+T3k";

let running = 0;
const waiting: (() => void)[] = [];

/** The hash to keep. Throws AccountError weak-password, HttpError too-many. */
export async function hashPassword(password: string): Promise<string> {
  checkStrength(password);
  return inTurn(() => Bun.password.hash(password, PARAMETERS));
}

/** Whether `password` is the one that `hash` was made from. Throws HttpError too-many. */
export async function isPassword(password: string, hash: string | undefined): Promise<boolean> {
  if (password.length > LONGEST) return false;
  const isRight = await inTurn(() => verify(password, hash ?? NOBODYS));
  return isRight && hash !== undefined;
}

async function verify(password: string, hash: string): Promise<boolean> {
  // An empty password is an error to Bun, not a wrong one.
  if (password === "") return false;
  if (!hash.startsWith("$scrypt$")) return Bun.password.verify(password, hash);
  // The other one alongside: how long it takes doesn't tell where a user comes from, or that there is one.
  const [isRight] = await Promise.all([verifyScrypt(password, hash), Bun.password.verify(password, NOBODYS)]);
  return isRight;
}

const SCRYPT = /^\$scrypt\$n=(\d{1,8}),r=(\d{1,4}),p=(\d{1,4})\$([A-Za-z0-9+/]+=*)\$([A-Za-z0-9+/]+=*)$/;

/** RFC 7914; `$scrypt$n=16384,r=8,p=1$<salt>$<hash>`, both in Base64. False for parameters that are out of bounds. */
async function verifyScrypt(password: string, text: string): Promise<boolean> {
  const [, n = "", r = "", p = "", salt = "", hash = ""] = SCRYPT.exec(text) ?? [];
  const wanted = Buffer.from(hash, "base64");
  const options = { N: Number(n), r: Number(r), p: Number(p), maxmem: SCRYPT_MEMORY };
  if (wanted.length === 0 || !isScryptAffordable(options)) return false;
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  scrypt(password, Buffer.from(salt, "base64"), wanted.length, options, (error, key) =>
    // Bun says undefined where Node says null.
    error ? reject(error) : resolve(key),
  );
  return timingSafeEqual(await promise, wanted);
}

function checkStrength(password: string): void {
  const why =
    password.length < SHORTEST
      ? `it needs at least ${SHORTEST} characters`
      : password.length > LONGEST
        ? `it may have at most ${LONGEST} characters`
        : new Set(password).size < 4
          ? "it is the same few characters again and again"
          : undefined;
  if (why === undefined) return;
  throw new AccountError("weak-password", "this password won't do", {
    why,
    hint: "four or five words that have nothing to do with each other",
  });
}

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= AT_ONCE) {
    if (waiting.length >= WAITING) {
      throw new HttpError(429, "too-many", "too many people sign in at once", {
        hint: "try again in a minute",
      });
    }
    await new Promise<void>((resolve) => void waiting.push(resolve));
  } else running += 1;
  try {
    return await work();
  } finally {
    // The place goes to the next one, or is free.
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  }
}
