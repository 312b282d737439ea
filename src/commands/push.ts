/** `robur push`: files become a build, here or on another server. */
import { UsageError } from "../lib/errors.ts";
import { clientParser, parseClient } from "./client/parser.ts";

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = clientParser(
    "robur push",
    "robur push JOB FILE… --platform PLATFORM\nrobur push --record FULL\n\nMakes a build of files, and gives it to this server or another one, robur's or builder-web's. FILE is\na file, or PATH=FILE to say what it is called in the build. The only file is the main binary; of\nseveral, --main says which.",
    argv,
  )
    .command("$0 [job] [file..]", false, (y) =>
      y
        .positional("job", { type: "string" })
        .positional("file", { type: "string", array: true, default: [] }),
    )
    .option("platform", { type: "string", requiresArg: true, describe: "where it was built: debian-12" })
    .option("to", {
      type: "string",
      requiresArg: true,
      describe: "a remote's name or address (default: the server itself)",
    })
    .option("main", {
      type: "string",
      requiresArg: true,
      describe: "the main binary among several files, by its name",
    })
    .option("record", {
      type: "string",
      requiresArg: true,
      describe: "a record that builder's server kept (full)",
    })
    .example("robur push hello hello.hvt --platform debian-12", "one binary, to this server")
    .example(
      "robur push --record full --to https://NAME:PASSWORD@builds.example.org",
      "a record, to another one",
    );
  const flags = await parseClient(parser);
  if (flags === undefined) return;
  const { job, file, record } = flags as typeof flags & { job?: string; file: string[] };
  const verbs = await import("./push-verbs.ts");
  if (record !== undefined) {
    if (job !== undefined) throw new UsageError("--record is all of a build: no job and no files go with it");
    return verbs.pushRecord(record, flags);
  }
  if (job === undefined || file.length === 0) {
    throw new UsageError("which job, and which files?", {
      hint: "robur push hello hello.hvt --platform debian-12",
    });
  }
  if (flags.platform === undefined) {
    throw new UsageError("where was it built?", { hint: "--platform debian-12" });
  }
  await verbs.pushFiles(job, file, { ...flags, platform: flags.platform });
}
