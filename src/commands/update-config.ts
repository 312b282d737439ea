/** `robur update-config`: another configuration, or another image, for a unikernel that is there. */
import { UsageError } from "../lib/errors.ts";
import { printError } from "../linux/libc.ts";
import { readConfigFlags, withConfigFlags } from "./client/config-flags.ts";
import { ask, connect } from "./client/connect.ts";
import { parseImageRef, provideImage } from "./client/image-ref.ts";
import { namesOf } from "./client/name-parser.ts";
import { clientParser, guestArguments, parseClient } from "./client/parser.ts";
import { resolveNames } from "./client/resolve-name.ts";
import { type StartedAnswer, tellStarted } from "./client/started.ts";

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = withConfigFlags(
    clientParser(
      "robur update-config",
      "robur update-config NAME [flags] [-- ARGUMENTS]\n\nChanges what is given and leaves the rest. A unikernel that runs goes on as it is until it is\nstarted again: --now does that.",
      argv,
    ),
  )
    .command("$0 <name>", false, (y) => y.positional("name", { type: "string", demandOption: true }))
    .option("image", {
      type: "string",
      requiresArg: true,
      describe: "another image: a file, sha256:…, or an address",
    })
    .option("now", { type: "boolean", default: false, describe: "restart it to make the change count" })
    .option("quiet", { alias: "q", type: "boolean", default: false, describe: "print the name only" })
    .option("json", { type: "boolean", default: false, describe: "print the answer as JSON" })
    .example("robur update-config web -m 128M --now", "more memory")
    .example("robur update-config web --image web-2.hvt --now", "another version");
  const flags = await parseClient(parser);
  if (flags === undefined) return;
  const config = readConfigFlags(flags, guestArguments(flags));
  if (Object.keys(config).length === 0 && flags.image === undefined) {
    throw new UsageError("what shall be changed?", { hint: "robur update-config NAME --memory 64M" });
  }
  const client = connect(flags.host);
  const [unit] = await resolveNames(client, namesOf(flags));
  const image =
    flags.image === undefined
      ? {}
      : { image: (await provideImage(client, parseImageRef(flags.image))).sha256 };
  const update = { config, ...image, restart: flags.now };
  const answer = await ask(client, client.api.unikernels({ name: unit!.name }).patch(update as never));
  tellStarted(answer as StartedAnswer, flags);
  if (answer.unikernel.hasPendingChanges && !flags.quiet) {
    printError(`it goes on as it was until it is started again: robur restart ${answer.unikernel.name}\n`);
  }
}
