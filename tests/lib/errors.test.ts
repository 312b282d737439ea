// Errors as they are printed.
import { describe, expect, test } from "bun:test";
import { RoburError, UsageError, errorLine, formatError, visible } from "../../src/lib/errors.ts";
import { problemOf } from "../../src/server/http/error-response.ts";

describe("an error that people read", () => {
  const cause = new TypeError("below");
  const error = new RoburError("some-code", "it happened", { why: "a\nb", hint: "do this\nor that", cause });

  test("it keeps its code, its reasons and its cause", () => {
    expect(error).toMatchObject({ code: "some-code", message: "it happened", why: "a\nb", cause });
    expect(error).toBeInstanceOf(Error);
    expect("cause" in new RoburError("x", "y")).toBe(false);
  });

  test("on standard error it has a line each for what, why and what to do, indented", () => {
    expect(formatError(error)).toBe("error: it happened\n  a\n  b\n  try: do this\n       or that\n");
    expect(formatError(new RoburError("x", "alone"))).toBe("error: alone\n");
  });

  test("on one line it has what and why", () => {
    expect(errorLine(error)).toBe("it happened: a\nb");
    expect(errorLine(new RoburError("x", "alone", { hint: "not said" }))).toBe("alone");
  });

  test("other people's bytes in it are spelled out: what moves the cursor, and what turns text round", () => {
    expect(visible("a\x1b[2J\tb\nc\x9b")).toBe("a\\x1b[2J\\x09b\nc\\x9b");
    expect(visible("\u202egnp.exe \u2066x")).toBe("\\u202egnp.exe \\u2066x");
    expect(visible("שלום ä 💣")).toBe("שלום ä 💣");
  });

  test("a usage error is one of them", () => {
    const usage = new UsageError("--what", { hint: "--help" });
    expect(usage.code).toBe("usage");
    expect(formatError(usage)).toBe("error: --what\n  try: --help\n");
  });
});

describe("anything else that is thrown", () => {
  test("it is called a fault of robur's, with all that is known of it", () => {
    const text = formatError(new TypeError("x is not a function"));
    expect(text).toStartWith(
      "error: this is a fault in robur itself, please report it\n  TypeError: x is not",
    );
    expect(text).toContain("errors.test.ts");
    expect(
      text
        .split("\n")
        .slice(1, -1)
        .every((line) => line.startsWith("  ")),
    ).toBe(true);
  });

  test("it needn't be an Error, and one line of it ends without a newline", () => {
    expect(formatError("text")).toEndWith("\n  text\n");
    expect(formatError(undefined)).toEndWith("\n  undefined\n");
    expect(errorLine("text")).toEndWith("text");
    const bare = new Error("no stack");
    delete (bare as { stack?: string }).stack;
    expect(formatError(bare)).toContain("no stack");
  });
});

test("an error while cleaning up doesn't hide the one that it was cleaned up for", async () => {
  class Broken implements Disposable {
    [Symbol.dispose]() {
      throw new Error("and this too");
    }
  }
  const work = () => {
    using _one = new Broken();
    using _two = new Broken();
    throw new RoburError("disk-full", "the disk is full");
  };
  let thrown: unknown;
  try {
    work();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(SuppressedError);
  expect(formatError(thrown)).toBe("error: the disk is full\n");
  expect(errorLine(thrown)).toBe("the disk is full");
  expect(problemOf(thrown)).toMatchObject({ status: 507, code: "disk-full" });
});
