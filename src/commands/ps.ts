/** `robur ps`: the unikernels. */
import { UsageError } from "../lib/errors.ts";
import { MIB, formatSize } from "../lib/units.ts";
import type { Exit, UnikernelView } from "../orchestrator/api.ts";
import { formatCpus, formatPublish, formatRestart } from "./client/config-text.ts";
import { ask, connect } from "./client/connect.ts";
import { type ListColumn, formatSpan, printList, withListFlags } from "./client/list.ts";
import { clientParser, parseClient } from "./client/parser.ts";

const columns = (now: number): readonly ListColumn<UnikernelView>[] => [
  { key: "id", title: "ID", text: ({ id }) => id, isExtra: true },
  { key: "name", title: "NAME", text: ({ name }) => name, cut: 40 },
  { key: "state", title: "STATE", text: (unit) => `${unit.state}${unit.isLooping ? " (loop)" : ""}` },
  { key: "since", title: "FOR", text: ({ since }) => formatSpan(now - since), isRight: true },
  { key: "image", title: "IMAGE", text: ({ image }) => `${image.target} ${image.sha256}`, cut: 17 },
  { key: "memory", title: "MEMORY", text: ({ config }) => formatSize(config.memoryMb * MIB), isRight: true },
  { key: "cpus", title: "CPUS", text: ({ cpus, config }) => formatCpus(cpus ?? config.cpus), isExtra: true },
  {
    key: "networks",
    title: "ADDRESS",
    text: ({ networks }) => networks.map(({ address, network }) => address ?? network).join(" "),
    cut: 40,
  },
  { key: "publish", title: "PORTS", text: ({ publish }) => publish.map(formatPublish).join(" "), cut: 30 },
  { key: "restarts", title: "RESTARTS", text: ({ restarts }) => String(restarts), isRight: true },
  { key: "restart", title: "POLICY", text: ({ config }) => formatRestart(config.restart), isExtra: true },
  { key: "exit", title: "EXIT", text: ({ exit }) => formatExit(exit), isExtra: true },
  {
    key: "pid",
    title: "PID",
    text: ({ pid }) => (pid === null ? "" : String(pid)),
    isRight: true,
    isExtra: true,
  },
  {
    key: "priority",
    title: "PRIORITY",
    text: ({ config }) => String(config.priority),
    isRight: true,
    isExtra: true,
  },
  {
    key: "labels",
    title: "LABELS",
    text: ({ config }) => formatLabels(config.labels),
    isExtra: true,
    cut: 40,
  },
  { key: "reason", title: "REASON", text: ({ reason }) => reason ?? "", cut: 50 },
];

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = withListFlags(
    clientParser("robur ps", "robur ps\n\nThe unikernels that run, or are about to; with -a all.", argv),
  )
    .option("all", {
      alias: "a",
      type: "boolean",
      default: false,
      describe: "stopped and failed ones as well",
    })
    .option("path", { type: "string", requiresArg: true, describe: "only those at or below this path" })
    .option("filter", {
      type: "string",
      array: true,
      requiresArg: true,
      nargs: 1,
      describe: "only those with state=STATE or label=KEY[=VALUE]; repeatable",
    })
    .example("robur ps -a --columns name,state,exit,reason", "what became of all of them")
    .example("robur ps -q --filter state=failed", "names, for a script");
  const flags = await parseClient(parser);
  if (flags === undefined) return;
  const client = connect(flags.host);
  const query = flags.path === undefined ? {} : { path: flags.path };
  const { unikernels } = await ask(client, client.api.unikernels.get({ query }));
  const filters = (flags.filter ?? []).map(parseFilter);
  // Whoever asks for a state by name wants those, also when they are done.
  const all = flags.all || filters.some(({ key }) => key === "state");
  const shown = unikernels.filter(
    (unit) => (all || isUp(unit)) && filters.every((filter) => matches(unit, filter)),
  );
  printList(columns(Date.now()), shown, ({ name }) => name, flags);
}

function isUp({ state, desired }: UnikernelView): boolean {
  return desired === "running" && state !== "failed"
    ? true
    : ["starting", "running", "stopping"].includes(state);
}

interface Filter {
  readonly key: string;
  readonly value: string;
}

function parseFilter(text: string): Filter {
  const equals = text.indexOf("=");
  const filter = { key: text.slice(0, Math.max(0, equals)), value: text.slice(equals + 1) };
  if (["state", "label", "name"].includes(filter.key) && filter.value !== "") return filter;
  throw new UsageError(`--filter ${text}: wrong form`, {
    hint: "--filter state=running, or --filter label=KEY=VALUE",
  });
}

function matches({ state, name, config }: UnikernelView, { key, value }: Filter): boolean {
  if (key === "state") return state === value;
  if (key === "name") return name.includes(value);
  const [label = "", wanted] = value.split("=", 2);
  const found = Object.hasOwn(config.labels, label) ? config.labels[label] : undefined;
  return wanted === undefined ? found !== undefined : found === wanted;
}

/** How a process ended, in a word or two. */
export function formatExit(exit: Exit | null): string {
  if (exit === null) return "";
  if (exit.kind === "unknown") return "unknown";
  return exit.kind === "status" ? String(exit.status) : exit.signal;
}

function formatLabels(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(" ");
}
