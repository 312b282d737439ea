/** Any tree that opam's file syntax can say, for property tests. */
import * as fc from "fast-check";
import type { OpamFile, OpamItem, OpamValue } from "../../src/opam/syntax.ts";

const name = fc
  .stringMatching(/^[a-z][a-z0-9_-]{0,12}$/)
  .filter((word) => word !== "true" && word !== "false");
const identifier = fc.oneof(
  name,
  fc.tuple(name, name).map(([left, right]) => `${left}:${right}`),
  fc.tuple(name, name).map(([left, right]) => `${left}+${right}`),
  name.map((word) => `_:${word}`),
);
const text = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 40 }),
  fc.string({ unit: fc.constantFrom('"', "\\", "\n", " ", "\t", "a", "\r", "(*", "#", "é"), maxLength: 20 }),
  fc.string({ unit: fc.constantFrom("a", " ", "-"), maxLength: 100 }),
);

const atom: fc.Arbitrary<OpamValue> = fc.oneof(
  { weight: 4, arbitrary: text.map((value): OpamValue => ({ kind: "string", value })) },
  { weight: 2, arbitrary: identifier.map((word): OpamValue => ({ kind: "identifier", name: word })) },
  fc
    .bigInt({ min: -(1n << 62n), max: (1n << 62n) - 1n })
    .map((value): OpamValue => ({ kind: "integer", value })),
  fc.boolean().map((value): OpamValue => ({ kind: "boolean", value })),
);
const relation = fc.constantFrom("=", "!=", ">=", ">", "<=", "<", "~" as const);
const assignment = fc.constantFrom("+=", "=+", "=+=", ":=", "=:" as const);

/** The grammar's levels: what may stand beside an operator without parentheses. */
const { value } = fc.letrec<{
  value: OpamValue;
  conjunction: OpamValue;
  prefixed: OpamValue;
  simple: OpamValue;
}>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthIdentifier: "opam" },
    tie("conjunction"),
    fc
      .array(tie("conjunction"), { minLength: 2, maxLength: 4 })
      .map((operands): OpamValue => ({ kind: "or", operands })),
  ),
  conjunction: fc.oneof(
    { maxDepth: 4, depthIdentifier: "opam" },
    tie("prefixed"),
    fc
      .array(tie("prefixed"), { minLength: 2, maxLength: 4 })
      .map((operands): OpamValue => ({ kind: "and", operands })),
  ),
  prefixed: fc.oneof(
    { maxDepth: 4, depthIdentifier: "opam" },
    tie("simple"),
    fc
      .record({ operator: fc.constantFrom("!", "?" as const), value: tie("prefixed") })
      .map((inner): OpamValue => ({ kind: "prefix", ...inner })),
  ),
  simple: fc.oneof(
    { maxDepth: 4, depthIdentifier: "opam" },
    atom,
    fc
      .record({ operator: relation, value: atom })
      .map((inner): OpamValue => ({ kind: "constraint", ...inner })),
    fc
      .record({ operator: relation, left: atom, right: atom })
      .map((inner): OpamValue => ({ kind: "relation", ...inner })),
    fc
      .record({ operator: assignment, target: atom, value: atom })
      .map((inner): OpamValue => ({ kind: "assignment", ...inner })),
    fc.array(tie("value"), { maxLength: 5 }).map((values): OpamValue => ({ kind: "list", values })),
    fc.array(tie("value"), { maxLength: 3 }).map((values): OpamValue => ({ kind: "group", values })),
    fc
      .record({ value: tie("simple"), options: fc.array(tie("value"), { maxLength: 3 }) })
      .map((inner): OpamValue => ({ kind: "option", ...inner })),
  ),
}));

const field = fc.record({ name, value }).map((inner): OpamItem => ({ kind: "field", ...inner }));
const { section } = fc.letrec<{ section: OpamItem }>((tie) => ({
  section: fc
    .record({
      type: name,
      name: fc.option(text, { nil: undefined }),
      items: fc.array(fc.oneof({ maxDepth: 3 }, field, tie("section")), { maxLength: 4 }),
    })
    .map((inner): OpamItem => ({ kind: "section", ...inner })),
}));

export const opamFiles: fc.Arbitrary<OpamFile> = fc
  .array(fc.oneof({ weight: 3, arbitrary: field }, section), { maxLength: 6 })
  .map((items) => ({ items }));
