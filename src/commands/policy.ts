/** `robur policy`: what the unikernels at or below a path may use together. */
import { UsageError } from "../lib/errors.ts";
import { print, printError } from "../linux/libc.ts";
import { MIB, formatSize } from "../lib/units.ts";
import type { PolicyView } from "../orchestrator/api.ts";
import { parsePath } from "../orchestrator/names.ts";
import { formatCpus, parseCpus, parseMemory } from "./client/config-text.ts";
import { ask, connect } from "./client/connect.ts";
import { type ListColumn, printList, withListFlags } from "./client/list.ts";
import { clientParser, parseClient } from "./client/parser.ts";
import { confirm } from "./confirm.ts";

const megabytes = (count: number) => formatSize(count * MIB);

const COLUMNS: readonly ListColumn<PolicyView>[] = [
  { key: "path", title: "PATH", text: ({ path }) => (path === "" ? ":" : path) },
  {
    key: "unikernels",
    title: "UNIKERNELS",
    text: ({ policy, used }) => `${used.unikernels} of ${policy.unikernels}`,
    isRight: true,
  },
  {
    key: "memory",
    title: "MEMORY",
    text: ({ policy, used }) => `${megabytes(used.memoryMb)} of ${megabytes(policy.memoryMb)}`,
    isRight: true,
  },
  { key: "cpus", title: "CPUS", text: ({ policy }) => formatCpus(policy.cpus) },
  {
    key: "block",
    title: "VOLUMES",
    text: ({ policy, used }) =>
      policy.blockMb === null ? "none" : `${megabytes(used.blockMb)} of ${megabytes(policy.blockMb)}`,
    isRight: true,
  },
  { key: "bridges", title: "NETWORKS", text: ({ policy }) => policy.bridges.join(" "), cut: 40 },
];

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  if (argv.length === 0) throw new UsageError("what about policies?", { hint: "robur policy ls" });
  const parser = clientParser(
    "robur policy",
    "robur policy COMMAND\n\nWhat the unikernels at or below a path may use together. A colon alone is the root's path.",
    argv,
  )
    .command(
      "ls",
      "All policies, and what is used of them",
      (y) => withListFlags(y),
      async (flags) => {
        const client = connect(flags.host);
        const { policies } = await ask(client, client.api.policies.get());
        printList(COLUMNS, policies, ({ path }) => (path === "" ? ":" : path), flags);
      },
    )
    .command(
      "set <path>",
      "Set a path's policy, as a whole",
      (y) =>
        y
          .positional("path", { type: "string", demandOption: true })
          .option("unikernels", {
            type: "number",
            demandOption: true,
            requiresArg: true,
            describe: "how many may run at once",
          })
          .option("memory", {
            type: "string",
            demandOption: true,
            requiresArg: true,
            describe: "of all of them: 512M, 2G",
          })
          .option("cpus", {
            type: "string",
            demandOption: true,
            requiresArg: true,
            describe: "which processors: 0,2-3",
          })
          .option("block", {
            type: "string",
            requiresArg: true,
            describe: "of all volumes: 10G (default: none)",
          })
          .option("network", {
            type: "string",
            array: true,
            requiresArg: true,
            nargs: 1,
            describe: "a network they may use; repeatable",
          }),
      async (flags) => {
        const path = pathFrom(flags.path);
        const policy = {
          unikernels: flags.unikernels,
          memoryMb: parseMemory(flags.memory),
          cpus: parseCpus(flags.cpus) ?? [],
          blockMb: flags.block === undefined ? null : parseMemory(flags.block),
          bridges: flags.network ?? [],
        };
        const client = connect(flags.host);
        await ask(client, client.api.policies({ path }).put(policy));
        print(`${path}\n`);
      },
    )
    .command(
      "rm <path>",
      "Remove a path's policy: those above it still hold",
      (y) =>
        y
          .positional("path", { type: "string", demandOption: true })
          .option("yes", { alias: "y", type: "boolean", default: false, describe: "don't ask" }),
      async (flags) => {
        const path = pathFrom(flags.path);
        if (!confirm(`remove the policy of ${path}?`, flags.yes, `robur policy rm --yes ${path}`)) {
          printError("nothing was removed\n");
          process.exitCode = 1;
          return;
        }
        const client = connect(flags.host);
        await ask(client, client.api.policies({ path }).delete());
        print(`${path}\n`);
      },
    )
    .demandCommand(1, "which of its commands?")
    .example("robur policy set family --unikernels 5 --memory 1G --cpus 0-1 --network service", "for a path");
  await parseClient(parser);
}

/** As addresses have it. Throws UsageError. */
function pathFrom(text: string): string {
  const path = parsePath(text);
  if (path === undefined)
    throw new UsageError(`${text} is no path`, { hint: "family, family:alice, or : for the root" });
  return path === "" ? ":" : path;
}
