/** The verbs of `robur build` about builds that wait and run. */
import type { Argv } from "yargs";
import type { ClientArgv } from "./client/parser.ts";

const verbs = () => import("./build-run-verbs.ts");
const RUN = {
  type: "string",
  demandOption: true,
  describe: "JOB:NUMBER, a job for its newest, or an id",
} as const;

/** How its lines are shown. */
function withLines<T>(y: Argv<T>) {
  return y
    .option("timestamps", {
      alias: "t",
      type: "boolean",
      default: false,
      describe: "with seconds since the start",
    })
    .option("raw", { type: "boolean", default: false, describe: "the job's bytes as they are" });
}

/** Adds them to a parser. */
export function runBuildVerbs(parser: ClientArgv): ClientArgv {
  return parser
    .command(
      "start <job>",
      "Queue a job now",
      (y) =>
        y
          .positional("job", { type: "string", demandOption: true })
          .option("platform", { type: "string", requiresArg: true, describe: "on this platform only" })
          .option("copies", { type: "number", requiresArg: true, describe: "so many builds" })
          .option("front", { type: "boolean", default: false, describe: "before all that waits" })
          .option("reason", { type: "string", requiresArg: true, describe: "shown beside it" })
          .option("wait", {
            type: "boolean",
            default: false,
            describe: "show its console, and end as it ends",
          }),
      async (flags) => (await verbs()).start(flags),
    )
    .command(
      "watch <run>",
      "The console of a build from its first line on, until it ends; Ctrl-C only ends this",
      (y) => withLines(y.positional("run", RUN)),
      async (flags) => (await verbs()).watch(flags),
    )
    .command(
      "logs <run>",
      "The console of a build, also of one that ended",
      (y) =>
        withLines(y.positional("run", RUN)).option("follow", {
          alias: "f",
          type: "boolean",
          default: false,
          describe: "go on until it ends",
        }),
      async (flags) => (await verbs()).logs(flags),
    )
    .command(
      "abort <run..>",
      "End builds that run, and take those that wait from the queue",
      (y) => y.positional("run", { ...RUN, array: true }),
      async (flags) => (await verbs()).abort(flags),
    )
    .example("robur build start hello --wait", "build it, and see it being built")
    .example("robur build abort hello:12", "end one") as ClientArgv;
}
