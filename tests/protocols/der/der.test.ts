import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  type Der,
  choice,
  decode,
  encode,
  explicit,
  named,
  optional,
  sequence,
  sequenceOf,
} from "../../../src/protocols/der/der.ts";
import { DerError, type DerErrorCode } from "../../../src/protocols/der/der-error.ts";
import {
  INT63,
  bitString,
  boolean,
  ia5String,
  implicitBytes,
  integer,
  nothing,
  objectIdentifier,
  octetString,
  smallInteger,
  utf8,
  utf8Bytes,
} from "../../../src/protocols/der/types.ts";

const hex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

function refusal<T>(type: Der<T>, bytes: string): DerErrorCode | undefined {
  try {
    decode(type, hex(bytes));
    return undefined;
  } catch (error) {
    if (error instanceof DerError) return error.code;
    throw error;
  }
}

describe("known encodings, both ways", () => {
  const known: [string, Der<unknown>, unknown, string][] = [
    ["BOOLEAN true", boolean() as Der<unknown>, true, "0101ff"],
    ["INTEGER 0", integer() as Der<unknown>, 0n, "020100"],
    ["INTEGER 127", integer() as Der<unknown>, 127n, "02017f"],
    ["INTEGER 128", integer() as Der<unknown>, 128n, "02020080"],
    ["INTEGER -128", integer() as Der<unknown>, -128n, "020180"],
    ["INTEGER -129", integer() as Der<unknown>, -129n, "0202ff7f"],
    ["the largest of 63 bits", integer() as Der<unknown>, INT63.max, "02083fffffffffffffff"],
    ["the smallest of 63 bits", integer() as Der<unknown>, INT63.min, "0208c000000000000000"],
    ["OCTET STRING", octetString() as Der<unknown>, hex("00ff"), "040200ff"],
    ["UTF8String", utf8() as Der<unknown>, "é\uFEFF", "0c05c3a9efbbbf"],
    ["IA5String", ia5String() as Der<unknown>, "a@b", "1603614062"],
    ["BIT STRING", bitString() as Der<unknown>, { unused: 4, bytes: hex("abc0") }, "030304abc0"],
    [
      "OBJECT IDENTIFIER",
      objectIdentifier() as Der<unknown>,
      "1.3.6.1.4.1.49836.42",
      "06092b0601040183852c2a",
    ],
    ["OBJECT IDENTIFIER below 2", objectIdentifier() as Der<unknown>, "2.999.3", "0603883703"],
    ["[3] IMPLICIT", implicitBytes(3) as Der<unknown>, hex("01"), "830101"],
    ["[3] EXPLICIT NULL", explicit(3, nothing()) as Der<unknown>, {}, "a3020500"],
    [
      "a length of two bytes",
      octetString() as Der<unknown>,
      new Uint8Array(128),
      `048180${"00".repeat(128)}`,
    ],
    [
      "a length of three bytes",
      octetString() as Der<unknown>,
      new Uint8Array(256),
      `04820100${"00".repeat(256)}`,
    ],
  ];
  test.each(known)("%s", (_, type, value, bytes) => {
    expect(hexOf(encode(type, value))).toBe(bytes);
    expect(decode(type, hex(bytes))).toEqual(value);
  });
});

describe("what DER forbids is refused", () => {
  const forbidden: [string, Der<unknown>, string, DerErrorCode][] = [
    ["nothing", nothing() as Der<unknown>, "", "truncated"],
    ["half a header", nothing() as Der<unknown>, "05", "truncated"],
    ["half a length", octetString() as Der<unknown>, "048201", "truncated"],
    ["contents that end early", octetString() as Der<unknown>, "040300", "truncated"],
    ["bytes behind", nothing() as Der<unknown>, "050000", "trailing-bytes"],
    ["another type", nothing() as Der<unknown>, "020100", "wrong-tag"],
    ["a tag of two bytes", nothing() as Der<unknown>, "1f0100", "wrong-tag"],
    ["a long length that fits one byte", octetString() as Der<unknown>, "04810100", "bad-length"],
    [
      "a length that begins with zero",
      octetString() as Der<unknown>,
      `04820080${"00".repeat(128)}`,
      "bad-length",
    ],
    ["an indefinite length", sequence({}) as Der<unknown>, "30800000", "bad-length"],
    ["an absurd length", octetString() as Der<unknown>, "0488ffffffffffffffff", "bad-length"],
    ["a length that is no safe integer", octetString() as Der<unknown>, "0487ffffffffffffff", "bad-length"],
    [
      "an element beyond its sequence",
      sequence({ a: octetString() }) as Der<unknown>,
      "3003040200",
      "bad-length",
    ],
    ["an element too many", sequence({ a: nothing() }) as Der<unknown>, "300405000500", "trailing-bytes"],
    ["an element too few", sequence({ a: nothing() }) as Der<unknown>, "3000", "truncated"],
    ["an empty INTEGER", integer() as Der<unknown>, "0200", "bad-value"],
    ["an INTEGER with a zero too many", integer() as Der<unknown>, "0202007f", "bad-value"],
    ["an INTEGER with ff too many", integer() as Der<unknown>, "0202ff80", "bad-value"],
    ["an INTEGER of 64 bits", integer() as Der<unknown>, "02084000000000000000", "bad-value"],
    ["an endless INTEGER", integer() as Der<unknown>, `0282ffff7f${"11".repeat(65534)}`, "bad-value"],
    ["a number that isn't safe", smallInteger() as Der<unknown>, "020720000000000000", "bad-value"],
    ["a BOOLEAN of BER", boolean() as Der<unknown>, "010101", "bad-value"],
    ["a NULL with contents", nothing() as Der<unknown>, "050100", "bad-value"],
    ["text that isn't UTF-8", utf8() as Der<unknown>, "0c01ff", "bad-value"],
    ["IA5 beyond ASCII", ia5String() as Der<unknown>, "160180", "bad-value"],
    ["unused bits that are set", bitString() as Der<unknown>, "03020401", "bad-value"],
    ["8 unused bits", bitString() as Der<unknown>, "03020800", "bad-value"],
    ["an identifier that ends early", objectIdentifier() as Der<unknown>, "060188", "bad-value"],
    ["an identifier with a zero too many", objectIdentifier() as Der<unknown>, "06032b8001", "bad-value"],
  ];
  test.each(forbidden)("%s", (_, type, bytes, code) => {
    expect(refusal(type, bytes)).toBe(code);
  });

  test("what can't be written", () => {
    expect(() => encode(utf8(), "\uD800")).toThrow(DerError);
    expect(() => encode(integer(), INT63.max + 1n)).toThrow(DerError);
    expect(() => encode(smallInteger(), 0.5)).toThrow(DerError);
    expect(() => encode(ia5String(), "é")).toThrow(DerError);
    expect(() => encode(objectIdentifier(), "1.40.1")).toThrow(DerError);
    expect(() => encode(bitString(), { unused: 1, bytes: hex("01") })).toThrow(DerError);
  });

  test("values deeper than any grammar", () => {
    let deep: Der<unknown> = nothing() as Der<unknown>;
    let bytes = encode(nothing(), {});
    for (let i = 0; i < 40; i++) {
      deep = explicit(0, deep);
      bytes = Uint8Array.of(0xa0, bytes.length, ...bytes);
    }
    expect(refusal(deep, hexOf(bytes))).toBe("too-deep");
  });
});

test("an error says where", () => {
  const type = sequence({ a: nothing(), b: integer() });
  try {
    decode(type, hex("300605000202007f"));
    throw new Error("it was taken");
  } catch (error) {
    expect(error).toBeInstanceOf(DerError);
    expect((error as DerError).offset).toBe(4);
    expect((error as DerError).message).toContain("at byte 4");
  }
});

describe("round trips", () => {
  const Tree = sequence({
    number: integer(),
    text: optional(utf8()),
    list: sequenceOf(
      choice({
        bytes: explicit(0, named("bytes", utf8Bytes())),
        flag: explicit(1, named("flag", boolean())),
      }),
    ),
    last: optional(explicit(7, smallInteger(-1000, 1000))),
  });
  const tree = fc.record({
    number: fc.bigInt(INT63),
    text: fc.option(fc.string({ unit: "grapheme" }), { nil: undefined }),
    list: fc.array(
      fc.oneof(
        fc.record({ type: fc.constant("bytes" as const), bytes: fc.uint8Array({ maxLength: 300 }) }),
        fc.record({ type: fc.constant("flag" as const), flag: fc.boolean() }),
      ),
    ),
    last: fc.option(fc.integer({ min: -1000, max: 1000 }), { nil: undefined }),
  });

  test("of any value", () => {
    fc.assert(
      fc.property(tree, (value) => {
        const bytes = encode(Tree, value);
        expect(decode(Tree, bytes)).toEqual(value);
      }),
    );
  });

  test("of identifiers", () => {
    const arc = fc.bigInt({ min: 0n, max: 2n ** 100n });
    fc.assert(
      fc.property(
        fc.constantFrom("0", "1", "2"),
        fc.integer({ min: 0, max: 39 }),
        fc.array(arc),
        (root, second, rest) => {
          const text = [root, second, ...rest.slice(0, 5)].join(".");
          expect(decode(objectIdentifier(), encode(objectIdentifier(), text))).toBe(text);
        },
      ),
    );
  });

  test("bytes that decode encode to the same bytes, and others fail as DerError only", () => {
    fc.assert(
      fc.property(tree, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), (value, changes) => {
        const bytes = encode(Tree, value).slice();
        for (const [at, octet] of changes) bytes[at % bytes.length] = octet;
        try {
          const again = decode(Tree, bytes);
          expect(hexOf(encode(Tree, again))).toBe(hexOf(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(DerError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
