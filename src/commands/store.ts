/** `robur store`: what is kept of builds, how much room it takes, and what of it may go. */
import { UsageError } from "../lib/errors.ts";
import { type ClientArgv, clientParser, parseClient } from "./client/parser.ts";

const verbs = () => import("./store-verbs.ts");

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  if (argv.length === 0) throw new UsageError("what about the store?", { hint: "robur store stats" });
  const parser = clientParser(
    "robur store",
    "robur store COMMAND\n\nThe store of builds: files are cut into chunks, and each is kept once, compressed.",
    argv,
  )
    .example("robur store stats", "how much is kept")
    .example("robur store gc", "remove what nobody refers to, now instead of at night")
    .example("robur store retention set --keep-successful 10", "of each job and platform")
    .example("robur store vacuum older-than 90d --dry-run", "which builds are that old");
  await parseClient(vacuuming(retaining(checking(parser))).demandCommand(1, "which of its commands?"));
}

function checking(parser: ClientArgv): ClientArgv {
  const json = { type: "boolean", default: false, describe: "as JSON" } as const;
  return parser
    .command(
      "stats",
      "How much is kept, and how much room it takes",
      (y) => y.option("json", json),
      async (flags) => (await verbs()).stats(flags),
    )
    .command(
      "gc",
      "Remove what nobody refers to, and give the room back",
      (y) =>
        y
          .option("dry-run", {
            alias: "n",
            type: "boolean",
            default: false,
            describe: "only say what would go",
          })
          .option("compact", {
            type: "boolean",
            default: false,
            describe: "write the whole database anew instead; the server must be stopped",
          })
          .option("data-dir", {
            type: "string",
            requiresArg: true,
            describe: "with --compact: where robur keeps its data",
          })
          .option("json", json),
      async (flags) => {
        if (flags.compact && flags.dryRun) throw new UsageError("--compact has no --dry-run");
        return flags.compact ? (await verbs()).compact(flags) : (await verbs()).gc(flags);
      },
    )
    .command(
      "verify",
      "Compare everything that is kept with its SHA-256; exit status 1 where something is damaged",
      (y) => y.option("json", json),
      async (flags) => (await verbs()).verify(flags),
    );
}

function retaining(parser: ClientArgv): ClientArgv {
  return parser.command("retention", "Which builds the server removes by itself, each day", (y) =>
    y
      .command(
        ["show", "$0"],
        "What is decided",
        (y) => y.option("json", { type: "boolean", default: false, describe: "as JSON" }),
        async (flags) => (await verbs()).showRetention(flags),
      )
      .command(
        "set",
        "Decide anew; what isn't given is kept for ever",
        (y) =>
          y
            .option("keep-successful", {
              type: "string",
              requiresArg: true,
              describe: "so many of each job and platform, and what is newer; or all",
            })
            .option("max-age", {
              type: "string",
              requiresArg: true,
              describe: "so many days, such as 365d; or never",
            }),
        async (flags) => (await verbs()).setRetention(flags),
      ),
  );
}

function vacuuming(parser: ClientArgv): ClientArgv {
  return parser.command("vacuum", "Remove old builds now, by one of builder-web's rules", (y) =>
    y
      .option("platform", {
        type: "string",
        requiresArg: true,
        describe: "only builds for it; counts are for it alone then",
      })
      .option("job", { type: "string", array: true, requiresArg: true, describe: "only these jobs' builds" })
      .option("dry-run", { alias: "n", type: "boolean", default: false, describe: "only list them" })
      .option("yes", { alias: "y", type: "boolean", default: false, describe: "don't ask" })
      .option("json", { type: "boolean", default: false, describe: "list them as JSON" })
      .command(
        "older-than <when>",
        "Those that finished then or before",
        (y) =>
          y.positional("when", { type: "string", demandOption: true, describe: "90d, or a time (RFC 3339)" }),
        async (flags) => (await verbs()).vacuumOlderThan(flags, flags.when),
      )
      .command(
        "except-latest <count>",
        "All but the newest of each job, successful or not",
        (y) => y.positional("count", { type: "string", demandOption: true }),
        async (flags) => (await verbs()).vacuumExcept("except-latest", flags, flags.count),
      )
      .command(
        "except-latest-successful <count>",
        "All before the successful build that has so many newer successful ones",
        (y) => y.positional("count", { type: "string", demandOption: true }),
        async (flags) => (await verbs()).vacuumExcept("except-latest-successful", flags, flags.count),
      )
      .demandCommand(1, "by which rule?"),
  );
}
