/** `robur orb`, and the executable called `orb`: opam packages, built so that others can build them again. */
import yargs, { type Argv } from "yargs";
import { UsageError } from "../lib/errors.ts";
import { parse } from "./parse.ts";

const USAGE = `COMMAND

Builds an opam package in a fresh switch and a clean environment, records all inputs (build-environment,
system-packages, opam-switch) and the outputs with their hashes, and builds recorded builds again.
It drives the opam executable, 2.1 or later, and needs no server.

Exit status: 0 built, and the same where it was compared; 3 built, but different; 1 orb's own errors; opam's own
status where opam failed (20 no solution, 31 a package failed, …).`;

/** The entry of the command. */
export async function main(argv: readonly string[], program = "robur orb"): Promise<void> {
  if (argv.length === 0) throw new UsageError("build or rebuild?", { hint: `${program} --help` });
  const verbs = () => import("./orb-verbs.ts");
  const parser = yargs([...argv])
    .scriptName(program)
    .locale("en")
    .version(false)
    // The last one counts: whoever puts an option behind a template's means it.
    .parserConfiguration({ "duplicate-arguments-array": false })
    .usage(`${program} ${USAGE}`)
    .command(
      "build <package>",
      "Build a package: NAME, NAME.VERSION or NAME=VERSION",
      (y) => building(common(y.positional("package", { type: "string", demandOption: true }))),
      async (flags) => (await verbs()).build(flags.package, flags),
    )
    .command(
      "rebuild <build>",
      "Build a recorded build again, and compare",
      (y) =>
        common(
          y.positional("build", {
            type: "string",
            demandOption: true,
            describe: "a directory with a record, or a build's URL",
          }),
        )
          .option("ignore-env-differences", {
            type: "boolean",
            default: false,
            describe: "build on another system than the recorded (in orb 1.0.1 --skip-system did this)",
          })
          .example("$0 rebuild out", "what orb build --out=out recorded")
          .example("$0 rebuild https://builds.robur.coop/job/NAME/build/UUID", "what a server has"),
      async (flags) => (await verbs()).rebuild(flags.build, flags),
    )
    .command(
      "system <directory>",
      "Install the system packages that a record lists, in the same versions where they can be had",
      (y) => y.positional("directory", { type: "string", demandOption: true, describe: "with the record" }),
      async (flags) => (await verbs()).system(flags.directory),
    )
    .recommendCommands()
    .strict()
    .demandCommand(1, "build or rebuild?")
    .help()
    .alias("help", "h")
    .wrap(null);
  await parse(parser);
}

function common<T>(parser: Argv<T>) {
  return parser
    .option("out", { type: "string", requiresArg: true, default: ".", describe: "where record and files go" })
    .option("skip-system", {
      type: "boolean",
      default: false,
      describe:
        "don't record, or on rebuild don't install, system packages (in orb 1.0.1 --ignore-env-differences did the latter)",
    })
    .option("disable-sandboxing", {
      type: "boolean",
      default: false,
      describe: "no bwrap around each package: for containers and sandboxes, where it can't work",
    })
    .option("cache", { type: "string", requiresArg: true, describe: "URL of an archive cache, asked first" })
    .option("keep-build-dir", {
      alias: "b",
      type: "boolean",
      default: false,
      describe: "keep switch and build directory, the switch also as OUT/build",
    })
    .option("jobs", { alias: "j", type: "number", requiresArg: true, describe: "opam's: packages at once" })
    .option("verbose", {
      alias: "v",
      type: "boolean",
      default: false,
      describe: "opam's: print what builds print",
    })
    .option("with-test", {
      alias: "t",
      type: "boolean",
      default: false,
      describe: "opam's: run the package's tests",
    })
    .option("with-doc", {
      alias: "d",
      type: "boolean",
      default: false,
      describe: "opam's: build documentation",
    })
    .option("require-checksums", {
      type: "boolean",
      default: false,
      describe: "opam's: no source without a hash",
    })
    .option("yes", { alias: "y", type: "boolean", default: true, describe: "opam's; always so here" });
}

function building<T>(parser: Argv<T>) {
  return parser
    .option("latest", { type: "boolean", default: false, describe: "the highest version that is available" })
    .option("repos", {
      type: "string",
      requiresArg: true,
      default: "default:https://opam.ocaml.org",
      describe: "repositories, the first most important: NAME:URL,NAME:URL; git+https://…#COMMIT pins one",
    })
    .option("switch-name", {
      type: "string",
      requiresArg: true,
      describe:
        "/ROOT/SWITCH or the name of a switch in $HOME/.opam; a random name makes most builds differ elsewhere",
    })
    .option("date", {
      type: "string",
      requiresArg: true,
      describe: "SOURCE_DATE_EPOCH in seconds (default: now)",
    })
    .option("solver-timeout", { type: "string", requiresArg: true, describe: "OPAMSOLVERTIMEOUT in seconds" })
    .option("twice", {
      type: "boolean",
      default: false,
      describe: "build again from the record, into OUT2, and compare",
    })
    .example(
      "$0 build --switch-name=/tmp/myswitch --date=1589138087 --out=out hello",
      "as robur's builders do",
    )
    .example("$0 build --twice --out=/tmp/out duration.0.3.1", "and see whether it is reproducible");
}
