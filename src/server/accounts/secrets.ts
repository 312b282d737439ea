/** Secrets that robur makes: 256 random bits, kept only as their SHA-256. */
import { timingSafeEqual } from "node:crypto";

/** A new secret in base64url, 43 characters. */
export function newSecret(): string {
  return crypto.getRandomValues(new Uint8Array(32)).toBase64({ alphabet: "base64url", omitPadding: true });
}

/** A short name that is no secret: 12 hexadecimal digits. */
export function newId(): string {
  return crypto.getRandomValues(new Uint8Array(6)).toHex();
}

/**
 * What is kept of a secret. A plain hash is enough: nobody can guess 256 bits, and passwords, which can be
 * guessed, have argon2id.
 */
export function hashSecret(secret: string): string {
  return new Bun.CryptoHasher("sha256").update(secret).digest("hex");
}

/** Whether two hashes are equal, in a time that doesn't tell how much of them is. */
export function sameHash(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}
