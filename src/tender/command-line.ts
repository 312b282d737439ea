/** The guest's command line: all arguments in one string, joined by single spaces, as every Solo5 tender does. */
import { TenderError } from "./tender-error.ts";

/** Longest command line in bytes, without its NUL. */
export const COMMAND_LINE_MAX = 8191;

/** The bytes of the command line with a NUL at the end. Throws TenderError arguments-too-long. */
export function encodeCommandLine(args: readonly string[]): Uint8Array {
  const text = args.join(" ");
  const bytes = new TextEncoder().encode(`${text}\0`);
  if (bytes.length - 1 > COMMAND_LINE_MAX) {
    throw new TenderError(
      "arguments-too-long",
      `guest command line too long: ${bytes.length - 1} bytes, maximum ${COMMAND_LINE_MAX} characters`,
      { hint: "give large configuration on a block device" },
    );
  }
  return bytes;
}
