/** What a check of a password that was hashed by scrypt (RFC 7914) may cost: more would stall every sign-in. Pure. */

export interface ScryptParameters {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/** Bytes that one check may take. */
export const SCRYPT_MEMORY = 256 * 1024 * 1024;
const MOST_P = 16;

/** Whether a hash with these parameters can be checked here; they are whole numbers or anything else. */
export function isScryptAffordable({ N, r, p }: ScryptParameters): boolean {
  const isPower = Number.isInteger(N) && N >= 2 && Math.log2(N) % 1 === 0;
  const isInBounds = Number.isInteger(r) && r >= 1 && Number.isInteger(p) && p >= 1 && p <= MOST_P;
  return isPower && isInBounds && 128 * N * r <= SCRYPT_MEMORY - 1024 * 1024;
}
