/** `robur rm`. */
import { print, printError } from "../linux/libc.ts";
import { ask, connect } from "./client/connect.ts";
import { namesParser, namesOf } from "./client/name-parser.ts";
import { parseClient } from "./client/parser.ts";
import { resolveNames } from "./client/resolve-name.ts";
import { confirm } from "./confirm.ts";

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = namesParser(
    "robur rm",
    "Removes unikernels, their consoles and figures. Volumes stay.",
    argv,
  )
    .option("force", { alias: "f", type: "boolean", default: false, describe: "stop what runs first" })
    .option("yes", { alias: "y", type: "boolean", default: false, describe: "don't ask" });
  const flags = await parseClient(parser);
  if (flags === undefined) return;
  const { force, yes } = flags;
  const client = connect(flags.host);
  // Those that don't exist are found out before anybody is asked, and before the first is gone.
  const names = (await resolveNames(client, namesOf(flags))).map(({ name }) => name);
  const command = `robur rm --yes ${force ? "--force " : ""}${names.join(" ")}`;
  if (!confirm(`remove ${names.join(", ")} for good?`, yes, command)) {
    printError("nothing was removed\n");
    process.exitCode = 1;
    return;
  }
  for (const name of names) {
    await ask(client, client.api.unikernels({ name }).delete(undefined, { query: { force } }));
    print(`${name}\n`);
  }
}
