/** `robur stats`: what running unikernels use. */
import { isatty } from "node:tty";
import { formatSize } from "../lib/units.ts";
import { print } from "../linux/libc.ts";
import type { StatsSample } from "../orchestrator/api.ts";
import { ask, connect } from "./client/connect.ts";
import { follow } from "./client/event-source.ts";
import { type ListColumn, type ListFlags, formatList, formatSpan, withListFlags } from "./client/list.ts";
import { clientParser, parseClient } from "./client/parser.ts";
import { resolveNames } from "./client/resolve-name.ts";
import { interruptible } from "./long-work.ts";

type Row = StatsSample & { readonly name: string };

const CLEAR_SCREEN = "\u001b[H\u001b[2J";
const optional = (value: number | null, format: (value: number) => string) =>
  value === null ? "" : format(value);
const sum = (row: Row, side: "fromGuest" | "toGuest") =>
  row.networks.reduce((total, network) => total + network[side].bytes, 0);

const COLUMNS: readonly ListColumn<Row>[] = [
  { key: "name", title: "NAME", text: ({ name }) => name, cut: 40 },
  {
    key: "cpu",
    title: "CPU",
    text: ({ cpu }) => optional(cpu, (share) => `${(share * 100).toFixed(1)}%`),
    isRight: true,
  },
  { key: "resident", title: "MEMORY", text: ({ resident }) => formatSize(resident), isRight: true },
  { key: "sent", title: "SENT", text: (row) => formatSize(sum(row, "fromGuest")), isRight: true },
  { key: "received", title: "RECEIVED", text: (row) => formatSize(sum(row, "toGuest")), isRight: true },
  {
    key: "readBytes",
    title: "READ",
    text: ({ readBytes }) => optional(readBytes, formatSize),
    isRight: true,
  },
  {
    key: "writtenBytes",
    title: "WRITTEN",
    text: ({ writtenBytes }) => optional(writtenBytes, formatSize),
    isRight: true,
  },
  {
    key: "hypercalls",
    title: "HYPERCALLS",
    text: ({ hypercalls }) => optional(hypercalls, String),
    isRight: true,
    isExtra: true,
  },
  {
    key: "vmExits",
    title: "EXITS",
    text: ({ vmExits }) => optional(vmExits, String),
    isRight: true,
    isExtra: true,
  },
  {
    key: "time",
    title: "CPU TIME",
    text: ({ userTime, systemTime }) => `${((userTime + systemTime) / 1e6).toFixed(1)} s`,
    isRight: true,
  },
  { key: "startedAt", title: "UP", text: ({ at, startedAt }) => formatSpan(at - startedAt), isRight: true },
];

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = withListFlags(
    clientParser(
      "robur stats",
      "robur stats [NAME…]\n\nWhat running unikernels use, as it was looked at last: every ten seconds.",
      argv,
    ),
  )
    .command("$0 [name..]", false, (y) => y.positional("name", { type: "string", array: true }))
    .option("watch", {
      alias: "w",
      type: "boolean",
      default: false,
      describe: "again each time it is looked at",
    })
    .example("robur stats --watch", "until Ctrl-C");
  const flags = await parseClient(parser);
  if (flags === undefined) return;
  const client = connect(flags.host);
  const asked = ((flags as { name?: unknown[] }).name ?? []).map(String);
  const wanted = new Set<string>((await resolveNames(client, asked)).map(({ name }) => name));
  const rowsOf = (stats: Readonly<Record<string, StatsSample>>): Row[] =>
    Object.entries(stats)
      .filter(([name]) => wanted.size === 0 || wanted.has(name))
      .map(([name, sample]) => ({ name, ...sample }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  const { stats } = await ask(client, client.api.stats.get());
  print(textOf(rowsOf(stats), flags));
  if (!flags.watch) return;
  await interruptible(async (signal) => {
    for await (const { data } of follow(client, "/api/v1/stats/stream", { signal })) {
      const text = textOf(rowsOf(data as Record<string, StatsSample>), flags);
      print(isatty(1) && flags.format === "table" && !flags.json ? CLEAR_SCREEN + text : text);
    }
  });
}

function textOf(rows: readonly Row[], flags: ListFlags & { readonly watch: boolean }): string {
  // A stream of JSON is one line for each.
  const format = flags.watch && (flags.json || flags.format === "json") ? "jsonl" : flags.format;
  return formatList(COLUMNS, rows, ({ name }) => name, {
    ...flags,
    format,
    json: flags.json && !flags.watch,
  });
}
