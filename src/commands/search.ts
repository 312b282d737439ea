/** `robur search`: jobs and builds by what one knows of them. */
import { print, printError } from "../linux/libc.ts";
import { UsageError } from "../lib/errors.ts";
import type { SearchResult } from "../store/builds/search.ts";
import { BUILD_COLUMNS } from "./client/build-text.ts";
import { connect } from "./client/connect.ts";
import { formatList, withListFlags } from "./client/list.ts";
import { clientParser, parseClient } from "./client/parser.ts";
import { formatTable } from "./table.ts";

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = withListFlags(
    clientParser(
      "robur search",
      "robur search WORD…\n\nFinds jobs and builds: by names and synopses, the beginning of a file's SHA-256 or of a build's id,\na platform, times (since:, before:), or a package that went in.",
      argv,
    ),
  )
    .command("$0 <word..>", false, (y) =>
      y.positional("word", { type: "string", array: true, demandOption: true }),
    )
    .option("limit", { type: "number", default: 20, describe: "at most so many builds" })
    .example("robur search 3bdbb4fe", "which builds have this file?")
    .example("robur search 'x509 < 0.11.0'", "which builds contain an old package?")
    .example("robur search tls platform:debian-12 since:2026-01-01", "all terms must hold")
    .epilogue("Exit status: 0 something was found, 1 nothing, like grep's.");
  const flags = await parseClient(parser);
  if (flags === undefined) return;
  const { word, limit } = flags as typeof flags & { word: readonly string[] };
  if (!Number.isInteger(limit) || limit < 1) throw new UsageError("--limit is 1 or more");
  const query = new URLSearchParams({ q: word.map(String).join(" "), limit: String(limit) });
  const response = await connect(flags.host).request(`/api/v1/search?${query}`);
  const { jobs, builds, hasMore } = (await response.json()) as SearchResult;
  if (flags.quiet) print(builds.map(({ id }) => `${id}\n`).join(""));
  else if (flags.json || flags.format === "json") print(`${JSON.stringify({ jobs, builds }, null, 2)}\n`);
  else if (flags.format === "jsonl") {
    print([...jobs, ...builds].map((row) => `${JSON.stringify(row)}\n`).join(""));
  } else {
    if (jobs.length > 0) print(`${formatTable(JOB_COLUMNS, jobs)}${builds.length > 0 ? "\n" : ""}`);
    if (builds.length > 0) print(formatList(BUILD_COLUMNS, builds, ({ id }) => id, flags));
    if (jobs.length + builds.length === 0) printError("nothing here is like that\n");
    else if (hasMore) printError(`there are more: --limit ${limit * 5}\n`);
  }
  if (jobs.length + builds.length === 0) process.exitCode = 1;
}

const JOB_COLUMNS = [
  { title: "JOB", text: ({ name }: SearchResult["jobs"][number]) => name },
  { title: "SYNOPSIS", text: ({ synopsis }: SearchResult["jobs"][number]) => synopsis ?? "" },
];
