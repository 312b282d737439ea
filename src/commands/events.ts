/** `robur events`: what happened to unikernels. */
import { isatty } from "node:tty";
import { styleText } from "node:util";
import { UsageError } from "../lib/errors.ts";
import { print, printError } from "../linux/libc.ts";
import type { OrchestratorEvent } from "../orchestrator/api.ts";
import { ask, connect } from "./client/connect.ts";
import { follow } from "./client/event-source.ts";
import { clientParser, parseClient } from "./client/parser.ts";
import { resolveNames } from "./client/resolve-name.ts";
import { parseSince } from "./client/since.ts";
import { interruptible } from "./long-work.ts";
import { printable } from "./table.ts";

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = clientParser(
    "robur events",
    "robur events [NAME]\n\nWhat happened, newest last: of all unikernels, or of one.",
    argv,
  )
    .command("$0 [name]", false, (y) => y.positional("name", { type: "string" }))
    .option("follow", {
      alias: "f",
      type: "boolean",
      default: false,
      describe: "and what happens from now on",
    })
    .option("tail", {
      alias: "n",
      type: "number",
      requiresArg: true,
      default: 100,
      describe: "only the last ones; 0 for none",
    })
    .option("since", {
      type: "string",
      requiresArg: true,
      describe: "only those since: 10m, 2h, 1d, or a time (RFC 3339)",
    })
    .option("format", {
      choices: ["table", "json", "jsonl"] as const,
      default: "table" as const,
      describe: "how to print it",
    })
    .option("json", {
      type: "boolean",
      default: false,
      describe: "the same as --format json, or jsonl with -f",
    });
  const flags = await parseClient(parser);
  if (flags === undefined) return;
  const { tail } = flags;
  if (!Number.isInteger(tail) || tail < 0 || tail > 1000) throw new UsageError("--tail is 0 to 1000");
  const client = connect(flags.host);
  const asked = (flags as { name?: string }).name;
  const [unit] = asked === undefined ? [] : await resolveNames(client, [asked]);
  const of = unit === undefined ? {} : { name: unit.name as string };
  const since = flags.since === undefined ? 0 : parseSince(flags.since, Date.now());
  const { events: all } = await ask(
    client,
    client.api.events.get({ query: { ...of, limit: Math.max(1, tail) } }),
  );
  const events = tail === 0 ? [] : all.filter(({ at }) => at >= since);
  const isJson = flags.json || flags.format !== "table";
  if (isJson && !flags.follow && flags.format !== "jsonl") {
    print(`${JSON.stringify(events, null, 2)}\n`);
    return;
  }
  const show = (event: OrchestratorEvent) => print(isJson ? `${JSON.stringify(event)}\n` : lineOf(event));
  for (const event of events) show(event);
  if (!flags.follow) return;
  // From the last one that was seen, so that none is missed in between.
  const after = all.at(-1)?.id ?? 0;
  const words = new URLSearchParams({ ...of, after: String(after) });
  await interruptible(async (signal) => {
    const onConnection = (isThere: boolean) =>
      printError(isThere ? "robur: connected again\n" : "robur: the server is gone; waiting for it\n");
    const stream = follow(client, `/api/v1/events/stream?${words.toString()}`, { signal, onConnection });
    for await (const { data } of stream) show(data as OrchestratorEvent);
  });
}

function lineOf({ at, kind, unikernel, text, who }: OrchestratorEvent): string {
  const time = new Date(at).toLocaleString("sv-SE");
  const isBad = kind === "failed" || kind === "looping" || kind === "warning";
  const word =
    isBad && isatty(1) ? styleText("red", kind.padEnd(14), { stream: process.stdout }) : kind.padEnd(14);
  const name = unikernel === null ? "" : `${unikernel.name}: `;
  return `${time}  ${word} ${printable(`${name}${text}`)}${who === "" || who === "system" ? "" : printable(` (${who})`)}\n`;
}
