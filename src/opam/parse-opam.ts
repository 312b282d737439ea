/**
 * Reads opam's file syntax: opam files, switch exports, change records. It accepts what opam's own parser accepts, but
 * for files nested beyond all measure, and takes time linear in the text's length.
 */
import { OpamError } from "./opam-error.ts";
import type { OpamFile, OpamItem, OpamValue } from "./syntax.ts";
import { type Token, Tokens } from "./tokens.ts";

/** Real files nest about ten deep. */
const DEEPEST = 200;
/** Characters. The largest real export is a few megabytes. */
const LONGEST = 64 * 1024 * 1024;

/** Throws OpamError, with line and column for everything that the text itself has wrong. */
export function parseOpam(text: string): OpamFile {
  if (text.length > LONGEST) throw new OpamError("too-large", "the file is too large to be opam's");
  return new Parser(text).file();
}

class Parser {
  readonly #tokens: Tokens;
  #token: Token;
  #depth = 0;

  constructor(text: string) {
    this.#tokens = new Tokens(text);
    this.#token = this.#tokens.next();
  }

  file(): OpamFile {
    const items = this.#items();
    if (this.#token.kind !== "end") this.#unexpected("a field or a section");
    return { items };
  }

  #next(): void {
    this.#token = this.#tokens.next();
  }

  #take(kind: Token["kind"], what: string): void {
    if (this.#token.kind !== kind) this.#unexpected(what);
    this.#next();
  }

  #unexpected(wanted: string): never {
    const { kind } = this.#token;
    const found =
      kind === "end"
        ? "the file ends"
        : kind === "string" || kind === "identifier" || kind === "integer" || kind === "boolean"
          ? `there is ${kind === "identifier" || kind === "integer" ? "an" : "a"} ${kind}`
          : `there is ${"value" in this.#token ? String(this.#token.value) : kind}`;
    this.#tokens.fail("bad-syntax", `${found} where ${wanted} should be`);
  }

  #nested<T>(work: () => T): T {
    if (++this.#depth > DEEPEST) this.#tokens.fail("too-deep", `it nests more than ${DEEPEST} deep`);
    const result = work();
    this.#depth--;
    return result;
  }

  #items(): OpamItem[] {
    const items: OpamItem[] = [];
    while (this.#token.kind === "identifier") items.push(this.#item(this.#token.value));
    return items;
  }

  #item(name: string): OpamItem {
    this.#next();
    if (this.#token.kind === ":") {
      this.#next();
      return { kind: "field", name, value: this.#value() };
    }
    let sectionName: string | undefined;
    if (this.#token.kind === "string") {
      sectionName = this.#token.value;
      this.#next();
    }
    this.#take("{", sectionName === undefined ? `: or { behind ${name}` : `{ behind ${name} and its name`);
    const items = this.#nested(() => this.#items());
    this.#take("}", "a field, a section or }");
    return { kind: "section", type: name, name: sectionName, items };
  }

  #value(): OpamValue {
    return this.#operands("or", "|", () => this.#operands("and", "&", () => this.#prefixed()));
  }

  #operands(kind: "and" | "or", sign: "&" | "|", operand: () => OpamValue): OpamValue {
    const first = operand();
    if (this.#token.kind !== sign) return first;
    const operands = [first];
    while (this.#token.kind === sign) {
      this.#next();
      operands.push(operand());
    }
    return { kind, operands };
  }

  #prefixed(): OpamValue {
    if (this.#token.kind !== "prefix") return this.#optioned();
    const operator = this.#token.value;
    this.#next();
    return { kind: "prefix", operator, value: this.#nested(() => this.#prefixed()) };
  }

  #optioned(): OpamValue {
    let value = this.#simple();
    const depth = this.#depth;
    while (this.#token.kind === "{") {
      const inner = value;
      // Each pair of braces is one more level of the tree.
      this.#depth++;
      value = { kind: "option", value: inner, options: this.#values("{", "}") };
    }
    this.#depth = depth;
    return value;
  }

  #values(open: "{" | "[" | "(", close: "}" | "]" | ")"): OpamValue[] {
    this.#take(open, open);
    return this.#nested(() => {
      const values: OpamValue[] = [];
      while (this.#token.kind !== close) {
        if (this.#token.kind === "end") this.#unexpected(`a value or ${close}`);
        values.push(this.#value());
      }
      this.#next();
      return values;
    });
  }

  #simple(): OpamValue {
    const token = this.#token;
    if (token.kind === "[") return { kind: "list", values: this.#values("[", "]") };
    if (token.kind === "(") return { kind: "group", values: this.#values("(", ")") };
    if (token.kind === "relation") {
      this.#next();
      return { kind: "constraint", operator: token.value, value: this.#atom() };
    }
    const left = this.#atom();
    const operator = this.#token;
    if (operator.kind === "relation") {
      this.#next();
      return { kind: "relation", operator: operator.value, left, right: this.#atom() };
    }
    if (operator.kind === "assignment") {
      this.#next();
      return { kind: "assignment", target: left, operator: operator.value, value: this.#atom() };
    }
    return left;
  }

  #atom(): OpamValue {
    const token = this.#token;
    switch (token.kind) {
      case "string":
      case "integer":
      case "boolean":
        this.#next();
        return token as OpamValue;
      case "identifier":
        this.#next();
        return { kind: "identifier", name: token.value };
      default:
        return this.#unexpected("a value");
    }
  }
}
