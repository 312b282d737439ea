/** What yargs has to say about a `robur run` that can't be carried out as it stands. */
import yargs from "yargs";
import { UsageError } from "../lib/errors.ts";
import { withFlags } from "./flags.ts";
import { parse } from "./parse.ts";
import { RUN_FLAGS } from "./run.ts";

/** Prints the help, or throws a UsageError that names what is wrong with the flags. */
export async function explainRun(argv: readonly string[]): Promise<void> {
  const parser = withFlags(
    yargs([...argv])
      .scriptName("robur run")
      .locale("en")
      .version(false)
      .usage(
        "robur run [flags] IMAGE [--] [ARGUMENTS]\n\nRuns a unikernel in the foreground: its console is standard output, Ctrl-C ends it, and the\nexit status is its own (125: it never started). IMAGE is a file, hello.hvt or hello.spt,\nwhich are built in, or job:NAME of a build that the server keeps. Everything behind IMAGE goes to the unikernel.",
      )
      .example("robur run hello.hvt --hello=Hi", "the built-in unikernel")
      .example("robur run --net service=tap0 web.hvt --ipv4=10.0.0.2/24", "one on an existing tap"),
    RUN_FLAGS,
  )
    .parserConfiguration({ "halt-at-non-option": true, "boolean-negation": false })
    .strictOptions()
    .help()
    .alias("help", "h")
    .wrap(null);
  if ((await parse(parser)) === undefined) return;
  throw new UsageError(`these flags can't be read: ${argv.join(" ")}`, { hint: "robur run --help" });
}
