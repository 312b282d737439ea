/** How commands read their arguments: yargs does the work, and its complaints become errors like all others. */
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
  try {
    const parsed = (await parser.exitProcess(false).fail(refuse).parseAsync()) as ArgumentsCamelCase<T>;
    if (parsed["help"] === true) return undefined;
    return parsed;
  } catch (error) {
    if (!(error instanceof Error) || error instanceof RoburError) throw error;
    // The system's: a file that isn't there, a connection that broke.
    const isSystems = "code" in error && /^E[A-Z0-9]+$/.test(String(error.code));
    throw isSystems ? new RoburError("failed", error.message, { cause: error }) : error;
  }
}

/** yargs' complaints about the arguments have a message, or are errors of its own; others are the command's. */
function refuse(message: string | null, error: Error | undefined): never {
  if (error !== undefined && error !== null && error.name !== "YError") throw error;
  const text = message ?? error?.message ?? "";
  throw new UsageError(text.replaceAll("\n", ", "), { hint: "--help" });
}
