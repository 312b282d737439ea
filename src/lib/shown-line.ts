/** A line of a build's console as it is shown, to people and terminals that must come to no harm by it. Pure. */
import { printableText } from "./printable.ts";

const RETURN = 13;
/**
 * What moves, erases, chooses characters or names the window, of ECMA-48 and xterm: on a page nothing of that has a
 * meaning. Colours, which end with m, are none of these.
 */
const NOT_SHOWN =
  // oxlint-disable-next-line no-control-regex
  /\x1b(?:\[[0-?]*[ -/]*[@-ln-~]|\[[<-?][0-?]*m|[()][0-9A-Za-z]|\][^\x07\x1b]*(?:\x07|\x1b\\))/g;

/**
 * The text with its colours and no other control sequence. Progress that was drawn over itself, with carriage returns,
 * is what it came to. `longest`: characters at most.
 */
export function shownLine(bytes: Uint8Array, longest = Number.MAX_SAFE_INTEGER): string {
  const end = lastDrawing(bytes);
  const text = new TextDecoder().decode(end.subarray(0, Math.min(end.length, 4 * longest)));
  return printableText(text.replaceAll(NOT_SHOWN, ""), true).slice(0, longest);
}

/** What stands behind the last carriage return that has something behind it. */
function lastDrawing(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === RETURN) end -= 1;
  return bytes.subarray(bytes.subarray(0, end).lastIndexOf(RETURN) + 1, end);
}
