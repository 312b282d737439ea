/** SHA-256 as text and as bytes. Also for pages' own scripts, so it uses nothing that browsers lack. */

declare const brand: unique symbol;

/** 64 hexadecimal digits in lower case. */
export type Sha256 = string & { readonly [brand]: "Sha256" };

/** The 32 bytes as text. */
export function sha256Text(bytes: Uint8Array): Sha256 {
  return bytes.toHex() as Sha256;
}

/** The text as its 32 bytes. */
export function sha256Bytes(text: Sha256): Uint8Array {
  return Uint8Array.fromHex(text);
}

/** 64 hexadecimal digits in either case; undefined for anything else. */
export function parseSha256(text: string): Sha256 | undefined {
  return /^[0-9a-fA-F]{64}$/.test(text) ? (text.toLowerCase() as Sha256) : undefined;
}
