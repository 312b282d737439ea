/** `robur import`: builds that were made or kept elsewhere. */
import { UsageError } from "../lib/errors.ts";
import { type ClientArgv, clientParser, parseClient } from "./client/parser.ts";

const verbs = () => import("./import-verbs.ts");

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  if (argv.length === 0) {
    throw new UsageError("import what?", { hint: "robur import builder-web /var/lib/builder-web" });
  }
  const parser = clientParser(
    "robur import",
    "robur import COMMAND\n\nBrings builds here that another server keeps. What is here already is left out, so an import that\nwas interrupted is started again and goes on. Every file is verified. Needs no running server; where\none runs, it does the work, and paths are those of its machine.",
    argv,
  ).option("data-dir", {
    type: "string",
    requiresArg: true,
    describe: "the data directory of a server that doesn't run",
  });
  await parseClient(withVerbs(parser as unknown as ClientArgv).demandCommand(1, "import what?"));
}

function withVerbs(parser: ClientArgv): ClientArgv {
  return parser
    .command(
      "builder-web <directory>",
      "All of a builder-web: users, jobs, builds; its server may go on running",
      (y) => y.positional("directory", { type: "string", demandOption: true }),
      async (flags) => (await verbs()).importDirectory("builder-web", flags.directory, flags),
    )
    .command(
      "builder <path>",
      "The records that builder's server kept (DIRECTORY/JOB/UUID/full), or a single one",
      (y) => y.positional("path", { type: "string", demandOption: true }),
      async (flags) => (await verbs()).importDirectory("records", flags.path, flags),
    )
    .command(
      "$0 <url>",
      "What another server of builds shows: one build for each output, and the failed ones",
      (y) =>
        y
          .positional("url", { type: "string", demandOption: true })
          .option("job", {
            type: "string",
            array: true,
            requiresArg: true,
            nargs: 1,
            describe: "this job; repeatable",
          })
          .option("limit", {
            type: "number",
            requiresArg: true,
            describe: "at most so many builds of each job",
          }),
      async (flags) => (await verbs()).importServer(flags.url, flags),
    )
    .example("sudo robur import builder-web /var/lib/builder-web", "move a builder-web here")
    .example(
      "robur import https://builds.robur.coop --job dns-primary-git --limit 3",
      "a part of a server",
    ) as ClientArgv;
}
