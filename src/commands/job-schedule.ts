/** The verbs of `robur job` about what is to be built, and when. */
import type { Argv } from "yargs";
import type { ClientArgv } from "./client/parser.ts";

const verbs = () => import("./job-schedule-verbs.ts");
const JOB = { type: "string", demandOption: true } as const;
const REPOS = {
  type: "string",
  requiresArg: true,
  describe: "opam repositories, the first most important: NAME:URL,NAME:URL; default: those of the template",
} as const;
const JSON_FLAG = { type: "boolean", default: false, describe: "as JSON" } as const;

/** What a job may be told, the same when it is made and when it is changed. */
function withSettings<T>(y: Argv<T>) {
  return y
    .option("platform", {
      type: "string",
      array: true,
      nargs: 1,
      requiresArg: true,
      describe:
        "where it is built: debian-12. Without it a script is for what the server's own workers build for, an opam package for wherever somebody builds (all)",
    })
    .option("every", {
      choices: ["hourly", "daily", "weekly"] as const,
      requiresArg: true,
      describe: "how often (default: daily)",
    })
    .option("cron", {
      type: "string",
      requiresArg: true,
      describe: "when instead: minute hour day month weekday, in the server's time zone",
    })
    .option("never", { type: "boolean", describe: "only when it is started by hand" })
    .option("timeout", { type: "string", requiresArg: true, describe: "how long it may take (default: 1h)" })
    .option("memory", { type: "string", requiresArg: true, describe: "how much memory: 4G" })
    .option("cpus", { type: "number", requiresArg: true, describe: "how many processors, also 1.5" })
    .option("processes", { type: "number", requiresArg: true, describe: "how many processes" })
    .option("disk", { type: "string", requiresArg: true, describe: "how much it may write: 10G" })
    .option("network", {
      type: "string",
      requiresArg: true,
      describe: "all (default), none, or the hosts that it may reach: opam.ocaml.org,github.com",
    })
    .option("copies", {
      type: "number",
      requiresArg: true,
      describe: "builds each time: 2 show what isn't reproducible",
    })
    .option("jitter", { type: "string", requiresArg: true, describe: "put each time off by up to: 30m" })
    .option("catch-up", {
      choices: ["once", "skip"] as const,
      requiresArg: true,
      describe: "after a time without a server (default: once)",
    });
}

/** Adds them to a parser. */
export function scheduleJobVerbs(parser: ClientArgv): ClientArgv {
  return changing(adding(parser)) as ClientArgv;
}

function adding(parser: ClientArgv) {
  return parser
    .command(
      "add <name>",
      "Define a job: a script",
      (y) =>
        withSettings(y)
          .positional("name", JOB)
          .option("script", {
            type: "string",
            demandOption: true,
            requiresArg: true,
            describe: "its file; - for standard input",
          })
          .option("start", { type: "boolean", default: false, describe: "build it now as well" }),
      async (flags) => (await verbs()).add(flags),
    )
    .command(
      "orb <name> <package>",
      "Define a job: an opam package, built by orb",
      (y) =>
        withSettings(y)
          .positional("name", JOB)
          .positional("package", { type: "string", demandOption: true, describe: "hello, or hello.1.2" })
          .option("repos", REPOS)
          .option("start", { type: "boolean", default: false, describe: "build it now as well" }),
      async (flags) => (await verbs()).orb(flags),
    )
    .example("robur job add hello --script hello.sh", "each day, on this machine")
    .example("robur job orb web mirage-unikernel-web --cron '30 3 * * *'", "each night, on all platforms");
}

function changing(parser: ReturnType<typeof adding>) {
  return parser
    .command(
      "edit <name>",
      "Change a job: what isn't named stays",
      (y) =>
        withSettings(y)
          .positional("name", JOB)
          .option("script", {
            type: "string",
            requiresArg: true,
            describe: "another script; - for standard input",
          })
          .option("package", { type: "string", requiresArg: true, describe: "another opam package" })
          .option("repos", REPOS)
          .option("next", {
            type: "string",
            requiresArg: true,
            describe: "when it is due next: now, or a time (RFC 3339)",
          }),
      async (flags) => (await verbs()).edit(flags),
    )
    .command(
      "inspect <name>",
      "What a job is told: its script, when it is due, what it may use",
      (y) => y.positional("name", JOB).option("json", JSON_FLAG),
      async (flags) => (await verbs()).inspect(flags),
    )
    .command(
      "enable <name..>",
      "Switch jobs on",
      (y) => y.positional("name", { ...JOB, array: true }),
      async (flags) => (await verbs()).enable(flags, true),
    )
    .command(
      "disable <name..>",
      "Switch jobs off: they keep everything, and are not due",
      (y) => y.positional("name", { ...JOB, array: true }),
      async (flags) => (await verbs()).enable(flags, false),
    )
    .command(
      "import <file>",
      "Define what a builder-server has scheduled, from its state file",
      (y) => y.positional("file", { type: "string", demandOption: true, describe: "/var/lib/builder/state" }),
      async (flags) => (await import("./import-state.ts")).importState(flags),
    )
    .command(
      "forget <name..>",
      "Remove jobs' definitions; their builds stay",
      (y) => y.positional("name", { ...JOB, array: true }),
      async (flags) => (await verbs()).forget(flags),
    );
}
