/** The tokens of opam's file syntax, one at a time. Every byte is looked at a bounded number of times. */
import { OpamError, type OpamErrorCode } from "./opam-error.ts";
import type { AssignmentOperator, RelationOperator } from "./syntax.ts";

export type Token =
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "identifier"; readonly value: string }
  | { readonly kind: "integer"; readonly value: bigint }
  | { readonly kind: "boolean"; readonly value: boolean }
  | { readonly kind: "relation"; readonly value: RelationOperator }
  | { readonly kind: "assignment"; readonly value: AssignmentOperator }
  | { readonly kind: "prefix"; readonly value: "!" | "?" }
  | { readonly kind: Mark };

type Mark = ":" | "{" | "}" | "[" | "]" | "(" | ")" | "&" | "|" | "end";

const MARKS: ReadonlyMap<string, Token> = new Map(
  ([":", "{", "}", "[", "]", "(", ")", "&", "|"] as const).map((kind) => [kind, { kind }]),
);
const END: Token = { kind: "end" };

const RELATIONS = ["=", "!=", ">=", ">", "<=", "<", "~"] as const;
const ASSIGNMENTS = ["+=", "=+", "=+=", ":=", "=:"] as const;
const OPERATORS: ReadonlyMap<string, Token> = new Map<string, Token>([
  ...ASSIGNMENTS.map((value): [string, Token] => [value, { kind: "assignment", value }]),
  ...RELATIONS.map((value): [string, Token] => [value, { kind: "relation", value }]),
  ["!", { kind: "prefix", value: "!" }],
  ["?", { kind: "prefix", value: "?" }],
]);
/** The longest first. */
const OPERATOR = /=[+:]=?|[+:]=|!=|[<>]=?|[=~!?]/y;
const BLANKS = /(?:[ \t\n]|\r\n)+/y;
const LINE_REST = /[^\n]*/y;
const COMMENT_MARK = /\(\*|\*\)/g;
/** One part of an identifier: at least one of its characters must be a letter. */
const PART = /[A-Za-z0-9_-]+/y;
const INTEGER = /-?[0-9_]+/y;
const LETTER = /[A-Za-z]/;
/** An OCaml integer. */
const INTEGER_LIMIT = 1n << 62n;
const INTEGER_DIGITS = 24;

export class Tokens {
  readonly #text: string;
  #at = 0;
  /** Where the token that was read last begins. */
  #start = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The next token; after the last one `end`, again and again. */
  next(): Token {
    this.#skip();
    this.#start = this.#at;
    const character = this.#text[this.#at];
    if (character === undefined) return END;
    if (character === '"') return { kind: "string", value: this.#string() };
    const mark = character === ":" ? undefined : MARKS.get(character);
    if (mark !== undefined) {
      this.#at++;
      return mark;
    }
    const operator = this.#match(OPERATOR);
    if (operator !== undefined)
      return OPERATORS.get(operator) ?? this.fail("bad-token", `${operator} is no operator`);
    if (character === ":") {
      this.#at++;
      return { kind: ":" };
    }
    return this.#word();
  }

  /** Throws an error that names the place of the last token. */
  fail(code: OpamErrorCode, what: string): never {
    throw new OpamError(code, `${this.#place(this.#start)}: ${what}`);
  }

  #place(offset: number): string {
    let line = 1;
    let lineStart = 0;
    for (let at = this.#text.indexOf("\n"); at >= 0 && at < offset; at = this.#text.indexOf("\n", at + 1)) {
      line++;
      lineStart = at + 1;
    }
    return `line ${line}, column ${offset - lineStart + 1}`;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#text)) return undefined;
    const start = this.#at;
    this.#at = pattern.lastIndex;
    return this.#text.slice(start, this.#at);
  }

  #skip(): void {
    for (;;) {
      this.#match(BLANKS);
      const character = this.#text[this.#at];
      if (character === "#") this.#match(LINE_REST);
      else if (character === "(" && this.#text[this.#at + 1] === "*") this.#comment();
      else return;
    }
  }

  #comment(): void {
    this.#start = this.#at;
    let depth = 0;
    COMMENT_MARK.lastIndex = this.#at;
    do {
      const mark = COMMENT_MARK.exec(this.#text);
      if (mark === null) this.fail("unterminated-comment", "a comment begins here and does not end");
      depth += mark[0] === "(*" ? 1 : -1;
    } while (depth > 0);
    this.#at = COMMENT_MARK.lastIndex;
  }

  /** An identifier `a`, `a+b`, `a+_:b`, a number, or true and false. */
  #word(): Token {
    const start = this.#at;
    const first = this.#match(PART);
    if (first === undefined) {
      const found = String.fromCodePoint(this.#text.codePointAt(start) ?? 0);
      this.fail("bad-token", `${JSON.stringify(found)} begins nothing that an opam file may have`);
    }
    if (!LETTER.test(first) && first !== "_") {
      this.#at = start;
      return this.#integer();
    }
    while (this.#text[this.#at] === "+" && this.#part(true));
    if (this.#text[this.#at] === ":") this.#part(false);
    const value = this.#text.slice(start, this.#at);
    if (value === "true" || value === "false") return { kind: "boolean", value: value === "true" };
    return { kind: "identifier", value };
  }

  /** Takes the sign here and the part of an identifier behind it, when there is one. */
  #part(mayBeUnderscore: boolean): boolean {
    const start = this.#at;
    this.#at++;
    const part = this.#match(PART);
    if (part !== undefined && (LETTER.test(part) || (mayBeUnderscore && part === "_"))) return true;
    this.#at = start;
    return false;
  }

  #integer(): Token {
    const digits = this.#match(INTEGER)?.replaceAll("_", "") ?? "";
    if (!/^-?[0-9]/.test(digits)) this.fail("bad-token", "this is neither a number nor a name");
    if (digits.length > INTEGER_DIGITS) this.fail("bad-token", "the number is too large");
    const value = BigInt(digits);
    if (value < -INTEGER_LIMIT || value >= INTEGER_LIMIT) this.fail("bad-token", "the number is too large");
    return { kind: "integer", value };
  }

  #string(): string {
    const quote = this.#text.startsWith('"""', this.#at) ? '"""' : '"';
    const start = this.#at + quote.length;
    const end = this.#text.indexOf(quote, start);
    const plain = end < 0 ? undefined : this.#text.slice(start, end);
    if (plain !== undefined && !plain.includes("\\")) {
      this.#at = end + quote.length;
      return plain.replaceAll("\r\n", "\n");
    }
    this.#at = start;
    return this.#escaped(quote);
  }

  /** The rest of a string that has escapes, or no end. */
  #escaped(quote: string): string {
    const special = quote === '"' ? /["\\]/g : /"""|\\/g;
    const text = new StringBytes();
    for (;;) {
      special.lastIndex = this.#at;
      const found = special.exec(this.#text);
      if (found === null) this.fail("unterminated-string", "a string begins here and does not end");
      if (found.index > this.#at) text.add(this.#text.slice(this.#at, found.index).replaceAll("\r\n", "\n"));
      this.#at = found.index + found[0].length;
      if (found[0] !== "\\") return text.finish();
      this.#escape(text);
    }
  }

  #escape(text: StringBytes): void {
    ESCAPE.lastIndex = this.#at;
    const found = ESCAPE.exec(this.#text);
    if (found === null) {
      this.#start = this.#at - 1;
      this.fail("bad-escape", "there is no such escape in a string");
    }
    this.#at = ESCAPE.lastIndex;
    const { character, decimal, hexadecimal } = found.groups ?? {};
    if (character !== undefined) text.add(ESCAPED[character] ?? character);
    else if (hexadecimal !== undefined) text.addByte(Number.parseInt(hexadecimal, 16));
    else if (decimal !== undefined) {
      const byte = Number(decimal);
      if (byte > 255) {
        this.#start = this.#at - 4;
        this.fail("bad-escape", `\\${decimal} is no byte`);
      }
      text.addByte(byte);
    }
  }
}

/** What may follow a backslash; a line's end and the blanks behind it stand for nothing. */
const ESCAPE = /\r?\n[ \t]*|(?<character>[\\"'nrtb ])|(?<decimal>[0-9]{3})|x(?<hexadecimal>[0-9A-Fa-f]{2})/y;
const ESCAPED: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", b: "\b" };

/** Text of which parts are given as bytes, several of which may be one character of UTF-8. */
class StringBytes {
  #text = "";
  #bytes: number[] = [];

  add(text: string): void {
    this.#flush();
    this.#text += text;
  }

  addByte(byte: number): void {
    if (byte < 0x80) this.add(String.fromCharCode(byte));
    else this.#bytes.push(byte);
  }

  finish(): string {
    this.#flush();
    return this.#text;
  }

  #flush(): void {
    if (this.#bytes.length === 0) return;
    this.#text += Buffer.from(this.#bytes).toString("utf8");
    this.#bytes = [];
  }
}
