/** Passwords from standard input. */
import { UsageError } from "../lib/errors.ts";
import { readInto } from "../linux/libc.ts";

/** Its first line. Throws UsageError where there is none. */
export function readPassword(): string {
  const bytes = new Uint8Array(4096);
  let length = 0;
  for (
    let count = 1;
    count > 0 && length < bytes.length && !bytes.subarray(0, length).includes(10);
    length += count
  ) {
    count = Math.max(0, readInto(0, bytes.subarray(length), bytes.length - length));
  }
  const [line = ""] = new TextDecoder().decode(bytes.subarray(0, length)).split(/\r?\n/, 1);
  if (line === "")
    throw new UsageError("standard input has no password", { hint: "--password-stdin < FILE" });
  return line;
}
