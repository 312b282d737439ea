/** `robur remote`: other servers of builds, by name. */
import { UsageError } from "../lib/errors.ts";
import { print } from "../linux/libc.ts";
import { ask, connect } from "./client/connect.ts";
import { type ListColumn, printList, withListFlags } from "./client/list.ts";
import { type ClientArgv, clientParser, parseClient } from "./client/parser.ts";

interface Row {
  readonly name: string;
  readonly url: string;
  readonly isDefault: boolean;
}

const COLUMNS: readonly ListColumn<Row>[] = [
  { key: "name", title: "NAME", text: ({ name }) => name },
  { key: "url", title: "ADDRESS", text: ({ url }) => url },
  { key: "isDefault", title: "DEFAULT", text: ({ isDefault }) => (isDefault ? "yes" : "") },
];

const NAME = { type: "string", demandOption: true } as const;

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  if (argv.length === 0) throw new UsageError("what about remotes?", { hint: "robur remote ls" });
  const parser = clientParser(
    "robur remote",
    "robur remote COMMAND\n\nOther servers of builds, robur's or builder-web's, for robur pull and robur push.",
    argv,
  );
  await parseClient(withVerbs(parser).demandCommand(1, "which of its commands?"));
}

function withVerbs(parser: ClientArgv): ClientArgv {
  return parser
    .command(
      "add <name> <url>",
      "Add a server",
      (y) =>
        y.positional("name", NAME).positional("url", NAME).option("default", {
          type: "boolean",
          default: false,
          describe: "pull from it where no other is named",
        }),
      async ({ host, name, url, default: isDefault }) => {
        const client = connect(host);
        const added = await ask(client, client.api.remotes.post({ name, url, isDefault }));
        print(`${added.name}\n`);
      },
    )
    .command(
      "ls",
      "All of them",
      (y) => withListFlags(y),
      async (flags) => {
        const client = connect(flags.host);
        const { remotes } = await ask(client, client.api.remotes.get());
        printList(COLUMNS, remotes, ({ name }) => name, flags);
      },
    )
    .command(
      "default <name>",
      "Pull from this one where no other is named",
      (y) => y.positional("name", NAME),
      async ({ host, name }) => {
        const client = connect(host);
        await ask(client, client.api.remotes({ remote: name }).default.put());
        print(`${name}\n`);
      },
    )
    .command(
      "rm <name>",
      "Forget a server",
      (y) => y.positional("name", NAME),
      async ({ host, name }) => {
        const client = connect(host);
        await ask(client, client.api.remotes({ remote: name }).delete());
        print(`${name}\n`);
      },
    )
    .example("robur remote add home https://builds.example.org --default", "a server of one's own")
    .example("robur pull dns-primary-git --from robur", "from one of them") as ClientArgv;
}
