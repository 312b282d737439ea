/** Whether two opam files of a package would build the same: everything that only people read is left out. */
import {
  type OpamFile,
  type OpamItem,
  type OpamValue,
  elementsOf,
  fieldOf,
  sectionsOf,
  withoutOptions,
} from "./syntax.ts";

const FORMULAS = ["depends", "depopts", "conflicts", "available", "features"];
const LISTS = ["version", "name", "conflict-class", "substs", "patches", "x-env-path-rewrite"];
const COMMANDS = ["build", "install", "remove", "build-doc"];
const NESTED = ["setenv", "build-env", "extra-files"];

/**
 * Looks only at what opam acts on: dependencies, conditions, commands, environment, sources. Of a source its first
 * checksum counts, and its address only where it has none. Brackets that opam may leave out make no difference.
 */
export function areEffectivelyEqual(left: OpamFile, right: OpamFile): boolean {
  return left === right || effectiveText(left) === effectiveText(right);
}

const texts = new WeakMap<OpamFile, string>();

/** Equal texts: effectively equal files. */
function effectiveText(file: OpamFile): string {
  const known = texts.get(file);
  if (known !== undefined) return known;
  const parts: string[] = [];
  const add = (name: string, values: readonly OpamValue[]) => {
    if (values.length > 0) parts.push(`${name}:${values.map(canonical).join(" ")}`);
  };
  for (const name of [...FORMULAS, ...LISTS]) add(name, elementsOf(fieldOf(file, name)));
  for (const name of NESTED) add(name, flattened(fieldOf(file, name)));
  for (const name of COMMANDS) add(name, commandsOf(fieldOf(file, name)));
  add("run-test", [...commandsOf(fieldOf(file, "build-test")), ...commandsOf(fieldOf(file, "run-test"))]);
  const isPlugin = elementsOf(fieldOf(file, "flags")).some(
    (flag) => flag.kind === "identifier" && flag.name === "plugin",
  );
  if (isPlugin) parts.push("plugin");
  for (const { items } of sectionsOf(file, "url")) parts.push(`url:${sourceText({ items })}`);
  const extra = sectionsOf(file, "extra-source").map(
    ({ name, items }) => `extra-source ${JSON.stringify(name)}:${sourceText({ items })}`,
  );
  const text = [...parts, ...extra.toSorted()].join("\n");
  texts.set(file, text);
  return text;
}

function sourceText(section: { readonly items: readonly OpamItem[] }): string {
  const [checksum] = elementsOf(fieldOf(section, "checksum"));
  if (checksum !== undefined) return canonical(checksum);
  const address = ["src", "archive", "http", "git", "hg", "darcs", "local"]
    .map((name) => fieldOf(section, name))
    .find((value) => value !== undefined);
  return address === undefined ? "" : canonical(address);
}

/** A field that is one command, or a list of them; those without words do nothing. */
function commandsOf(value: OpamValue | undefined): OpamValue[] {
  const elements = elementsOf(value);
  const areCommands = elements.some((element) => withoutOptions(element).kind === "list");
  const commands: readonly OpamValue[] =
    areCommands || elements.length === 0 ? elements : [{ kind: "list", values: elements }];
  return commands.filter((command) => {
    const inner = withoutOptions(command);
    return inner.kind !== "list" || inner.values.length > 0;
  });
}

/** `["a" "b"]` and `[["a" "b"]]` are the same here. */
function flattened(value: OpamValue | undefined): OpamValue[] {
  return elementsOf(value).flatMap((element) => (element.kind === "list" ? element.values : [element]));
}

/** One text for all ways to write a value. */
function canonical(value: OpamValue): string {
  switch (value.kind) {
    case "string":
      return JSON.stringify(value.value);
    case "identifier":
      return value.name;
    case "boolean":
    case "integer":
      return String(value.value);
    case "list":
      return `[${value.values.map(canonical).join(" ")}]`;
    case "group": {
      const [only, ...more] = value.values;
      return only !== undefined && more.length === 0 && only.kind !== "and" && only.kind !== "or"
        ? canonical(only)
        : `(${value.values.map(canonical).join(" ")})`;
    }
    case "option":
      return value.options.length === 0
        ? canonical(value.value)
        : `${canonical(value.value)}{${value.options.map(canonical).join(" ")}}`;
    case "and":
    case "or":
      return value.operands.map(canonical).join(value.kind === "and" ? "&" : "|");
    case "prefix":
      return `${value.operator}${canonical(value.value)}`;
    case "constraint":
      return `${value.operator}${canonical(value.value)}`;
    case "relation":
      return `${canonical(value.left)}${value.operator}${canonical(value.right)}`;
    case "assignment":
      return `${canonical(value.target)}${value.operator}${canonical(value.value)}`;
  }
}
