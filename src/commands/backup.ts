/** `robur backup`: copies of the database, of one moment, while the server goes on. */
import { resolve } from "node:path";
import yargs, { type Argv } from "yargs";
import { dataDirectory } from "../lib/data-directory.ts";
import { UsageError } from "../lib/errors.ts";
import { databasePath } from "../db/open.ts";
import { parse } from "./parse.ts";

const FORMATS = ["table", "json", "jsonl"] as const;

type Common = Argv<{ "data-dir": string | undefined; db: string | undefined }>;

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  if (argv.length === 0) throw new UsageError("where to? FILE is missing", { hint: "robur backup robur.db" });
  const parser = yargs([...argv])
    .scriptName("robur backup")
    .locale("en")
    .version(false)
    .usage(
      "robur backup FILE\n\nCopies the whole state of a server that may be running to one file, and checks the copy.\nFILE is a database: on another machine, robur serve --db FILE is the whole restore. Volumes\nare not in it, unless --with-volumes makes it an archive, for robur restore.",
    )
    .option("data-dir", { type: "string", requiresArg: true, describe: "where robur keeps its data" })
    .option("db", {
      type: "string",
      requiresArg: true,
      describe: "another database than the data directory's",
    })
    .example("robur backup /mnt/usb/robur.db", "everything but the volumes")
    .example("robur backup --with-volumes /mnt/usb/robur.tar.zst", "everything")
    .example('robur backup schedule "30 3 * * *"', "each night at half past three, by the server");
  await parse(
    planning(looking(making(parser)))
      .strict()
      .help()
      .alias("help", "h")
      .wrap(null),
  );
}

function making(parser: Common): Common {
  return parser.command(
    "$0 <file>",
    "Make a backup",
    (y) =>
      y
        .positional("file", { type: "string", demandOption: true })
        .option("with-volumes", {
          type: "boolean",
          default: false,
          describe: "take the volumes along: a .tar.zst",
        })
        .option("force", { type: "boolean", default: false, describe: "replace FILE" })
        .option("quiet", { alias: "q", type: "boolean", default: false, describe: "say nothing but errors" })
        .option("json", { type: "boolean", default: false, describe: "tell what was made as JSON" }),
    async (flags) => (await import("./backup-verbs.ts")).make(placesOf(flags), flags.file, flags),
  );
}

function looking(parser: Common): Common {
  const verbs = () => import("./backup-verbs.ts");
  return parser
    .command(
      "ls",
      "The backups that the server made, and the copies made before restoring and migrating",
      (y) =>
        y
          .option("format", { choices: FORMATS, default: "table" as const, describe: "how to print it" })
          .option("json", { type: "boolean", default: false, describe: "the same as --format json" })
          .option("quiet", { alias: "q", type: "boolean", default: false, describe: "paths only" }),
      async (flags) => (await verbs()).list(placesOf(flags), flags),
    )
    .command(
      "verify <file>",
      "Read a backup to its end and check everything in it",
      (y) =>
        y
          .positional("file", { type: "string", demandOption: true })
          .option("sha256", {
            type: "string",
            requiresArg: true,
            describe: "the hash that it had when it was made",
          })
          .option("json", { type: "boolean", default: false, describe: "as JSON" }),
      async (flags) => (await verbs()).verify(flags.file, flags),
    );
}

function planning(parser: Common): Common {
  const keep = (describe: string) => ({ type: "number", requiresArg: true, describe }) as const;
  return parser.command(
    "schedule [when]",
    "Show or set when the server makes backups by itself, and which it keeps",
    (y) =>
      y
        .positional("when", { type: "string", describe: "five fields of cron, @daily or the like, or off" })
        .option("keep-last", keep("how many of the newest to keep"))
        .option("keep-daily", keep("for how many days to keep one"))
        .option("keep-weekly", keep("for how many weeks to keep one"))
        .option("keep-monthly", keep("for how many months to keep one"))
        .option("with-volumes", { type: "boolean", describe: "take the volumes along" })
        .option("directory", {
          type: "string",
          requiresArg: true,
          describe: "where to; default: the data directory's",
        })
        .option("json", { type: "boolean", default: false, describe: "as JSON" }),
    async (flags) => (await import("./backup-verbs.ts")).schedule(placesOf(flags), flags),
  );
}

/** Which database, and where the volumes and backups are that go with it. */
export interface Places {
  readonly database: string;
  readonly dataDirectory: string;
}

/** What --db and --data-dir say together. */
export function placesOf({ dataDir, db }: { dataDir: string | undefined; db: string | undefined }): Places {
  const directory = resolve(dataDirectory(dataDir, process.env, process.getuid?.() === 0));
  return { database: db === undefined ? databasePath(directory) : resolve(db), dataDirectory: directory };
}
