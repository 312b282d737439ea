import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { OpamError } from "../../src/opam/opam-error.ts";
import { parseOpam } from "../../src/opam/parse-opam.ts";
import { printOpam } from "../../src/opam/print-opam.ts";
import { type OpamValue, fieldOf } from "../../src/opam/syntax.ts";
import { generateExport } from "./generate-export.ts";
import { opamFiles } from "./values.ts";

const vector = (name: string) => readFileSync(join(import.meta.dir, "../vectors/opam", name), "utf8");
const valueOf = (text: string): OpamValue | undefined => fieldOf(parseOpam(`x: ${text}`), "x");
const s = (value: string): OpamValue => ({ kind: "string", value });
const id = (name: string): OpamValue => ({ kind: "identifier", name });

function errorOf(text: string): OpamError {
  try {
    parseOpam(text);
  } catch (error) {
    if (error instanceof OpamError) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

describe("what opam wrote", () => {
  for (const name of ["orb.opam-switch", "forms.opam-switch", "duration.build-hashes"]) {
    test(`${name} comes back byte for byte`, () => {
      const text = vector(name);
      // orb writes change records without the last newline.
      expect(printOpam(parseOpam(text))).toBe(text.endsWith("\n") ? text : `${text}\n`);
    });
  }
});

describe("reading", () => {
  test("strings have all of opam's escapes", () => {
    expect(valueOf(String.raw`"a\"b\\c\nd\te\rf\bg\'h\ i\065\x42"`)).toEqual(s("a\"b\\c\nd\te\rf\bg'h iAB"));
    expect(valueOf('"one \\\n     two"')).toEqual(s("one two"));
    expect(valueOf('"a\r\nb"')).toEqual(s("a\nb"));
  });
  test("escaped bytes that make a character of UTF-8 are that character", () => {
    expect(valueOf(String.raw`"\195\169\xe2\x82\xac."`)).toEqual(s("é€."));
  });
  test("triple quotes hold quotes and lines", () => {
    expect(valueOf('"""\\\n  say "hi" and \\"""."""')).toEqual(s('say "hi" and """.'));
    expect(valueOf('"""\nx"""')).toEqual(s("\nx"));
    expect(valueOf('""')).toEqual(s(""));
  });
  test("comments nest, and end lines", () => {
    expect(parseOpam('# one\nx: (* two (* three *) " *) "a" # four\n(* five *)').items).toHaveLength(1);
  });
  test("& binds more tightly than |, braces more than both and than !", () => {
    expect(valueOf('"a" {b} & !c {d} | "e"')).toEqual({
      kind: "or",
      operands: [
        {
          kind: "and",
          operands: [
            { kind: "option", value: s("a"), options: [id("b")] },
            {
              kind: "prefix",
              operator: "!",
              value: { kind: "option", value: id("c"), options: [id("d")] },
            },
          ],
        },
        s("e"),
      ],
    });
  });
  test("a list's elements need nothing between them", () => {
    expect(valueOf('[>= "1" os = "linux" FOO += "x" 1_000 -2 true a+b:c]')).toEqual({
      kind: "list",
      values: [
        { kind: "constraint", operator: ">=", value: s("1") },
        { kind: "relation", operator: "=", left: id("os"), right: s("linux") },
        { kind: "assignment", target: id("FOO"), operator: "+=", value: s("x") },
        { kind: "integer", value: 1000n },
        { kind: "integer", value: -2n },
        { kind: "boolean", value: true },
        id("a+b:c"),
      ],
    });
  });
  test("sections have a name or none, and sections in them", () => {
    expect(parseOpam('a { b "c" { d: e } }').items).toEqual([
      {
        kind: "section",
        type: "a",
        name: undefined,
        items: [
          { kind: "section", type: "b", name: "c", items: [{ kind: "field", name: "d", value: id("e") }] },
        ],
      },
    ]);
  });
});

describe("what is no opam file is refused with its place", () => {
  const cases: readonly (readonly [string, OpamError["code"], string])[] = [
    ['x: "a\ny: 1', "unterminated-string", "line 1, column 4"],
    ['x: """a"', "unterminated-string", "line 1, column 4"],
    ["x: 1\n  (* y (* *)", "unterminated-comment", "line 2, column 3"],
    [String.raw`x: "a\q"`, "bad-escape", "line 1, column 6"],
    [String.raw`x: "a\256"`, "bad-escape", "line 1, column 6"],
    ["x: 1\ny: %", "bad-token", "line 2, column 4"],
    ["x: 99999999999999999999", "bad-token", "line 1, column 4"],
    ["x: 4611686018427387904", "bad-token", "line 1, column 4"],
    ["x: [1", "bad-syntax", "the file ends"],
    ["x: 1]", "bad-syntax", "line 1, column 5"],
    ['x "y" z', "bad-syntax", "line 1, column 7"],
    ["x", "bad-syntax", "the file ends"],
    ["x: a & & b", "bad-syntax", "line 1, column 8"],
    ["x { y: 1", "bad-syntax", "the file ends"],
    [`x: ${"[".repeat(100_000)}`, "too-deep", "line 1"],
    [`x: ${"!".repeat(100_000)}`, "too-deep", "line 1"],
    [`x: a ${"{b}".repeat(100_000)}`, "too-deep", "line 1"],
    ["x {".repeat(100_000), "too-deep", "line 1"],
  ];
  for (const [text, code, place] of cases) {
    test(`${JSON.stringify(text.slice(0, 24))}: ${code}`, () => {
      const error = errorOf(text);
      expect(error.code).toBe(code);
      expect(error.message).toContain(place);
    });
  }
});

describe("any file", () => {
  test("what is printed reads as what it was", () => {
    fc.assert(
      fc.property(opamFiles, (file) => {
        const read = parseOpam(printOpam(file));
        expect(read).toEqual(file);
      }),
      { numRuns: 1000 },
    );
  });

  test("printing is settled after the first time", () => {
    fc.assert(
      fc.property(opamFiles, (file) => {
        const once = printOpam(file);
        expect(printOpam(parseOpam(once))).toBe(once);
      }),
    );
  });

  test("any text, and any change to a real file, is read or refused with an OpamError", () => {
    const real = vector("orb.opam-switch");
    const mutated = fc
      .record({ at: fc.nat(real.length), cut: fc.nat(40), put: fc.string({ maxLength: 12, unit: "binary" }) })
      .map(({ at, cut, put }) => real.slice(0, at) + put + real.slice(at + cut));
    fc.assert(
      fc.property(fc.oneof(fc.string({ maxLength: 200 }), mutated), (text) => {
        try {
          parseOpam(text);
        } catch (error) {
          expect(error).toBeInstanceOf(OpamError);
        }
      }),
      { numRuns: 400 },
    );
  });
});

describe("a megabyte of anything takes no time to speak of", () => {
  const MB = 1_000_000;
  const cases: Readonly<Record<string, string>> = {
    quotes: '"'.repeat(MB),
    backslashes: `x: "${"\\\\".repeat(MB / 2)}`,
    digits: `x: ${"1".repeat(MB)}`,
    dashes: `x: ${"-".repeat(MB)}`,
    "plus signs": `x: a${"+1".repeat(MB / 2)}`,
    "comment beginnings": "(*".repeat(MB / 2),
    newlines: "\n".repeat(MB),
    braces: "{".repeat(MB),
    "a long sum": `x: ${"a|".repeat(MB / 2)}a`,
    "many bytes": `x: "${"\\xff".repeat(MB / 4)}"`,
    "many errors' worth of lines": `${"x: 1\n".repeat(MB / 5)}%`,
    "many fields": "x: 1\n".repeat(MB / 5),
    "a real one": generateExport({ packages: 800 }),
  };
  for (const [name, text] of Object.entries(cases)) {
    test(name, () => {
      const start = performance.now();
      try {
        printOpam(parseOpam(text));
      } catch (error) {
        expect(error).toBeInstanceOf(OpamError);
      }
      expect(performance.now() - start).toBeLessThan(10_000);
    });
  }
});
