/** `robur trust`: whose statements about files count. */
import { readFileSync } from "node:fs";
import { UsageError } from "../lib/errors.ts";
import { print, printError } from "../linux/libc.ts";
import { type PublicKey, formatPublicKey, parsePublicKey } from "../trust/keys.ts";
import { ask, connect } from "./client/connect.ts";
import { type ListColumn, printList, withListFlags } from "./client/list.ts";
import { clientParser, parseClient } from "./client/parser.ts";
import { confirm } from "./confirm.ts";
import { fetchOwnKey } from "../trust/statement-sources.ts";
import { formatTime } from "./table.ts";

interface KeyRow {
  readonly name: string;
  readonly id: string;
  readonly key: string;
  readonly addedAt: number;
}

const COLUMNS: readonly ListColumn<KeyRow>[] = [
  { key: "name", title: "NAME", text: ({ name }) => name },
  { key: "id", title: "ID", text: ({ id }) => id, cut: 16 },
  { key: "key", title: "KEY", text: ({ key }) => key },
  { key: "addedAt", title: "SINCE", text: ({ addedAt }) => formatTime(addedAt) },
];

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  if (argv.length === 0) throw new UsageError("what about trust?", { hint: "robur trust ls" });
  const parser = clientParser(
    "robur trust",
    "robur trust COMMAND\n\nThe keys whose signed statements count: who built a file, and who built the same one again.",
    argv,
  )
    .command(
      "ls",
      "The keys that are trusted",
      (y) => withListFlags(y),
      async (flags) => {
        const client = connect(flags.host);
        const { keys } = await ask(client, client.api.trust.keys.get());
        printList(COLUMNS, keys, ({ name }) => name, flags);
      },
    )
    .command(
      "add <name> <key>",
      "Trust a key",
      (y) =>
        y
          .positional("name", { type: "string", demandOption: true, describe: "what to call it" })
          .positional("key", {
            type: "string",
            demandOption: true,
            describe: "ed25519:…, a file with it or with PEM, or the address of a robur server",
          })
          .option("yes", { alias: "y", type: "boolean", default: false, describe: "don't ask" }),
      async (flags) => {
        const isServer = /^https?:\/\//.test(flags.key);
        const key = isServer ? await fetchOwnKey(flags.key) : readKey(flags.key);
        // Who answers at an address isn't proven by its answer: compare it with what the owner says.
        const question = `trust ${formatPublicKey(key)} of ${flags.key}?`;
        if (isServer && !confirm(question, flags.yes, `robur trust add --yes ${flags.name} ${flags.key}`)) {
          printError("nothing was changed\n");
          process.exitCode = 1;
          return;
        }
        const client = connect(flags.host);
        await ask(client, client.api.trust.keys.post({ name: flags.name, key: formatPublicKey(key) }));
        print(`${flags.name}\n`);
      },
    )
    .command(
      "rm <key>",
      "Trust a key no longer",
      (y) => y.positional("key", { type: "string", demandOption: true, describe: "its name or id" }),
      async (flags) => {
        const client = connect(flags.host);
        await ask(client, client.api.trust.keys({ key: flags.key }).delete());
        print(`${flags.key}\n`);
      },
    )
    .command(
      "key",
      "The key that this server signs with, for others to trust",
      (y) => y.option("pem", { type: "boolean", default: false, describe: "as openssl reads it" }),
      async (flags) => {
        const client = connect(flags.host);
        const { keys } = await ask(client, client.api.trust.own.get());
        print(flags.pem ? keys[0]!.pem : `${keys[0]!.key}\n`);
      },
    )
    .demandCommand(1, "which of its commands?")
    .example("robur trust key", "what others need to trust this server")
    .example("robur trust add alice https://builds.alice.example", "trust another server's statements");
  await parseClient(parser);
}

/** A key as it was given: its text, or a file with it. Throws TrustError, UsageError. */
export function readKey(text: string): PublicKey {
  if (text.startsWith("ed25519:")) return parsePublicKey(text);
  let content: string;
  try {
    content = readFileSync(text, "utf8");
  } catch (error) {
    throw new UsageError(`${text} is no key`, {
      why: `it doesn't begin with ed25519:, and there is no such file (${(error as { code?: string }).code ?? String(error)})`,
      hint: "robur trust key prints a server's",
    });
  }
  return parsePublicKey(content);
}
