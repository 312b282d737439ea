/** `robur inspect`: everything about some unikernels, as JSON. */
import { print } from "../linux/libc.ts";
import { connect } from "./client/connect.ts";
import { namesParser, namesOf } from "./client/name-parser.ts";
import { parseClient } from "./client/parser.ts";
import { resolveNames } from "./client/resolve-name.ts";

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = namesParser(
    "robur inspect",
    "Prints everything about unikernels as JSON: a list, in the order asked for.",
    argv,
  )
    .option("format", {
      choices: ["json", "jsonl"] as const,
      default: "json" as const,
      describe: "how to print it",
    })
    .option("json", { type: "boolean", default: false, describe: "the same as --format json" });
  const flags = await parseClient(parser);
  if (flags === undefined) return;
  const units = await resolveNames(connect(flags.host), namesOf(flags));
  if (flags.format === "jsonl" && !flags.json)
    print(units.map((unit) => `${JSON.stringify(unit)}\n`).join(""));
  else print(`${JSON.stringify(units, null, 2)}\n`);
}
