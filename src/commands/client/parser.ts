/** What all commands that speak to a server have in common. */
import yargs, { type Argv } from "yargs";
import { parse } from "../parse.ts";

export type ClientArgv = Argv<{ host: string | undefined }>;

/**
 * A parser with --host. `name`: `robur ps`. `usage`: the first line says how it is called, without `robur`. Flags
 * that begin with no- are flags of their own, and what stands behind `--` isn't read.
 */
export function clientParser(name: string, usage: string, argv: readonly string[]): ClientArgv {
  return yargs([...argv])
    .scriptName(name)
    .locale("en")
    .version(false)
    .usage(usage)
    .parserConfiguration({ "boolean-negation": false, "populate--": true })
    .option("host", {
      type: "string",
      requiresArg: true,
      describe: "the server: https://NAME with ROBUR_TOKEN, or unix:///PATH (ROBUR_HOST)",
    });
}

/** Ends a parser's description and reads the arguments; undefined: help was asked for. Throws UsageError. */
export function parseClient<T>(parser: Argv<T>) {
  return parse(parser.recommendCommands().strict().help().alias("help", "h").wrap(null));
}

/** What stands behind `--`: the guest's arguments; undefined where there is no `--`. */
export function guestArguments(flags: Readonly<Record<string, unknown>>): string[] | undefined {
  const rest = flags["--"];
  return Array.isArray(rest) ? rest.map(String) : undefined;
}
