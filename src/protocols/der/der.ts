/**
 * DER, the one encoding of each ASN.1 value (ITU-T X.690), as values that describe a grammar and both read and write
 * it. A grammar is stated once:
 *
 *     const Point = sequence({ x: integer(), y: integer(), name: optional(utf8()) });
 *     decode(Point, encode(Point, { x: 1n, y: -2n, name: undefined }));
 *
 * What DER forbids is refused: lengths and integers with more bytes than they need, indefinite lengths, constructed
 * strings, elements too many, bytes behind the end.
 */
import { DerError } from "./der-error.ts";
import { DerReader, tagName } from "./reader.ts";
import { DerWriter } from "./writer.ts";

/** How one type is read and written. */
export interface Der<T> {
  /** The identifier octets that a value may begin with. */
  readonly tags: readonly number[];
  /** Throws DerError. */
  read(input: DerReader): T;
  /** Writers go from the end to the start. Throws DerError for a value that can't be written. */
  write(output: DerWriter, value: T): void;
}

export type ValueOf<D> = D extends Der<infer T> ? T : never;

/** The value that these bytes are, all of them. Byte strings in it are views of `bytes`. Throws DerError. */
export function decode<T>(type: Der<T>, bytes: Uint8Array): T {
  const input = new DerReader(bytes);
  const value = type.read(input);
  input.finish();
  return value;
}

/** The bytes of a value. Throws DerError for one that can't be written. */
export function encode<T>(type: Der<T>, value: T): Uint8Array {
  const output = new DerWriter();
  type.write(output, value);
  return output.finish();
}

/** A SEQUENCE with named elements, in the order in which they are given. */
export function sequence<T extends object>(fields: { readonly [K in keyof T]: Der<T[K]> }): Der<T> {
  const names = Object.keys(fields) as (keyof T)[];
  return {
    tags: [SEQUENCE],
    read: (input) =>
      input.constructed(SEQUENCE, () => {
        const value: Partial<T> = {};
        for (const name of names) value[name] = fields[name].read(input);
        return value as T;
      }),
    write(output, value) {
      const before = output.length;
      for (const name of names.toReversed()) fields[name].write(output, value[name]);
      output.header(SEQUENCE, output.length - before);
    },
  };
}

/** A SEQUENCE OF: any number of one type. */
export function sequenceOf<T>(element: Der<T>): Der<readonly T[]> {
  return {
    tags: [SEQUENCE],
    read: (input) =>
      input.constructed(SEQUENCE, () => {
        const values: T[] = [];
        while (!input.isAtEnd) values.push(element.read(input));
        return values;
      }),
    write(output, values) {
      const before = output.length;
      for (const value of values.toReversed()) element.write(output, value);
      output.header(SEQUENCE, output.length - before);
    },
  };
}

/** OPTIONAL: undefined where another type's value, or none, comes next. */
export function optional<T>(type: Der<T>): Der<T | undefined> {
  return {
    tags: type.tags,
    read(input) {
      const tag = input.peek();
      return tag !== undefined && type.tags.includes(tag) ? type.read(input) : undefined;
    },
    write(output, value) {
      if (value !== undefined) type.write(output, value);
    },
  };
}

/** `[n] EXPLICIT`: the type in a wrapping of its own. */
export function explicit<T>(n: number, type: Der<T>): Der<T> {
  const tag = 0xa0 | contextNumber(n);
  return {
    tags: [tag],
    read: (input) => input.constructed(tag, () => type.read(input)),
    write(output, value) {
      const before = output.length;
      type.write(output, value);
      output.header(tag, output.length - before);
    },
  };
}

/** One of several types by name: `{ type: name, ...the type's fields }`. */
export type Variant<T> = { [K in keyof T]: { readonly type: K } & T[K] }[keyof T];

/** A CHOICE between types that are told apart by their first octet. */
export function choice<T extends object>(kinds: { readonly [K in keyof T]: Der<T[K]> }): Der<Variant<T>> {
  const names = Object.keys(kinds) as (keyof T)[];
  const byTag = new Map(names.flatMap((name) => kinds[name].tags.map((tag) => [tag, name] as const)));
  return {
    tags: [...byTag.keys()],
    read(input) {
      const tag = input.peek();
      if (tag === undefined) throw input.error("truncated", "the bytes end where a value should be");
      const name = byTag.get(tag);
      if (name === undefined) throw input.error("wrong-tag", `${tagName(tag)} isn't one of the choices`);
      return { type: name, ...kinds[name].read(input) };
    },
    write(output, value) {
      kinds[value.type].write(output, value);
    },
  };
}

/** A type of which the program has another idea. `to` may throw DerError; its offset is filled in. */
export function map<A, B>(type: Der<A>, to: (value: A) => B, from: (value: B) => A): Der<B> {
  return {
    tags: type.tags,
    read(input) {
      const { offset } = input;
      const value = type.read(input);
      try {
        return to(value);
      } catch (error) {
        if (!(error instanceof DerError) || error.offset !== undefined) throw error;
        throw new DerError(error.code, error.reason, offset);
      }
    },
    write: (output, value) => type.write(output, from(value)),
  };
}

/** A type as an object with one field, for choices. */
export function named<K extends string, T>(name: K, type: Der<T>): Der<{ readonly [P in K]: T }> {
  return map(
    type,
    (value) => ({ [name]: value }) as { readonly [P in K]: T },
    (object) => object[name],
  );
}

/** A primitive type, by its identifier octet and contents. Errors of `read` get their offset. */
export function primitive<T>(
  tag: number,
  read: (contents: Uint8Array) => T,
  write: (value: T) => Uint8Array | readonly number[],
): Der<T> {
  const bytes: Der<Uint8Array | readonly number[]> = {
    tags: [tag],
    read: (input) => input.primitive(tag),
    write(output, contents) {
      output.prepend(contents);
      output.header(tag, contents.length);
    },
  };
  return map(bytes, (contents) => read(contents as Uint8Array), write);
}

const SEQUENCE = 0x30;

function contextNumber(n: number): number {
  if (!Number.isInteger(n) || n < 0 || n > 30) throw new RangeError(`[${n}] has no single octet`);
  return n;
}
