/** The verbs of `robur build` about what was built. */
import type { ClientArgv } from "./client/parser.ts";
import { withListFlags } from "./client/list.ts";

const verbs = () => import("./build-stored-verbs.ts");
const BUILD = { type: "string", demandOption: true } as const;
const JSON_FLAG = { type: "boolean", default: false, describe: "as JSON" } as const;

/** Adds them to a parser. */
export function storedBuildVerbs(parser: ClientArgv): ClientArgv {
  return changing(looking(parser))
    .example("robur build show hello", "the newest good build of a job")
    .example("robur build download hello --output hello.hvt", "its main binary") as ClientArgv;
}

function looking(parser: ClientArgv): ClientArgv {
  return parser
    .command(
      "ls [job]",
      "The builds of a job, newest first; without a job, the newest of each",
      (y) =>
        withListFlags(y)
          .positional("job", { type: "string" })
          .option("platform", { type: "string", requiresArg: true, describe: "of this platform only" })
          .option("failed", { type: "boolean", default: false, describe: "failed ones only" })
          .option("limit", { type: "number", default: 20, describe: "at most so many" }),
      async (flags) => (await verbs()).list(flags),
    )
    .command(
      "show <build>",
      "Everything about a build, and who has reproduced it",
      (y) => y.positional("build", BUILD).option("json", JSON_FLAG),
      async (flags) => (await verbs()).show(flags),
    )
    .command(
      "download <build> [path]",
      "A file of a build (default: its main binary), verified",
      (y) =>
        y.positional("build", BUILD).positional("path", { type: "string" }).option("output", {
          alias: "o",
          type: "string",
          requiresArg: true,
          describe: "to this file; - for standard output",
        }),
      async (flags) => (await import("./build-download.ts")).download(flags),
    )
    .command(
      "export <build>",
      "A whole build as one file: a tar, or the record that other servers take",
      (y) =>
        y
          .positional("build", BUILD)
          .option("output", {
            alias: "o",
            type: "string",
            requiresArg: true,
            describe: "to this file; - for standard output",
          })
          .option("format", {
            choices: ["tar", "exec"] as const,
            default: "tar" as const,
            describe: "exec: builder's record",
          }),
      async (flags) => (await import("./build-download.ts")).exportBuild(flags),
    )
    .command(
      "verify-inputs",
      "Look for builds that had the same inputs and gave something else",
      (y) => y.option("json", JSON_FLAG),
      async (flags) => (await verbs()).verifyInputs(flags),
    ) as ClientArgv;
}

function changing(parser: ClientArgv): ClientArgv {
  return parser
    .command(
      "pin <build>",
      "Keep a build, whatever the rules of collection say",
      (y) => y.positional("build", BUILD),
      async (flags) => (await verbs()).pin(flags, true),
    )
    .command(
      "unpin <build>",
      "Let it be collected again",
      (y) => y.positional("build", BUILD),
      async (flags) => (await verbs()).pin(flags, false),
    )
    .command(
      "rm <build..>",
      "Remove builds",
      (y) =>
        y
          .positional("build", { type: "string", array: true, demandOption: true })
          .option("yes", { alias: "y", type: "boolean", default: false, describe: "don't ask" }),
      async (flags) => (await verbs()).remove(flags),
    ) as ClientArgv;
}
