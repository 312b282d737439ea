/** `robur pull`: a build of another server, as a file or into the own server's store. */
import { UsageError } from "../lib/errors.ts";
import { clientParser, parseClient } from "./client/parser.ts";

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = clientParser(
    "robur pull",
    "robur pull JOB[@BUILD]\n\nFetches the newest good build of a job from another server, or the one that is named: its main\nbinary as a file, or with --store all of it into this server's store. Nothing is kept whose SHA-256\nisn't the announced one.",
    argv,
  )
    .command("$0 <job>", false, (y) => y.positional("job", { type: "string", demandOption: true }))
    .option("from", {
      type: "string",
      requiresArg: true,
      describe: "a remote's name or address (default: the default remote)",
    })
    .option("platform", { type: "string", requiresArg: true, describe: "built on this platform" })
    .option("output", {
      alias: "o",
      type: "string",
      requiresArg: true,
      describe: "to this file (default: the file's own name)",
    })
    .option("store", {
      type: "boolean",
      default: false,
      describe: "into the server's store, the whole build",
    })
    .example("robur pull dns-primary-git", "the newest build of builds.robur.coop, as a file here")
    .example("robur pull hello@5a0c31f2 --from home --store", "a certain one, into the store");
  const flags = await parseClient(parser);
  if (flags === undefined) return;
  if (flags.store && flags.output !== undefined)
    throw new UsageError("--store and --output exclude each other");
  const { pull } = await import("./pull-verbs.ts");
  await pull(flags as typeof flags & { job: string });
}
