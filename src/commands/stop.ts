/** `robur stop`. */
import { UsageError } from "../lib/errors.ts";
import { print } from "../linux/libc.ts";
import { ask, connect } from "./client/connect.ts";
import { namesParser, namesOf } from "./client/name-parser.ts";
import { parseClient } from "./client/parser.ts";
import { resolveNames } from "./client/resolve-name.ts";

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = namesParser(
    "robur stop",
    "Stops unikernels, for good until somebody starts them.",
    argv,
  ).option("time", {
    alias: "t",
    type: "number",
    requiresArg: true,
    describe: "seconds until it is stopped by force (default 10)",
  });
  const flags = await parseClient(parser);
  if (flags === undefined) return;
  const { time } = flags;
  if (time !== undefined && !(time >= 0 && time <= 600)) throw new UsageError("--time is 0 to 600 seconds");
  const client = connect(flags.host);
  const query = time === undefined ? {} : { graceMs: Math.round(time * 1000) };
  const units = await resolveNames(client, namesOf(flags));
  await Promise.all(
    units.map(async ({ name }) => {
      await ask(client, client.api.unikernels({ name }).stop.post(undefined, { query }));
      print(`${name}\n`);
    }),
  );
}
