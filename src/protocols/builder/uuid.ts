/** UUIDs: 16 raw bytes in builder's messages, 36 characters everywhere else. */
import { type Der, map } from "../der/der.ts";
import { DerError } from "../der/der-error.ts";
import { utf8Bytes } from "../der/types.ts";

/** The 36 characters, in lower case. Any 16 bytes are one: builder doesn't look at the version. */
export const UUID: Der<string> = map(utf8Bytes(), uuidText, uuidBytes);

/** Throws DerError for anything but 16 bytes. */
export function uuidText(bytes: Uint8Array): string {
  if (bytes.length !== 16) throw new DerError("bad-value", `a UUID of ${bytes.length} bytes`);
  const hex = Buffer.from(bytes).toString("hex");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Throws DerError for text that is no UUID. */
export function uuidBytes(text: string): Uint8Array {
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text)) {
    throw new DerError("bad-value", `${text} is no UUID`);
  }
  return new Uint8Array(Buffer.from(text.replaceAll("-", ""), "hex"));
}
