/** The verb of `robur build` that opens a shell. */
import type { ClientArgv } from "./client/parser.ts";

const verbs = () => import("./build-shell.ts");

/** Adds it to a parser. */
export function shellVerb(parser: ClientArgv): ClientArgv {
  return parser
    .command(
      "shell <build>",
      "A shell in the sandbox that a failed build left; it ends with the connection",
      (y) =>
        y.positional("build", {
          type: "string",
          demandOption: true,
          describe: "a failed build: its id, JOB:NUMBER, or a job for its newest",
        }),
      async (flags) => (await verbs()).shell(flags),
    )
    .example("robur build shell hello", "look at what the newest build of hello left") as ClientArgv;
}
