/** What of a job's bytes is shown. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { shownLine } from "../../src/lib/shown-line.ts";

// oxlint-disable-next-line no-control-regex
const COLOUR = /\x1b\[[\d;]{0,32}m/g;
// oxlint-disable-next-line no-control-regex
const HALF_A_COLOUR = /\x1b(\[[\d;]{0,32})?$/;

const shown = (text: string) => shownLine(new TextEncoder().encode(text));

test("progress that was drawn over itself is what it came to", () => {
  expect(shown("1%\r2%\r3%")).toBe("3%");
  expect(shown("1%\r\x1b[K100%\r")).toBe("100%");
  expect(shown("\r\r")).toBe("");
  expect(shown("plain\r")).toBe("plain");
});

test("colours are kept; what moves, erases, chooses characters or names the window is gone", () => {
  expect(shown("\x1b[1;31mred\x1b[0m\x1b[m")).toBe("\x1b[1;31mred\x1b[0m\x1b[m");
  expect(shown("a\x1b[2J\x1b[10;20Hb\x1b[?25lc\x1b(Bd\x1b]0;title\x07e\x1b]8;;http://x\x1b\\f")).toBe(
    "abcdef",
  );
  expect(shown("\x1b[>4;2mx\x1b[?1m")).toBe("x");
});

test("what is left of control characters is written out, and bytes that are no text are replaced", () => {
  expect(shown("a\0b\x07\tc\x1b")).toBe("a\\x00b\\x07\tc\\x1b");
  expect(shownLine(Uint8Array.of(0xff, 0x41, 0xc2, 0x9b))).toBe("\ufffdA\\x9b");
});

test("no control character but tabs and colours comes through, whatever the bytes, and none beyond the length", () => {
  const bytes = fc.uint8Array({ maxLength: 200 });
  const nasty = fc
    .array(fc.constantFrom("\x1b", "[", "]", "m", "J", "0", ";", "\r", "\x07", "\x9b", "\\", "é"), {
      maxLength: 60,
    })
    .map((parts) => new TextEncoder().encode(parts.join("")));
  fc.assert(
    fc.property(fc.oneof(bytes, nasty), fc.integer({ min: 1, max: 300 }), (line, longest) => {
      const text = shownLine(line, longest);
      expect(text.length).toBeLessThanOrEqual(longest);
      // Cut off, the last one may be half a sequence.
      const rest = text.replaceAll(COLOUR, "").replace(HALF_A_COLOUR, "");
      expect(rest).not.toMatch(/[^\P{Cc}\t]/u);
    }),
    { numRuns: 2000 },
  );
});
