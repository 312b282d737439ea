import { expect, test } from "bun:test";
import { printable, uncoloured } from "../../src/lib/printable.ts";

const encode = (text: string) => new TextEncoder().encode(text);

test("what is shown can't steer a terminal", () => {
  expect(printable(encode("a\x1b[2Jb\tc\x07\r"))).toBe("a\\x1b[2Jb\tc\\x07");
  expect(printable(encode("\x1b[31mred\x1b[0m\x1b]0;title\x07"), true)).toBe(
    "\x1b[31mred\x1b[0m\\x1b]0;title\\x07",
  );
  expect(printable(new Uint8Array([0xff, 0x41, 0xc2, 0x9b]))).toBe("\ufffdA\\x9b");
});

test("colours go where they can't be shown, and all else is spelled out", () => {
  expect(uncoloured("\x1b[1;31mError\x1b[0m: \x1b]0;title\x07\r")).toBe("Error: \\x1b]0;title\\x07");
});
