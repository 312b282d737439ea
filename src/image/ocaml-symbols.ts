/**
 * Names that OCaml's native compiler gives its symbols, turned back into what stands in the source.
 *
 * A symbol is `caml`, the compilation unit, a separator, the name, and mostly a number that makes it the only one:
 * `camlStdlib__List__map_233`. The separator was `__` up to OCaml 5.0, and is `.` or, where assemblers can't have
 * that, `$` since. What isn't a letter, digit or underscore is written as `$` and two hexadecimal digits: `=` is
 * `$3d`. No name begins with a digit, and all that is escaped lies at 20 to 7e, so `$` before 2 to 7 is no separator.
 */

export interface OcamlName {
  /** The compilation unit as the linker knows it: Stdlib__List. */
  readonly unit: string;
  /** The name in it, without its number: map. Empty for the unit's own block. */
  readonly name: string;
}

export interface UnitMark {
  readonly unit: string;
  readonly part: "code" | "data";
  readonly edge: "begin" | "end";
}

const MARK = /^caml_?(.+?)(?:__|\.|\$)(code|data)_(begin|end)$/;

/** Where a compilation unit's code or data begins or ends, for the symbols that only say that. */
export function unitMark(symbol: string): UnitMark | undefined {
  const match = symbol.startsWith("caml") ? MARK.exec(symbol) : null;
  if (match === null) return undefined;
  return {
    unit: match[1]!,
    part: match[2] as UnitMark["part"],
    edge: match[3] as UnitMark["edge"],
  };
}

/**
 * What an OCaml symbol names; undefined for symbols of C, those of the runtime (`caml_alloc`) included. With the
 * old separator a unit can't be told from a name surely unless `units` knows it.
 */
export function demangleOcaml(symbol: string, units?: ReadonlySet<string>): OcamlName | undefined {
  if (!/^caml[A-Z]/.test(symbol)) return undefined;
  const rest = symbol.slice(4);
  if (units?.has(rest) === true) return { unit: rest, name: "" };
  const at = rest.search(/\.|\$(?!\$?[2-7][0-9a-f])/);
  if (at > 0) return { unit: rest.slice(0, at), name: plainName(rest.slice(at + 1)) };
  for (let end = rest.lastIndexOf("__"); end > 0; end = rest.lastIndexOf("__", end - 1)) {
    // A name's own underscores belong to the name.
    while (rest[end - 1] === "_") end--;
    const unit = rest.slice(0, end);
    if (units === undefined || units.has(unit)) return { unit, name: plainName(rest.slice(end + 2)) };
  }
  return { unit: rest, name: "" };
}

/** Without escapes and without the number at its end. */
function plainName(name: string): string {
  return name
    .replaceAll(/\$\$?([2-7][0-9a-f])/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
    .replace(/(?:_\d+)+((?:_code|_closure)?)$/, "$1");
}

/** A unit as the path of modules that it stands for: Stdlib__List is Stdlib, then List. */
export function modulesOf(unit: string): string[] {
  const parts = unit.split(/__+/).filter((part) => part !== "");
  // Dune puts the modules of an executable below a module of its own.
  if (parts[0] === "Dune" && parts[1] === "exe") parts.splice(0, 2, "Dune.exe");
  return parts.length === 0 ? [unit] : parts;
}
