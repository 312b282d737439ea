/** The flags of create and update-config. */
import type { Argv } from "yargs";
import { UsageError } from "../../lib/errors.ts";
import type { UnikernelConfig } from "../../orchestrator/api.ts";
import {
  parseBlock,
  parseCpus,
  parseLabel,
  parseMemory,
  parseNetwork,
  parsePublish,
  parseRestart,
} from "./config-text.ts";

/** Adds them to a parser. */
export function withConfigFlags<T>(parser: Argv<T>) {
  const many = (describe: string) =>
    ({ type: "string", array: true, requiresArg: true, nargs: 1, describe }) as const;
  return parser
    .option("memory", {
      alias: "m",
      type: "string",
      requiresArg: true,
      describe: "guest memory: 64M, 1G (default 32M)",
    })
    .option("cpu", {
      type: "string",
      requiresArg: true,
      describe: "processors it may run on: 0,2-3, or any (default)",
    })
    .option("net", many("network device: DEVICE=NETWORK[,ip=ADDRESS][,mac=MAC]; repeatable"))
    .option("block", many("block device: DEVICE=VOLUME[,sector=BYTES]; repeatable"))
    .option("publish", { ...many("publish a port: [ADDRESS:]HOST:GUEST[/udp]; repeatable"), alias: "p" })
    .option("restart", {
      type: "string",
      requiresArg: true,
      describe: "no, on-failure[:N] or always (default on-failure)",
    })
    .option("priority", {
      type: "number",
      requiresArg: true,
      describe: "0 to 1000: smaller starts earlier (default 50)",
    })
    .option("label", many("a word of yours: KEY=VALUE; repeatable"))
    .option("no-name", { type: "boolean", describe: "don't tell the guest its name by --name" })
    .option("no-address", { type: "boolean", describe: "don't tell the guest its address by --ipv4" });
}

/** What yargs makes of them. */
export interface ConfigFlags {
  readonly memory?: string | undefined;
  readonly cpu?: string | undefined;
  readonly net?: readonly string[] | undefined;
  readonly block?: readonly string[] | undefined;
  readonly publish?: readonly string[] | undefined;
  readonly restart?: string | undefined;
  readonly priority?: number | undefined;
  readonly label?: readonly string[] | undefined;
  readonly noName?: boolean | undefined;
  readonly noAddress?: boolean | undefined;
}

type Draft = { -readonly [key in keyof UnikernelConfig]?: UnikernelConfig[key] };

/** The configuration that was asked for; what wasn't is left out. Pure. Throws UsageError. */
export function readConfigFlags(
  flags: ConfigFlags,
  args: readonly string[] | undefined,
): Partial<UnikernelConfig> {
  const config: Draft = {};
  if (flags.memory !== undefined) config.memoryMb = parseMemory(flags.memory);
  if (flags.cpu !== undefined) config.cpus = parseCpus(flags.cpu);
  if (flags.net !== undefined) config.networks = flags.net.map(parseNetwork);
  if (flags.block !== undefined) config.blocks = flags.block.map(parseBlock);
  if (flags.publish !== undefined) config.publish = flags.publish.map(parsePublish);
  if (flags.restart !== undefined) config.restart = parseRestart(flags.restart);
  if (flags.label !== undefined) config.labels = Object.fromEntries(flags.label.map(parseLabel));
  if (flags.noName === true) config.addName = false;
  if (flags.noAddress === true) config.addAddress = false;
  if (flags.priority !== undefined) {
    if (!Number.isInteger(flags.priority))
      throw new UsageError("--priority is a whole number from 0 to 1000");
    config.priority = flags.priority;
  }
  if (args !== undefined) config.args = args;
  return config;
}
