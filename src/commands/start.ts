/** `robur start`. */
import { ask, connect } from "./client/connect.ts";
import { namesParser, namesOf } from "./client/name-parser.ts";
import { parseClient } from "./client/parser.ts";
import { resolveNames } from "./client/resolve-name.ts";
import { tellStarted } from "./client/started.ts";

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = namesParser("robur start", "Starts unikernels. Answers when each runs or has failed.", argv)
    .option("no-wait", { type: "boolean", default: false, describe: "answer at once" })
    .option("quiet", { alias: "q", type: "boolean", default: false, describe: "print the names only" })
    .option("json", { type: "boolean", default: false, describe: "print the answers as JSON" });
  const flags = await parseClient(parser);
  if (flags === undefined) return;
  const client = connect(flags.host);
  const wait = flags.noWait ? "no" : "started";
  for (const { name } of await resolveNames(client, namesOf(flags))) {
    tellStarted(
      await ask(client, client.api.unikernels({ name }).start.post(undefined, { query: { wait } })),
      flags,
    );
  }
}
