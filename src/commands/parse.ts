/**
 * How commands read their arguments: yargs does the work, and its complaints become errors like all others. What a
 * command itself throws passes through as it is.
 */
import type { ArgumentsCamelCase, Argv } from "yargs";
import { RoburError, UsageError } from "../lib/errors.ts";

let listener: ((parser: Argv) => void) | undefined;

/**
 * Runs `work`, during which commands that parse their arguments are told that help was asked for, without anything
 * being printed, and their parsers go to `listen`: that is how shell completion learns what a command takes.
 */
export async function withListener(listen: (parser: Argv) => void, work: () => Promise<void>): Promise<void> {
  listener = listen;
  try {
    await work();
  } finally {
    listener = undefined;
  }
}

/**
 * The parsed arguments, or undefined when the help text was asked for (it is printed then).
 * Throws UsageError for arguments that don't fit, and what the command itself throws.
 */
export async function parse<T>(parser: Argv<T>): Promise<ArgumentsCamelCase<T> | undefined> {
  if (listener !== undefined) {
    listener(parser as Argv);
    return undefined;
  }
  const ready = parser.middleware((given) => refuseTwice(parser, given), true);
  try {
    const parsed = (await ready.exitProcess(false).fail(refuse).parseAsync()) as ArgumentsCamelCase<T>;
    if (parsed["help"] === true) return undefined;
    return parsed;
  } catch (error) {
    if (!(error instanceof Error) || error instanceof RoburError) throw error;
    // The system's: a file that isn't there, a connection that broke.
    const isSystems = "code" in error && /^E[A-Z0-9]+$/.test(String(error.code));
    throw isSystems ? new RoburError("failed", error.message, { cause: error }) : error;
  }
}

/** What yargs knows of a command's flags; its types don't tell of it. */
interface Known {
  getOptions(): { readonly key: Readonly<Record<string, unknown>>; readonly array: readonly string[] };
  getGroups(): Readonly<Record<string, readonly string[]>>;
}

/** Of a flag given twice yargs makes a list, whether a command takes lists there or not. Throws UsageError. */
function refuseTwice<T>(parser: Argv<T>, given: Readonly<Record<string, unknown>>): void {
  const { getOptions, getGroups } = parser as unknown as Known;
  const { key, array } = getOptions.call(parser);
  const lists = new Set([...array, ...(getGroups.call(parser)["Positionals:"] ?? [])]);
  const twice = Object.keys(key).find((name) => Array.isArray(given[name]) && !lists.has(name));
  if (twice === undefined) return;
  throw new UsageError(`${twice.length === 1 ? "-" : "--"}${twice} is given twice`, { hint: "--help" });
}

/** yargs' complaints about the arguments have a message, or are errors of its own; others are the command's. */
function refuse(message: string | null, error: Error | undefined): never {
  if (error !== undefined && error !== null && error.name !== "YError") throw error;
  const text = message ?? error?.message ?? "";
  throw new UsageError(text.replaceAll("\n", ", "), { hint: "--help" });
}
