/** `robur rename`. */
import { print } from "../linux/libc.ts";
import { ask, connect } from "./client/connect.ts";
import { clientParser, parseClient } from "./client/parser.ts";
import { resolveNames } from "./client/resolve-name.ts";

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = clientParser(
    "robur rename",
    "robur rename NAME TO\n\nGives a unikernel another name, or another path. One that runs learns of it when it starts next.",
    argv,
  ).command("$0 <name> <to>", false, (y) =>
    y
      .positional("name", { type: "string", demandOption: true })
      .positional("to", { type: "string", demandOption: true }),
  );
  const flags = await parseClient(parser);
  if (flags === undefined) return;
  const { name: text, to } = flags as typeof flags & { name: string; to: string };
  const client = connect(flags.host);
  const [unikernel] = await resolveNames(client, [text]);
  const { name } = await ask(client, client.api.unikernels({ name: unikernel!.name }).rename.post({ to }));
  print(`${name}\n`);
}
