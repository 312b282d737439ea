/** `robur hook`: who is told of what happens, by webhook, ntfy or script. */
import { UsageError } from "../lib/errors.ts";
import { withListFlags } from "./client/list.ts";
import { type ClientArgv, clientParser, parseClient } from "./client/parser.ts";

const verbs = () => import("./hook-verbs.ts");
const NAME = { type: "string", demandOption: true } as const;

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  if (argv.length === 0) throw new UsageError("what about hooks?", { hint: "robur hook ls" });
  const parser = clientParser(
    "robur hook",
    "robur hook COMMAND\n\nHooks are told of what happens: a webhook gets JSON with a signature, an ntfy topic a sentence, a\nscript of the data directory's folder hooks the event's name and the JSON on its standard input.\nWhat fails is tried again for half a day. Scripts in the folder upload-hooks need no command: they\nare run for each new build, as builder-web's are.",
    argv,
  );
  await parseClient(telling(changing(parser)).demandCommand(1, "which of its commands?"));
}

function changing(parser: ClientArgv): ClientArgv {
  return parser
    .command(
      "add <name> <target>",
      "Add one; of a webhook the key of its signatures is printed, for the only time",
      (y) =>
        y
          .positional("name", NAME)
          .positional("target", { ...NAME, describe: "an address, or a script's name" })
          .option("kind", {
            choices: ["webhook", "ntfy", "script"] as const,
            describe: "what it is (default: webhook for an address, else script)",
          })
          .option("event", {
            type: "string",
            array: true,
            nargs: 1,
            requiresArg: true,
            default: ["*"],
            describe: "what it is told of: build.finished, unikernel.* …; repeatable",
          })
          .option("secret-stdin", {
            type: "boolean",
            default: false,
            describe: "standard input's first line is the webhook's key, or ntfy's access token",
          }),
      async (flags) => (await verbs()).add(flags),
    )
    .command(
      "ls",
      "All of them",
      (y) => withListFlags(y),
      async (flags) => (await verbs()).list(flags),
    )
    .command(
      "enable <name>",
      "Tell it again",
      (y) => y.positional("name", NAME),
      async ({ host, name }) => (await verbs()).enable(host, name, true),
    )
    .command(
      "disable <name>",
      "Tell it nothing for a while",
      (y) => y.positional("name", NAME),
      async ({ host, name }) => (await verbs()).enable(host, name, false),
    )
    .command(
      "rm <name>",
      "Remove one",
      (y) => y.positional("name", NAME),
      async ({ host, name }) => (await verbs()).remove(host, name),
    ) as ClientArgv;
}

function telling(parser: ClientArgv): ClientArgv {
  return parser
    .command(
      "test <name>",
      "Send it a test",
      (y) => y.positional("name", NAME),
      async ({ host, name }) => (await verbs()).test(host, name),
    )
    .command(
      "deliveries <name>",
      "What it was told, newest first, and what came of it",
      (y) => withListFlags(y.positional("name", NAME)),
      async (flags) => (await verbs()).deliveries(flags),
    )
    .command(
      "replay <name> <delivery>",
      "Send one of those again",
      (y) => y.positional("name", NAME).positional("delivery", { type: "number", demandOption: true }),
      async ({ host, name, delivery }) => (await verbs()).replay(host, name, delivery),
    )
    .example("robur hook add deploy https://example.org/hook --event build.finished", "of each good build")
    .example("robur hook add phone https://ntfy.sh/TOPIC --kind ntfy --event 'unikernel.*'", "on a telephone")
    .example("robur hook deliveries deploy", "did it arrive?") as ClientArgv;
}
