/** `robur network`: bridges, addresses and published ports. */
import { resolve } from "node:path";
import yargs, { type Argv } from "yargs";
import { dataDirectory } from "../lib/data-directory.ts";
import { UsageError } from "../lib/errors.ts";
import { MODES } from "../network/records.ts";
import { parse } from "./parse.ts";

type Common = Argv<{ "data-dir": string | undefined }>;

const FORMATS = ["table", "json", "jsonl"] as const;

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  if (argv.length === 0) throw new UsageError("what about networks?", { hint: "robur network ls" });
  const parser = yargs([...argv])
    .scriptName("robur network")
    .locale("en")
    .version(false)
    .usage(
      "robur network COMMAND\n\nBridges for unikernels, with addresses, names and published ports. `robur run -p 8080:80` makes\nthe network service by itself; these commands are for everything else.",
    )
    .option("data-dir", { type: "string", requiresArg: true, describe: "where robur keeps its data" })
    .example("robur network create lab --mode isolated", "unikernels that only see each other")
    .example("robur network create lan --mode bridged --bridge br0", "a bridge that is there already")
    .example("robur network publish web 8080:80", "while web runs, port 8080 of this host is its port 80");
  await parse(
    ports(changing(looking(parser)))
      .recommendCommands()
      .strict()
      .demandCommand(1, "which of its commands?")
      .help()
      .alias("help", "h")
      .wrap(null),
  );
}

function looking(parser: Common): Common {
  const list = () => import("./network-list.ts");
  return parser
    .command(
      "ls",
      "All networks",
      (y) =>
        y
          .option("format", { choices: FORMATS, default: "table" as const, describe: "how to print it" })
          .option("json", { type: "boolean", default: false, describe: "the same as --format json" })
          .option("quiet", { alias: "q", type: "boolean", default: false, describe: "names only" }),
      async (flags) => (await list()).list(room(flags), flags),
    )
    .command(
      "inspect <name..>",
      "Everything about some networks: addresses, unikernels, published ports",
      (y) =>
        y
          .positional("name", { type: "string", array: true, demandOption: true })
          .option("json", { type: "boolean", default: false, describe: "as JSON" }),
      async (flags) => (await list()).inspect(room(flags), flags.name, flags.json),
    )
    .command(
      "doctor",
      "Check whether networks can work here, and clean up what killed processes left",
      (y) => y.option("json", { type: "boolean", default: false, describe: "as JSON" }),
      async (flags) => (await list()).doctor(room(flags), flags.json),
    );
}

function changing(parser: Common): Common {
  const verbs = () => import("./network-verbs.ts");
  const named = <T>(y: Argv<T>) => y.positional("name", { type: "string", demandOption: true });
  return parser
    .command(
      "create <name>",
      "Make a network",
      (y) =>
        named(y)
          .option("mode", {
            choices: MODES,
            describe:
              "nat: behind this host's address (default); routed: others know the way; isolated: no way out; bridged: on a network that is there",
          })
          .option("ipv4", {
            type: "string",
            requiresArg: true,
            describe: "ADDRESS/LENGTH of this host on it",
          })
          .option("ipv6", {
            type: "string",
            requiresArg: true,
            describe: "the same for IPv6, or auto for a unique local prefix (default: no IPv6)",
          })
          .option("bridge", {
            type: "string",
            requiresArg: true,
            describe: "use this bridge, and change nothing of it",
          })
          .option("uplink", {
            type: "string",
            requiresArg: true,
            describe:
              "bridged: put this interface of the host into a new bridge; undone after 30 s unless confirmed",
          }),
      async (flags) => (await verbs()).create(room(flags), flags.name, flags),
    )
    .command(
      "confirm <name>",
      "Keep a network whose interface of the host is about to be taken out again",
      (y) => named(y),
      async (flags) => (await verbs()).confirm(room(flags), flags.name),
    )
    .command(
      "rm <name..>",
      "Remove networks, with their addresses and published ports",
      (y) => y.positional("name", { type: "string", array: true, demandOption: true }),
      async (flags) => (await verbs()).remove(room(flags), flags.name),
    );
}

function ports(parser: Common): Common {
  const verbs = () => import("./network-verbs.ts");
  return parser
    .command(
      "publish <unikernel> <port>",
      "Publish a port, [ADDRESS:]HOST:GUEST[/udp], for whenever the unikernel runs",
      (y) =>
        y
          .positional("unikernel", { type: "string", demandOption: true })
          .positional("port", { type: "string", demandOption: true }),
      async (flags) => (await verbs()).publish(room(flags), flags.unikernel, flags.port),
    )
    .command(
      "unpublish <port>",
      "Take back a published port: [ADDRESS:]HOST[/udp]",
      (y) => y.positional("port", { type: "string", demandOption: true }),
      async (flags) => (await verbs()).unpublish(room(flags), flags.port),
    );
}

function room({ dataDir }: { dataDir: string | undefined }): string {
  return resolve(dataDirectory(dataDir, process.env, process.getuid?.() === 0));
}
