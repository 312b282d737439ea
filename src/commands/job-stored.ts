/** The verbs of `robur job` about what was built. */
import type { ClientArgv } from "./client/parser.ts";
import { withListFlags } from "./client/list.ts";

const verbs = () => import("./job-stored-verbs.ts");

/** Adds them to a parser. */
export function storedJobVerbs(parser: ClientArgv): ClientArgv {
  return parser
    .command(
      "ls",
      "All jobs, with their newest builds",
      (y) => withListFlags(y),
      async (flags) => (await verbs()).list(flags),
    )
    .command(
      "show <job>",
      "A job: its newest builds on each platform, and its outputs",
      (y) =>
        y
          .positional("job", { type: "string", demandOption: true })
          .option("json", { type: "boolean", default: false, describe: "as JSON" }),
      async (flags) => (await verbs()).show(flags),
    )
    .command(
      "rm <job>",
      "Remove a job and all of its builds",
      (y) =>
        y
          .positional("job", { type: "string", demandOption: true })
          .option("yes", { alias: "y", type: "boolean", default: false, describe: "don't ask" }),
      async (flags) => (await verbs()).remove(flags),
    )
    .example("robur job ls", "what there is")
    .example("robur job show hello", "one of them") as ClientArgv;
}
