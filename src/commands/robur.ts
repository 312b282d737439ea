/**
 * The command `robur`: finds the sub-command, loads its file, and turns every error into text and an exit
 * status. Commands know nothing of each other.
 */
import { print, printError } from "../linux/libc.ts";
import type { Argv } from "yargs";
import { RoburError, UsageError, formatError } from "../lib/errors.ts";
import { parse } from "./parse.ts";
import { COMMIT, VERSION } from "../lib/version.ts";

export interface CommandEntry {
  readonly group: (typeof GROUPS)[number];
  readonly describe: string;
  /** For robur's own processes; no help mentions it. */
  readonly isHidden?: boolean;
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
  create: {
    group: "Run",
    describe: "Make a unikernel that the server looks after",
    load: () => import("./create.ts"),
  },
  start: {
    group: "Run",
    describe: "Start unikernels",
    load: () => import("./start.ts"),
  },
  stop: {
    group: "Run",
    describe: "Stop unikernels",
    load: () => import("./stop.ts"),
  },
  restart: {
    group: "Run",
    describe: "Stop unikernels and start them again",
    load: () => import("./restart.ts"),
  },
  rm: {
    group: "Run",
    describe: "Remove unikernels",
    load: () => import("./rm.ts"),
  },
  ps: {
    group: "Run",
    describe: "The unikernels, and how they are",
    load: () => import("./ps.ts"),
  },
  inspect: {
    group: "Run",
    describe: "Everything about a unikernel",
    load: () => import("./inspect.ts"),
  },
  logs: {
    group: "Run",
    describe: "What a unikernel wrote to its console",
    load: () => import("./logs.ts"),
  },
  stats: {
    group: "Run",
    describe: "What running unikernels use",
    load: () => import("./stats.ts"),
  },
  events: {
    group: "Run",
    describe: "What happened",
    load: () => import("./events.ts"),
  },
  "update-config": {
    group: "Run",
    describe: "Change memory, arguments, networks … or the image",
    load: () => import("./update-config.ts"),
  },
  rename: {
    group: "Run",
    describe: "Give a unikernel another name",
    load: () => import("./rename.ts"),
  },
  apply: {
    group: "Run",
    describe: "Make the server have what a file says",
    load: () => import("./apply.ts"),
  },
  export: {
    group: "Run",
    describe: "Print what the server has, for robur apply",
    load: () => import("./export.ts"),
  },
  image: {
    group: "Images",
    describe: "See what a unikernel file says of itself",
    load: () => import("./image.ts"),
  },
  reproduce: {
    group: "Builds",
    describe: "Build something again, and say whether the same came out",
    load: () => import("./reproduce.ts"),
  },
  verify: {
    group: "Builds",
    describe: "Say who vouches for a file",
    load: () => import("./verify.ts"),
  },
  trust: {
    group: "Builds",
    describe: "Choose whose word about files counts",
    load: () => import("./trust.ts"),
  },
  diff: {
    group: "Builds",
    describe: "Say what is different between two builds",
    load: () => import("./diff.ts"),
  },
  images: {
    group: "Images",
    describe: "The images that the server keeps",
    load: () => import("./images.ts"),
  },
  job: {
    group: "Builds",
    describe: "What is built again and again, and what came of it",
    load: () => import("./job.ts"),
  },
  build: {
    group: "Builds",
    describe: "Single builds: see, download, export, pin and remove them",
    load: () => import("./build.ts"),
  },
  search: {
    group: "Builds",
    describe: "Find jobs and builds by name, hash, time or package",
    load: () => import("./search.ts"),
  },
  pull: {
    group: "Builds",
    describe: "Fetch a build of another server, verified",
    load: () => import("./pull.ts"),
  },
  push: {
    group: "Builds",
    describe: "Give files as a build to this server or another one",
    load: () => import("./push.ts"),
  },
  remote: {
    group: "Builds",
    describe: "Other servers of builds, by name",
    load: () => import("./remote.ts"),
  },
  import: {
    group: "Builds",
    describe: "Take over a builder-web, builder's records, or another server's builds",
    load: () => import("./import.ts"),
  },
  "inspect-record": {
    group: "Builds",
    describe: "See what the record of a finished build has in it, and take it apart",
    load: () => import("./inspect-record.ts"),
  },
  queue: {
    group: "Builds",
    describe: "What is being built, and what waits",
    load: () => import("./queue.ts"),
  },
  schedule: {
    group: "Builds",
    describe: "The jobs by when they are due",
    load: () => import("./schedule.ts"),
  },
  sandbox: {
    group: "Builds",
    describe: "The root file systems that build jobs run in",
    load: () => import("./sandbox.ts"),
  },
  orb: {
    group: "Builds",
    describe: "Build an opam package so that others can build it again",
    load: () => import("./orb.ts"),
  },
  worker: {
    group: "Builds",
    describe: "Run the jobs that a server hands out",
    load: () => import("./worker.ts"),
  },
  volume: {
    group: "Storage",
    describe: "Make, fill, copy and remove the storage of unikernels",
    load: () => import("./volume.ts"),
  },
  policy: {
    group: "Admin",
    describe: "What the unikernels of a path may use together",
    load: () => import("./policy.ts"),
  },
  serve: {
    group: "Admin",
    describe: "Start the server: pages, API, and whatever runs on this machine",
    load: () => import("./serve.ts"),
  },
  "setup-url": {
    group: "Admin",
    describe: "Print new links that set the server up",
    load: () => import("./setup-url.ts"),
  },
  user: {
    group: "Admin",
    describe: "Add, list and remove users, and set their passwords",
    load: () => import("./user.ts"),
  },
  token: {
    group: "Admin",
    describe: "Make, list and remove tokens for programs",
    load: () => import("./token.ts"),
  },
  hook: {
    group: "Admin",
    describe: "Tell others of what happens: webhooks, ntfy, scripts",
    load: () => import("./hook.ts"),
  },
  store: {
    group: "Storage",
    describe: "What is kept of builds, and how much room it takes",
    load: () => import("./store.ts"),
  },
  backup: {
    group: "Admin",
    describe: "Copy the whole state to one file, while the server runs",
    load: () => import("./backup.ts"),
  },
  restore: {
    group: "Admin",
    describe: "Put a backup in the place of what is there",
    load: () => import("./restore.ts"),
  },
  network: {
    group: "Network",
    describe: "Make, inspect and remove networks, and publish ports",
    load: () => import("./network.ts"),
  },
  doctor: {
    group: "Admin",
    describe: "Check what this machine can run, and say how to mend what is missing",
    load: () => import("./doctor.ts"),
  },
  upgrade: {
    group: "Admin",
    describe: "Put another version in the place of this one",
    load: () => import("./upgrade.ts"),
  },
  systemd: {
    group: "Admin",
    describe: "Make the server a service that starts with the machine",
    load: () => import("./systemd.ts"),
  },
  uninstall: {
    group: "Admin",
    describe: "Remove robur, and say what stays",
    load: () => import("./uninstall.ts"),
  },
  completion: {
    group: "Admin",
    describe: "Print what completes robur in bash, zsh or fish",
    load: async () => {
      const { completion } = await import("./completion.ts");
      return { main: (argv) => completion(COMMANDS, argv) };
    },
  },
  __names: {
    group: "Admin",
    describe: "Names for shell completion",
    isHidden: true,
    load: () => import("./names.ts"),
  },
  __sandbox: {
    group: "Admin",
    describe: "Run a prepared build sandbox",
    isHidden: true,
    load: () => import("./sandbox-launch.ts"),
  },
  "__copy-database": {
    group: "Admin",
    describe: "Copy a database for robur backup",
    isHidden: true,
    load: () => import("./copy-database.ts"),
  },
};

/** Runs one command line. The process's exit status is set, and the process ended, here. */
export function robur(argv: readonly string[]): Promise<void> {
  const [first = ""] = argv;
  return run(async () => {
    const command = Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined;
    if (command === undefined) return root(argv);
    const { main } = await command.load();
    await main(argv.slice(1));
  });
}

/** Runs a command; what it throws is printed, and becomes the process's exit status. */
export async function run(command: () => Promise<void>): Promise<void> {
  try {
    await command();
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
    .usage(`robur COMMAND\n\nRuns MirageOS unikernels from one executable.\n\n${groupedCommands()}`)
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
  // The usage text has them by groups, which yargs can't; it knows them for its "did you mean".
  for (const name of Object.keys(COMMANDS)) parser.command(name, false);
  if (argv.length === 0) {
    printError(`${await parser.getHelp()}\n`);
    process.exitCode = 2;
    return;
  }
  try {
    await parse(parser);
  } catch (error) {
    const [command = ""] = argv;
    if (!(error instanceof UsageError) || command.startsWith("-")) throw error;
    // "Did you mean …?" where a name is near, else that the argument is unknown, which is said above it anyway.
    const near = error.message.startsWith("Did you mean") ? { why: error.message } : {};
    throw new UsageError(`there is no command ${command}`, { ...near, hint: "robur --help" });
  }
}

const GROUPS = ["Run", "Builds", "Images", "Storage", "Network", "Admin"] as const;

function groupedCommands(): string {
  const shown = Object.entries(COMMANDS).filter(([, { isHidden }]) => isHidden !== true);
  const width = Math.max(...shown.map(([name]) => name.length));
  const groups = GROUPS.map((group) => {
    const lines = shown
      .filter(([, entry]) => entry.group === group)
      .map(([name, { describe }]) => `  ${name.padEnd(width)}  ${describe}\n`);
    return lines.length === 0 ? "" : `${group}:\n${lines.join("")}`;
  });
  return groups
    .filter((group) => group !== "")
    .join("\n")
    .trimEnd();
}

/** Exit statuses: 1 failure, 2 usage, 3 not found, 4 conflict, 5 something of the system is missing or not permitted. */
function exitStatus(error: unknown): number {
  if (!(error instanceof RoburError)) return 1;
  if (error instanceof UsageError) return 2;
  // What a server refused knows it by itself.
  if ("exitStatus" in error && typeof error.exitStatus === "number") return error.exitStatus;
  const byCode: Record<string, number> = {
    missing: 3,
    exists: 4,
    "in-use": 4,
    "port-in-use": 4,
    "not-permitted": 5,
    "program-missing": 5,
    "kvm-missing": 5,
    "kvm-not-permitted": 5,
    interrupted: 130,
  };
  return byCode[error.code] ?? 1;
}
