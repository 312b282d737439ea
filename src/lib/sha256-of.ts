import type { Sha256 } from "./sha256.ts";

/** The SHA-256 of some bytes, or of a text's UTF-8. */
export function sha256Of(bytes: Uint8Array | string): Sha256 {
  return new Bun.CryptoHasher("sha256").update(bytes).digest("hex") as Sha256;
}
