/**
 * Flags as a table, read in two ways. A command line in which everything is in order is read by the few lines
 * below, because the command that boots a unikernel is done in less time than yargs takes to load. Anything
 * else, a flag that doesn't exist or a call for help, is left to yargs, which has the words for it.
 */
import type { Argv, Options } from "yargs";

export interface Flag {
  readonly type: "string" | "boolean";
  /** Other names; those of one letter are short flags. */
  readonly alias?: readonly string[];
  readonly describe: string;
  /** Its value is NAME=VALUE, which may also be written --flag:NAME=VALUE. */
  readonly named?: boolean;
}

export type FlagTable = Readonly<Record<string, Flag>>;

/** The flags that were given and what follows them, beginning with the first argument that is no flag. */
export interface Scanned {
  /** Values by the flag's first name, in the order given; "true" for a boolean. */
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly rest: readonly string[];
}

/** Reads flags up to the first argument that isn't one. Undefined: not in order, ask yargs why. */
export function scanFlags(table: FlagTable, argv: readonly string[]): Scanned | undefined {
  const names = new Map<string, string>();
  for (const [name, { alias = [] }] of Object.entries(table)) {
    for (const spelled of [name, ...alias])
      names.set(spelled.length === 1 ? `-${spelled}` : `--${spelled}`, name);
  }
  const values = new Map<string, string[]>();
  let i = 0;
  for (; i < argv.length && argv[i]!.startsWith("-") && argv[i] !== "-"; i++) {
    const [, spelled = argv[i]!, attached] = /^(--[^=]+)=(.*)$/s.exec(withoutColon(table, argv[i]!)) ?? [];
    if (spelled === "--") return { values, rest: argv.slice(i + 1) };
    const name = names.get(spelled);
    if (name === undefined) return undefined;
    const isBoolean = table[name]!.type === "boolean";
    if (isBoolean && attached !== undefined) return undefined;
    const value = isBoolean ? "true" : (attached ?? argv[++i]);
    // A flag in the place of a value is a value that was forgotten. `--flag=-x` is taken as it is written.
    if (value === undefined || (attached === undefined && /^-./s.test(value))) return undefined;
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  return { values, rest: argv.slice(i) };
}

/** The original tenders write --net:NAME=TAP for what is --net NAME=TAP here; both are taken. */
function withoutColon(table: FlagTable, argument: string): string {
  const [, name = "", value = ""] = /^--([a-z-]+):(.*)$/s.exec(argument) ?? [];
  return Object.hasOwn(table, name) && table[name]!.named === true ? `--${name}=${value}` : argument;
}

/** The same table for yargs. */
export function withFlags<T>(parser: Argv<T>, table: FlagTable): Argv<T> {
  for (const [name, { type, alias, describe }] of Object.entries(table)) {
    const options: Options = { type, describe, requiresArg: type === "string" };
    parser.option(name, alias === undefined ? options : { ...options, alias: [...alias] });
  }
  return parser;
}
