/**
 * The command `robur`: finds the sub-command, loads its file, and turns every error into text and an exit
 * status. Commands know nothing of each other.
 */
import { print, printError } from "../linux/libc.ts";
import type { Argv } from "yargs";
import { RoburError, UsageError, formatError } from "../lib/errors.ts";
import { parse } from "./parse.ts";
import { COMMIT, VERSION } from "../lib/version.ts";

interface CommandEntry {
  readonly group: string;
  readonly describe: string;
  readonly load: () => Promise<{ readonly main: (argv: readonly string[]) => Promise<void> }>;
}

const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  run: {
    group: "Run",
    describe: "Run a unikernel in the foreground",
    load: () => import("./run.ts"),
  },
  tender: {
    group: "Run",
    describe: "Run a unikernel with the original tenders' options",
    load: () => import("./tender.ts"),
  },
  image: {
    group: "Images",
    describe: "See what a unikernel file says of itself",
    load: () => import("./image.ts"),
  },
  doctor: {
    group: "Admin",
    describe: "Check what this machine can run, and say how to mend what is missing",
    load: () => import("./doctor.ts"),
  },
};

/** Runs one command line. The process's exit status is set, and the process ended, here. */
export async function robur(argv: readonly string[]): Promise<void> {
  const [first = ""] = argv;
  try {
    const command = Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined;
    if (command === undefined) {
      await root(argv);
      return;
    }
    const { main } = await command.load();
    await main(argv.slice(1));
  } catch (error) {
    printError(formatError(error));
    process.exitCode = exitStatus(error);
  }
}

/** `robur`, `robur --help`, `robur --version`, and names that don't exist. */
async function root(argv: readonly string[]): Promise<void> {
  if (argv[0] === "--version" || argv[0] === "version") {
    print(`robur ${VERSION} (commit ${COMMIT})\n`);
    return;
  }
  const { default: yargs } = await import("yargs");
  const parser: Argv = yargs([...argv])
    .scriptName("robur")
    .locale("en")
    .version(false)
    .usage("robur COMMAND\n\nRuns MirageOS unikernels from one executable.")
    .example("robur run hello.hvt", "boot the built-in unikernel")
    .example("robur doctor", "see what this machine can run")
    .epilogue("robur COMMAND --help tells more of each.  robur --version prints version and commit.")
    .help()
    .alias("help", "h")
    .wrap(null)
    .recommendCommands()
    .strict()
    .demandCommand(1, "")
    .exitProcess(false)
    .fail(false);
  for (const [name, { describe }] of Object.entries(COMMANDS)) parser.command(name, describe);
  if (argv.length === 0) {
    printError(`${await parser.getHelp()}\n`);
    process.exitCode = 2;
    return;
  }
  await parse(parser);
}

/** Exit statuses: 1 failure, 2 usage, 3 not found, 5 something of the system is missing or not permitted. */
function exitStatus(error: unknown): number {
  if (!(error instanceof RoburError)) return 1;
  if (error instanceof UsageError) return 2;
  const byCode: Record<string, number> = {
    missing: 3,
    "not-permitted": 5,
    "kvm-missing": 5,
    "kvm-not-permitted": 5,
  };
  return byCode[error.code] ?? 1;
}
