/**
 * `builder-db`, the operators' tool of builder-web, by its own command lines: scripts and cron jobs go on working. What
 * it did to builder-web's database is done to robur's.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import yargs, { type Argv } from "yargs";
import { UsageError, formatError } from "../lib/errors.ts";
import { printError } from "../linux/libc.ts";
import { parse } from "./parse.ts";

const verbs = () => import("./builder-db-verbs.ts");
const USER = { type: "string", demandOption: true } as const;

/** Runs one command line. Like the original's, every failure ends with 1. */
export async function builderDb(argv: readonly string[]): Promise<void> {
  try {
    await run(argv);
  } catch (error) {
    printError(formatError(error));
    process.exitCode = 1;
  }
}

async function run(argv: readonly string[]): Promise<void> {
  const parser = yargs([...argv])
    .scriptName("builder-db")
    .locale("en")
    .version(false)
    .usage(
      "builder-db COMMAND\n\nThe database of builds, with the commands that builder-web's operators know. robur has more.",
    )
    .option("datadir", {
      alias: "d",
      type: "string",
      requiresArg: true,
      describe: "robur's data directory (BUILDER_WEB_DATADIR, or ROBUR_DATA_DIR)",
    })
    .option("verbosity", { type: "string", hidden: true })
    .option("v", { type: "count", hidden: true })
    .option("q", { type: "boolean", hidden: true });
  await parse(
    builds(users(parser as unknown as Parser))
      .command("help", "This text", {}, async () => void parser.showHelp("log"))
      .strict()
      .demandCommand(1, "which of its commands?")
      .help()
      .alias("help", "h")
      .wrap(null),
  );
}

type Parser = Argv<{ datadir: string | undefined }>;

function users(parser: Parser): Parser {
  const withScrypt = <T>(y: Argv<T>) =>
    y
      .positional("username", USER)
      .option("scrypt-n", { type: "number", hidden: true })
      .option("scrypt-r", { type: "number", hidden: true })
      .option("scrypt-p", { type: "number", hidden: true })
      .option("unrestricted", { type: "boolean", default: false, describe: "may upload any job" });
  return parser
    .command("migrate", "Create the database, or bring it up to date", {}, async (flags) =>
      (await verbs()).migrate(dataDir(flags)),
    )
    .command(
      "user-add <username>",
      "Add a user; the password is read from standard input",
      withScrypt,
      async (flags) => (await verbs()).userAdd(dataDir(flags), flags.username, flags.unrestricted),
    )
    .command(
      "user-update <username>",
      "Set a user's password, and whether any job may be uploaded",
      withScrypt,
      async (flags) => (await verbs()).userUpdate(dataDir(flags), flags.username, flags.unrestricted),
    )
    .command("user-list", "The users' names", {}, async (flags) => (await verbs()).userList(dataDir(flags)))
    .command(
      "user-remove <username>",
      "Remove a user",
      (y) => y.positional("username", USER),
      async (flags) => (await verbs()).userRemove(dataDir(flags), flags.username),
    )
    .command(
      "user-disable <username>",
      "Take a user's password and rights away",
      (y) => y.positional("username", USER),
      async (flags) => (await verbs()).userDisable(dataDir(flags), flags.username),
    )
    .command(
      "access-add <username> <job>",
      "Let a user upload a job",
      (y) => y.positional("username", USER).positional("job", USER),
      async (flags) => (await verbs()).accessAdd(dataDir(flags), flags.username, flags.job),
    )
    .command(
      "access-remove <username> <job>",
      "No longer",
      (y) => y.positional("username", USER).positional("job", USER),
      async (flags) => (await verbs()).accessRemove(dataDir(flags), flags.username, flags.job),
    ) as unknown as Parser;
}

function builds(parser: Parser): Parser {
  return parser
    .command(
      "job-remove <job>",
      "Remove a job and its builds",
      (y) => y.positional("job", USER),
      async (flags) => (await verbs()).jobRemove(dataDir(flags), flags.job),
    )
    .command(
      "extract-build <build>",
      "Write a build's record to a file",
      (y) =>
        y.positional("build", USER).option("dest", { type: "string", default: "full", requiresArg: true }),
      async (flags) => (await verbs()).extractBuild(dataDir(flags), flags.build, flags.dest),
    )
    .command(
      "verify-input-id",
      "Say which builds had the same inputs and different outputs",
      {},
      async (flags) => (await verbs()).verifyInputId(dataDir(flags)),
    )
    .command("verify-data-dir", "Check every file's hash", {}, async (flags) =>
      (await verbs()).verifyDataDir(dataDir(flags)),
    )
    .command(
      "verify-cache-dir",
      false,
      (y) => y.option("cachedir", { type: "string" }),
      async () => {
        throw new UsageError("there is no cache directory", {
          why: "robur makes its pictures when they are looked at, and keeps them in its database",
          hint: "robur store verify",
        });
      },
    )
    .command(
      "vacuum <rule> <value>",
      "Remove old builds: older-than TIME, except-latest N, except-latest-successful N",
      (y) =>
        y
          .positional("rule", {
            choices: ["older-than", "except-latest", "except-latest-successful"] as const,
            demandOption: true,
          })
          .positional("value", { type: "string", demandOption: true })
          .option("platform", { type: "string", requiresArg: true })
          .option("job", { type: "string", array: true, requiresArg: true, nargs: 1 }),
      async (flags) => {
        const { rule, value, platform, job: jobs } = flags;
        await (await verbs()).vacuum(dataDir(flags), { rule, value, platform, jobs });
      },
    ) as unknown as Parser;
}

/** Undefined: robur's own rules say. Throws UsageError for a builder-web's directory, where nothing of robur's belongs. */
function dataDir(flags: object): string | undefined {
  const datadir = (flags as { datadir?: string }).datadir;
  const directory = datadir ?? (process.env["BUILDER_WEB_DATADIR"] || undefined);
  if (directory === undefined || !existsSync(join(directory, "builder.sqlite3"))) return directory;
  throw new UsageError(`${directory} is the directory of a builder-web`, {
    why: "this builder-db is robur's, and works on robur's own database",
    hint: `robur import builder-web ${directory}, and then without --datadir`,
  });
}
