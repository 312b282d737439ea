/** `robur volume`: the storage of unikernels. */
import { resolve } from "node:path";
import yargs, { type Argv } from "yargs";
import { dataDirectory } from "../lib/data-directory.ts";
import { UsageError } from "../lib/errors.ts";
import { parse } from "./parse.ts";
import { readSize } from "./sizes.ts";

type Common = Argv<{ "data-dir": string | undefined }>;

const FORMATS = ["table", "json", "jsonl"] as const;

const FROM = "a file, - for standard input, or volume:NAME; taken as it is, a tar too";
const DECOMPRESS = "unpack zstd or gzip (default: by the name, .zst .gz .tgz)";

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  if (argv.length === 0) throw new UsageError("what about volumes?", { hint: "robur volume ls" });
  const parser = yargs([...argv])
    .scriptName("robur volume")
    .locale("en")
    .version(false)
    .usage(
      "robur volume COMMAND\n\nThe storage of unikernels: raw files below the data directory, each for one unikernel at a time.\nA volume in use can't be changed, copied or removed.",
    )
    .option("data-dir", { type: "string", requiresArg: true, describe: "where robur keeps its data" })
    .example("robur volume create data --size 64M", "an empty one")
    .example("robur run --block data=data caldav.hvt", "give it to a unikernel")
    .example("tar -cf - -C site . | robur volume create site --from -", "one that holds a tar");
  await parse(
    changing(looking(parser))
      .recommendCommands()
      .strict()
      .demandCommand(1, "which of its commands?")
      .help()
      .alias("help", "h")
      .wrap(null),
  );
}

function looking(parser: Common): Common {
  return parser
    .command(
      "ls",
      "All volumes",
      (y) =>
        y
          .option("format", { choices: FORMATS, default: "table" as const, describe: "how to print it" })
          .option("json", { type: "boolean", default: false, describe: "the same as --format json" })
          .option("quiet", { alias: "q", type: "boolean", default: false, describe: "names only" }),
      async (flags) => (await import("./volume-list.ts")).list(room(flags), flags),
    )
    .command(
      "inspect <name..>",
      "Everything about some volumes, and who has them",
      (y) =>
        y
          .positional("name", { type: "string", array: true, demandOption: true })
          .option("json", { type: "boolean", default: false, describe: "as JSON" }),
      async (flags) => (await import("./volume-list.ts")).inspect(room(flags), flags.name, flags.json),
    );
}

function changing(parser: Common): Common {
  const verbs = () => import("./volume-verbs.ts");
  return parser
    .command(
      "create <name>",
      "Make a volume",
      (y) =>
        y
          .positional("name", { type: "string", demandOption: true })
          .option("size", {
            type: "string",
            requiresArg: true,
            describe: "64M, 1.5G, 512KiB, 4096B",
          })
          .option("from", { type: "string", requiresArg: true, describe: FROM })
          .option("decompress", { type: "boolean", describe: DECOMPRESS }),
      async (flags) =>
        (await verbs()).create(room(flags), flags.name, {
          ...flags,
          size: flags.size === undefined ? undefined : readSize(flags.size),
        }),
    )
    .command(
      "fill <name>",
      "Replace what a volume holds; the old is kept until the new is whole",
      (y) =>
        y
          .positional("name", { type: "string", demandOption: true })
          .option("from", { type: "string", requiresArg: true, demandOption: true, describe: FROM })
          .option("decompress", { type: "boolean", describe: DECOMPRESS }),
      async (flags) => (await verbs()).fill(room(flags), flags.name, flags),
    )
    .command(
      "export <name> [file]",
      "Write what a volume holds to a file, or to standard output",
      (y) =>
        y
          .positional("name", { type: "string", demandOption: true })
          .positional("file", { type: "string", default: "-" })
          .option("compress", {
            type: "boolean",
            describe: "pack it: gzip for FILE.gz, else zstd (default: by the name, .zst .gz)",
          })
          .option("yes", { alias: "y", type: "boolean", default: false, describe: "replace a file" }),
      async (flags) => (await verbs()).exportTo(room(flags), flags.name, flags.file, flags),
    )
    .command(
      "resize <name> <size>",
      "Make a volume larger, or smaller",
      (y) =>
        y
          .positional("name", { type: "string", demandOption: true })
          .positional("size", { type: "string", demandOption: true })
          .option("yes", { alias: "y", type: "boolean", default: false, describe: "cut off its end" }),
      async (flags) => (await verbs()).resize(room(flags), flags.name, readSize(flags.size), flags.yes),
    )
    .command(
      "snapshot <name> [copy]",
      "Copy a volume as it is now (default name: with date and time)",
      (y) =>
        y.positional("name", { type: "string", demandOption: true }).positional("copy", { type: "string" }),
      async (flags) => (await verbs()).snapshot(room(flags), flags.name, flags.copy),
    )
    .command(
      "rm <name..>",
      "Remove volumes and what they hold",
      (y) =>
        y
          .positional("name", { type: "string", array: true, demandOption: true })
          .option("yes", { alias: "y", type: "boolean", default: false, describe: "don't ask" })
          .option("keep-file", {
            type: "boolean",
            default: false,
            describe: "forget an adopted volume, and leave its file alone",
          }),
      async (flags) => (await verbs()).remove(room(flags), flags.name, flags),
    )
    .command(
      "adopt <directory>",
      "Use the block devices of an albatross that doesn't run, where they are",
      (y) => y.positional("directory", { type: "string", demandOption: true }),
      async (flags) => (await verbs()).adopt(room(flags), flags.directory),
    );
}

function room({ dataDir }: { dataDir: string | undefined }): string {
  return resolve(dataDirectory(dataDir, process.env, process.getuid?.() === 0));
}
