/** The universal types of ASN.1, by their names there. */
import { type Der, map, primitive } from "./der.ts";
import { DerError } from "./der-error.ts";

/** OCaml's native integers, which asn1-combinators gives: 63 bits with a sign. */
export const INT63 = { min: -(2n ** 62n), max: 2n ** 62n - 1n } as const;

/** An INTEGER within bounds, both of them included. Default: 63 bits. */
export function integer(bounds: { readonly min: bigint; readonly max: bigint } = INT63): Der<bigint> {
  const check = (value: bigint) => {
    if (value < bounds.min || value > bounds.max) {
      throw new DerError("bad-value", `an INTEGER outside of ${bounds.min} to ${bounds.max}`);
    }
    return value;
  };
  // One octet more than the bounds need: numbers beyond any bound aren't made at all.
  const longest = Math.max(...[bounds.min, bounds.max].map((bound) => integerBytes(bound).length)) + 1;
  return primitive(
    0x02,
    (contents) => check(integerOf(contents, longest)),
    (value) => integerBytes(check(value)),
  );
}

/** An INTEGER as a number, within bounds that are safe integers. */
export function smallInteger(
  min: number = Number.MIN_SAFE_INTEGER,
  max: number = Number.MAX_SAFE_INTEGER,
): Der<number> {
  return map(integer({ min: BigInt(min), max: BigInt(max) }), Number, (value) => {
    if (!Number.isSafeInteger(value)) throw new DerError("bad-value", `${value} is no INTEGER`);
    return BigInt(value);
  });
}

function integerOf(contents: Uint8Array, longest: number): bigint {
  const [first, second] = contents;
  if (first === undefined) throw new DerError("bad-value", "an INTEGER without contents");
  if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) {
    throw new DerError("bad-value", "an INTEGER with more bytes than it needs");
  }
  if (contents.length > longest) throw new DerError("bad-value", "an INTEGER that is too large");
  let value = 0n;
  for (const octet of contents) value = (value << 8n) | BigInt(octet);
  return BigInt.asIntN(contents.length * 8, value);
}

/** Minimal two's complement. */
function integerBytes(value: bigint): number[] {
  const octets: number[] = [];
  for (let rest = value; ; rest >>= 8n) {
    const octet = Number(rest & 0xffn);
    octets.unshift(octet);
    if (rest >> 8n === (octet >= 0x80 ? -1n : 0n)) return octets;
  }
}

export function boolean(): Der<boolean> {
  return primitive(
    0x01,
    (contents) => {
      const [octet] = contents;
      if (contents.length !== 1 || (octet !== 0 && octet !== 0xff)) {
        throw new DerError("bad-value", "a BOOLEAN that is neither true nor false");
      }
      return octet === 0xff;
    },
    (value) => [value ? 0xff : 0],
  );
}

/** NULL, as an object without fields, so that it can be one of several choices. */
export function nothing(): Der<object> {
  return primitive(
    0x05,
    (contents) => {
      if (contents.length > 0) throw new DerError("bad-value", "a NULL with contents");
      return {};
    },
    () => [],
  );
}

export function octetString(): Der<Uint8Array> {
  return bytesWithTag(0x04);
}

/** A UTF8String whose bytes are taken as they are: OCaml's programs put any bytes there. */
export function utf8Bytes(): Der<Uint8Array> {
  return bytesWithTag(0x0c);
}

/** A UTF8String that is text. Both ways it must be valid. */
export function utf8(): Der<string> {
  return primitive(0x0c, textOf, (text) => {
    if (!text.isWellFormed()) throw new DerError("bad-value", "text with half a character");
    return new TextEncoder().encode(text);
  });
}

/** Fails for what isn't UTF-8, and keeps a byte order mark. */
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function textOf(contents: Uint8Array): string {
  try {
    return UTF8.decode(contents);
  } catch (error) {
    if (error instanceof TypeError) throw new DerError("bad-value", "a UTF8String that isn't UTF-8");
    throw error;
  }
}

/** An IA5String: ASCII. */
export function ia5String(): Der<string> {
  const check = (bytes: Uint8Array): Uint8Array => {
    if (bytes.some((octet) => octet >= 0x80)) throw new DerError("bad-value", "an IA5String beyond ASCII");
    return bytes;
  };
  return primitive(
    0x16,
    (contents) => textOf(check(contents)),
    (text) => check(new TextEncoder().encode(text)),
  );
}

export interface BitString {
  /** Bits of the last byte that don't count: 0 to 7. They are zero. */
  readonly unused: number;
  readonly bytes: Uint8Array;
}

export function bitString(): Der<BitString> {
  const check = ({ unused, bytes }: BitString): BitString => {
    const last = bytes.at(-1) ?? 0;
    if (unused > 7 || (unused > 0 && bytes.length === 0) || (last & ((1 << unused) - 1)) !== 0) {
      throw new DerError("bad-value", "a BIT STRING whose unused bits are wrong");
    }
    return { unused, bytes };
  };
  return primitive(
    0x03,
    (contents) => {
      const [unused] = contents;
      if (unused === undefined) throw new DerError("bad-value", "a BIT STRING without contents");
      return check({ unused, bytes: contents.subarray(1) });
    },
    (value) => {
      const { unused, bytes } = check(value);
      return Uint8Array.of(unused, ...bytes);
    },
  );
}

/** An OBJECT IDENTIFIER as text: `1.3.6.1.4.1.49836.42`. */
export function objectIdentifier(): Der<string> {
  return primitive(0x06, identifierOf, identifierBytes);
}

function identifierOf(contents: Uint8Array): string {
  const bad = () => new DerError("bad-value", "a malformed OBJECT IDENTIFIER");
  // None in use comes near; the work for one arc grows with the square of its length.
  if (contents.length === 0 || contents.length > 128 || contents.at(-1)! >= 0x80) throw bad();
  const arcs: bigint[] = [];
  let [arc, isFirst] = [0n, true];
  for (const octet of contents) {
    if (isFirst && octet === 0x80) throw bad();
    arc = (arc << 7n) | BigInt(octet & 0x7f);
    isFirst = octet < 0x80;
    if (!isFirst) continue;
    arcs.push(arc);
    arc = 0n;
  }
  const [head = 0n, ...rest] = arcs;
  const root = head < 40n ? 0n : head < 80n ? 1n : 2n;
  return [root, head - root * 40n, ...rest].join(".");
}

function identifierBytes(text: string): number[] {
  const bad = () => new DerError("bad-value", `${text} is no OBJECT IDENTIFIER`);
  if (!/^[012](\.(0|[1-9]\d{0,38}))+$/.test(text) || text.length > 512) throw bad();
  const [root, second, ...rest] = text.split(".").map(BigInt) as [bigint, bigint, ...bigint[]];
  if (root < 2n && second >= 40n) throw bad();
  return [root * 40n + second, ...rest].flatMap((arc) => {
    const octets = [Number(arc & 0x7fn)];
    for (let left = arc >> 7n; left > 0n; left >>= 7n) octets.unshift(Number(left & 0x7fn) | 0x80);
    return octets;
  });
}

/** `[n] IMPLICIT` over a byte string: the context tag takes the place of its own. */
export function implicitBytes(n: number): Der<Uint8Array> {
  if (!Number.isInteger(n) || n < 0 || n > 30) throw new RangeError(`[${n}] has no single octet`);
  return bytesWithTag(0x80 | n);
}

function bytesWithTag(tag: number): Der<Uint8Array> {
  return primitive(
    tag,
    (contents) => contents,
    (bytes) => bytes as Uint8Array,
  );
}
